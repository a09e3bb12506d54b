#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "delivery_queue.h"
#include "idempotency.h"
#include "lists.h"
#include "mailbox.h"
#include "memory.h"

static void test_addresses(void **state)
{
    (void)state;
    static const char *const good[][2] = {
        {"a@b", "a@b"},
        {"A@B.C", "a@b.c"},
        {" a@b ", "a@b"},
        {"Name <A@b>", "a@b"},
        {"\"x <y>\" <a@b>", "a@b"},
        {"<a@b>", "a@b"},
        {"J\xc3\xbcrgen <a@b> ", "a@b"},
    };
    static const char *const bad[] = {
        "",         "a",         "@b",      "a@",    "a b@c", "a@b c",
        "a@b, c@d", "Name <a@b", "Name <>", "a@b@c", "a\n@b", "<a@b> x",
    };
    char bare[ADDRESS_MAX + 1];
    for (size_t at = 0; at < sizeof good / sizeof *good; at++) {
        assert_true(address_bare(good[at][0], bare));
        assert_string_equal(bare, good[at][1]);
    }
    for (size_t at = 0; at < sizeof bad / sizeof *bad; at++) {
        assert_false(address_bare(bad[at], bare));
    }
    char text[400];
    memset(text, 'a', sizeof text);
    memcpy(text + 316, "@b.c", 5);
    assert_true(address_bare(text, bare));
    memcpy(text + 317, "@b.c", 5);
    assert_false(address_bare(text, bare));
}

static void test_simulator_addresses_take_a_label(void **state)
{
    (void)state;
    assert_true(address_is_simulator("bounce@simulator.amazonses.com", "bounce"));
    assert_true(address_is_simulator("X <Bounce+17@Simulator.AmazonSES.com>", "bounce"));
    assert_false(address_is_simulator("bounces@simulator.amazonses.com", "bounce"));
    assert_false(address_is_simulator("bounce@example.com", "bounce"));
    assert_false(address_is_simulator("bounce@simulator.amazonses.com.example.com", "bounce"));
}

static void test_the_pauses_are_svixs(void **state)
{
    (void)state;
    static const int64_t seconds[] = {5, 300, 1800, 7200, 18000, 36000, 36000};
    int64_t sum = 0;
    for (unsigned made = 1; made <= 7; made++) {
        assert_int_equal(delivery_pause_ms(made, 1), seconds[made - 1] * 1000);
        assert_int_equal(delivery_pause_ms(made, 100), seconds[made - 1] * 10);
        sum += seconds[made - 1];
    }
    assert_int_equal(delivery_pause_ms(8, 1), -1);
    assert_int_equal(sum, 27 * 3600 + 35 * 60 + 5);
}

static delivery_item_t *make_item(const char *id, const char *webhook_id, int64_t due_ms)
{
    delivery_item_t *item = memory_new(sizeof *item);
    item->id = memory_text(id);
    item->event_type = memory_text("t");
    item->event_id = memory_text("e");
    item->webhook_id = memory_text(webhook_id);
    item->url = memory_text("u");
    item->secret = memory_text("s");
    item->body = memory_text("body");
    item->size = 4;
    item->due_ms = due_ms;
    return item;
}

static void test_items_are_taken_when_due_and_in_order(void **state)
{
    (void)state;
    delivery_queue_t queue = {.next_number = 0};
    int64_t next = 0;
    for (int at = 0; at < 500; at++) { /* pseudo-random times, many of them equal */
        delivery_queue_put(&queue, make_item("i", "w", (at * 7919) % 50));
    }
    assert_int_equal(queue.bytes, 2000);
    assert_null(delivery_queue_take(&queue, -1, &next));
    assert_int_equal(next, 0);
    int64_t last_due = 0;
    uint64_t last_number = 0;
    for (int at = 0; at < 500; at++) {
        delivery_item_t *item = delivery_queue_take(&queue, 49, &next);
        assert_non_null(item);
        assert_true(item->due_ms > last_due ||
                    (item->due_ms == last_due && item->number > last_number));
        last_due = item->due_ms;
        last_number = item->number;
        delivery_item_free(&item);
    }
    assert_int_equal(next, -1);
    assert_int_equal(queue.bytes, 0);
    delivery_queue_clear(&queue);
}

static void test_what_is_over_is_kept_without_its_body_and_bounded(void **state)
{
    (void)state;
    delivery_queue_t queue = {.next_number = 0};
    for (int at = 0; at < DELIVERY_DONE_MAX + 10; at++) {
        int64_t next = 0;
        delivery_queue_put(&queue, make_item("i", "w", 0));
        delivery_item_t *item = delivery_queue_take(&queue, 0, &next);
        delivery_queue_finish(&queue, item, DELIVERY_SUCCEEDED);
        assert_null(item->body);
    }
    assert_int_equal(queue.done, DELIVERY_DONE_MAX);
    assert_int_equal(queue.succeeded, DELIVERY_DONE_MAX + 10);
    cJSON *report = delivery_queue_report(&queue, NULL, 0, 3);
    const cJSON *shown = cJSON_GetObjectItem(report, "deliveries");
    assert_int_equal(cJSON_GetArraySize(shown), 3);
    assert_int_equal(cJSON_GetObjectItem(shown->child, "number")->valueint, DELIVERY_DONE_MAX + 8);
    cJSON_Delete(report);
    delivery_queue_clear(&queue);
}

static void test_a_full_queue_says_so(void **state)
{
    (void)state;
    delivery_queue_t queue = {.waiting = DELIVERY_WAITING_MAX - 1};
    assert_true(delivery_queue_has_room(&queue, 1, 100));
    assert_false(delivery_queue_has_room(&queue, 2, 100));
    queue = (delivery_queue_t){.bytes = DELIVERY_BYTES_MAX - 100};
    assert_true(delivery_queue_has_room(&queue, 1, 100));
    assert_false(delivery_queue_has_room(&queue, 1, 101));
}

static void test_cancelling_takes_one_webhooks_items_only(void **state)
{
    (void)state;
    delivery_queue_t queue = {.next_number = 0};
    int64_t next = 0;
    for (int at = 0; at < 100; at++) {
        delivery_queue_put(&queue, make_item("i", at % 3 == 0 ? "gone" : "stays", 100 - at));
    }
    delivery_queue_cancel(&queue, "gone");
    assert_int_equal(queue.cancelled, 34);
    assert_int_equal(queue.bytes, 66 * 4);
    int64_t last = 0;
    int count = 0;
    delivery_item_t *item;
    while ((item = delivery_queue_take(&queue, 1000, &next)) != NULL) {
        assert_string_equal(item->webhook_id, "stays");
        assert_true(item->due_ms >= last);
        last = item->due_ms;
        count++;
        delivery_item_free(&item);
    }
    assert_int_equal(count, 66);
    delivery_queue_clear(&queue);
}

static void test_an_answer_is_remembered_for_a_day(void **state)
{
    (void)state;
    static const uint8_t one[MB_SHA256_SIZE] = {1};
    static const uint8_t two[MB_SHA256_SIZE] = {2};
    idempotency_t *self = idempotency_new();
    bool same = false;
    assert_null(idempotency_find(self, "k", one, 0, &same));
    idempotency_put(self, "k", one, "answer", 1000);
    assert_string_equal(idempotency_find(self, "k", one, 1000, &same), "answer");
    assert_true(same);
    assert_string_equal(idempotency_find(self, "k", two, 1000, &same), "answer");
    assert_false(same);
    assert_non_null(idempotency_find(self, "k", one, 1000 + IDEMPOTENCY_LIFE_MS - 1, &same));
    assert_null(idempotency_find(self, "k", one, 1000 + IDEMPOTENCY_LIFE_MS, &same));
    idempotency_put(self, "k", two, "other", 2000 + IDEMPOTENCY_LIFE_MS);
    idempotency_destroy(&self);
    assert_null(self);
    idempotency_destroy(&self);
}

static void test_lists_take_addresses_and_domains(void **state)
{
    (void)state;
    lists_t *self = lists_new();
    assert_non_null(lists_add(self, "send", "block", "Bad@Example.com", NULL, false, 0));
    assert_non_null(lists_add(self, "send", "block", "spam.example", "r", false, 0));
    assert_non_null(lists_add(self, "send", "allow", "good@spam.example", NULL, false, 0));
    assert_null(lists_add(self, "send", "block", "two words", NULL, false, 0));
    assert_null(lists_add(self, "send", "block", "", NULL, false, 0));
    assert_non_null(lists_blocks(self, "send", "Bad <bad@example.com>"));
    assert_non_null(lists_blocks(self, "send", "x@spam.example"));
    assert_null(lists_blocks(self, "send", "good@spam.example"));
    assert_null(lists_blocks(self, "send", "fine@example.com"));
    assert_null(lists_blocks(self, "reply", "bad@example.com"));
    assert_true(lists_remove(self, "send", "block", "bad@EXAMPLE.com"));
    assert_false(lists_remove(self, "send", "block", "bad@example.com"));
    assert_false(lists_known("send", "deny"));
    assert_false(lists_known("sent", "block"));
    lists_destroy(&self);
    lists_destroy(&self);
}

/* A mail with an id and so many bytes of text. */
static void make_mail(mail_t *mail, int number, size_t size)
{
    char id[64];
    mail_init(mail);
    snprintf(id, sizeof id, "<%d@x>", number);
    mail->message_id = memory_text(id);
    mail->text = memory_new(size + 1);
    memset(mail->text, 'x', size);
}

static void test_the_mailbox_is_bounded_and_the_oldest_goes(void **state)
{
    (void)state;
    mailbox_t *self = mailbox_new();
    mail_t mail;
    enum { MEGABYTES = 300 };
    for (int at = 0; at < MEGABYTES; at++) {
        make_mail(&mail, at, 1 << 20);
        assert_non_null(mailbox_add(self, "i@x", &mail, at));
    }
    assert_null(mailbox_find(self, "i@x", "<0@x>"));
    assert_non_null(mailbox_find(self, "i@x", "<299@x>"));
    size_t held = 0;
    for (const message_t *at = mailbox_first(self); at != NULL; at = at->next) {
        held += at->size;
        assert_ptr_equal(mailbox_find_token(self, at->token), at);
    }
    assert_true(held <= MAILBOX_BYTES_MAX);
    mailbox_clear(self);
    assert_null(mailbox_first(self));
    mailbox_destroy(&self);
}

static void test_an_inbox_sees_its_own_threads_only(void **state)
{
    (void)state;
    mailbox_t *self = mailbox_new();
    mail_t mail;
    make_mail(&mail, 1, 1);
    const message_t *first = mailbox_add(self, "a@x", &mail, 0);
    make_mail(&mail, 2, 1);
    mail.in_reply_to = memory_text("<1@x>");
    assert_ptr_equal(mailbox_add(self, "a@x", &mail, 0)->thread, first->thread);
    make_mail(&mail, 3, 1);
    mail.in_reply_to = memory_text("<1@x>");
    assert_ptr_not_equal(mailbox_add(self, "b@x", &mail, 0)->thread, first->thread);
    make_mail(&mail, 4, 1);
    cJSON_AddItemToArray(mail.references, cJSON_CreateString("<unknown@x>"));
    cJSON_AddItemToArray(mail.references, cJSON_CreateString("<2@x>"));
    assert_ptr_equal(mailbox_add(self, "a@x", &mail, 0)->thread, first->thread);
    assert_int_equal(first->thread->messages, 3);
    mailbox_destroy(&self);
}

int main(void)
{
    memory_use_for_json();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_simulator_addresses_take_a_label),
        cmocka_unit_test(test_the_pauses_are_svixs),
        cmocka_unit_test(test_items_are_taken_when_due_and_in_order),
        cmocka_unit_test(test_what_is_over_is_kept_without_its_body_and_bounded),
        cmocka_unit_test(test_a_full_queue_says_so),
        cmocka_unit_test(test_cancelling_takes_one_webhooks_items_only),
        cmocka_unit_test(test_an_answer_is_remembered_for_a_day),
        cmocka_unit_test(test_lists_take_addresses_and_domains),
        cmocka_unit_test(test_the_mailbox_is_bounded_and_the_oldest_goes),
        cmocka_unit_test(test_an_inbox_sees_its_own_threads_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
