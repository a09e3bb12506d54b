/* Whom to ask, and what comes of their replies. */
#include "side.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "folder.h"
#include "keys.h"

static check_peers_t *peers_of(const char *entries)
{
    check_peers_t *peers = NULL;
    mailbus_error_t error = {.text = ""};
    if (check_peers_new(entries, "", "", &peers, &error) != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
    return peers;
}

/* --- the verdict -------------------------------------------------------------------------------
 */

static void test_yes_is_a_yes_from_all_and_no_a_no_from_one(void **state)
{
    (void)state;
    static const check_reply_kind_t kinds[] = {
        ['Y'] = CHECK_REPLY_YES, ['N'] = CHECK_REPLY_NO, ['X'] = CHECK_REPLY_NONE};
    static const struct {
        const char *replies;
        check_verdict_t verdict;
        int who; /* whose reason is told; -1: nobody's */
    } table[] = {
        {"YYY", CHECK_ALLOWED, -1}, {"NYY", CHECK_REFUSED, 0}, {"YNY", CHECK_REFUSED, 1},
        {"YYN", CHECK_REFUSED, 2},  {"NNN", CHECK_REFUSED, 0}, {"XYY", CHECK_NOT_NOW, 0},
        {"YXY", CHECK_NOT_NOW, 1},  {"YYX", CHECK_NOT_NOW, 2}, {"XXX", CHECK_NOT_NOW, 0},
        {"XNX", CHECK_REFUSED, 1},  {"XYN", CHECK_REFUSED, 2}, {"NXX", CHECK_REFUSED, 0},
        {"YXN", CHECK_REFUSED, 2},
    };
    check_peers_t *peers = peers_of("tcp://127.0.0.1:1 tcp://127.0.0.1:2\ttcp://127.0.0.1:3 ");
    assert_int_equal(check_peers_count(peers), 3);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        check_reply_t replies[3];
        check_result_t result;
        for (int r = 0; r < 3; r++) {
            replies[r] = (check_reply_t){.kind = kinds[(unsigned char)table[i].replies[r]],
                                         .until_ms = r == 1 ? 5000 : 0};
            snprintf(replies[r].reason, sizeof replies[r].reason, "reason %d", r);
        }
        check_client_decide(peers, replies, &result);
        assert_int_equal(result.verdict, table[i].verdict);
        assert_int_equal(result.until_ms,
                         result.verdict == CHECK_REFUSED && table[i].who == 1 ? 5000 : 0);
        if (table[i].who < 0) {
            assert_string_equal(result.reason, "");
            continue;
        }
        char reason[32];
        snprintf(reason, sizeof reason, "reason %d", table[i].who);
        assert_non_null(strstr(result.reason, reason));
        assert_ptr_equal(strstr(result.reason, check_peers_label(peers, (size_t)table[i].who)),
                         result.reason);
        assert_int_equal(strstr(result.reason, "until 1970-01-01T00:00:05.000Z") != NULL,
                         result.until_ms != 0);
    }
    check_peers_destroy(&peers);
}

static void test_the_longest_reason_and_label_fit(void **state)
{
    (void)state;
    char endpoint[256] = "ipc:///tmp/";
    memset(endpoint + strlen(endpoint), 'p', 90);
    check_peers_t *peers = peers_of(endpoint);
    check_reply_t reply = {.kind = CHECK_REPLY_NO, .until_ms = 253402300799999};
    check_result_t result;
    memset(reply.reason, 'r', sizeof reply.reason - 1);
    check_client_decide(peers, &reply, &result);
    assert_non_null(strstr(result.reason, reply.reason));
    assert_non_null(strstr(result.reason, "(until 9999-12-31T23:59:59.999Z)"));
    check_peers_destroy(&peers);
}

static void test_nobody_to_ask_is_yes(void **state)
{
    (void)state;
    static const char *const pairs[] = {"send.checks= ", NULL};
    side_t *side = side_new(pairs);
    check_client_t *client = NULL;
    check_result_t result;
    assert_int_equal(check_client_new(side_runtime(side), &client, NULL), MAILBUS_OK);
    assert_int_equal(check_client_count(client), 0);
    check_client_ask(client, "jane@example.com", &result);
    assert_int_equal(result.verdict, CHECK_ALLOWED);
    check_client_destroy(&client);
    side_free(&side);
}

static void test_what_can_not_be_asked_about_is_not_now(void **state)
{
    (void)state;
    static const char *const pairs[] = {"send.checks=tcp://127.0.0.1:1", NULL};
    side_t *side = side_new(pairs);
    check_client_t *client = NULL;
    check_result_t result;
    assert_int_equal(check_client_new(side_runtime(side), &client, NULL), MAILBUS_OK);
    check_client_ask(client, "a\nb@example.com", &result);
    assert_int_equal(result.verdict, CHECK_NOT_NOW);
    assert_non_null(strstr(result.reason, "control character"));
    check_client_destroy(&client);
    side_free(&side);
}

static void test_a_timeout_of_nothing_is_refused(void **state)
{
    (void)state;
    static const char *const pairs[] = {"send.checks=tcp://127.0.0.1:1", "send.check_timeout=0",
                                        NULL};
    side_t *side = side_new(pairs);
    check_client_t *client = NULL;
    mailbus_error_t error;
    assert_int_equal(check_client_new(side_runtime(side), &client, &error), MAILBUS_EINVAL);
    assert_null(client);
    assert_non_null(strstr(error.text, "send.check_timeout"));
    side_free(&side);
}

static void test_nobody_there_is_not_now_when_the_time_is_over(void **state)
{
    (void)state;
    static const char *const pairs[] = {"send.checks=ipc:///tmp/mailbus-nobody.ipc",
                                        "send.check_timeout=150ms", NULL};
    side_t *side = side_new(pairs);
    check_client_t *client = NULL;
    check_result_t result;
    assert_int_equal(check_client_new(side_runtime(side), &client, NULL), MAILBUS_OK);
    int64_t before_ms = mb_clock_monotonic_ms();
    check_client_ask(client, "jane@example.com", &result);
    assert_in_range(mb_clock_monotonic_ms() - before_ms, 150, 5000);
    assert_int_equal(result.verdict, CHECK_NOT_NOW);
    assert_non_null(strstr(result.reason, "nobody listened there for 150 ms"));
    assert_int_equal(side_count(side, "asked", "answer=\"none\""), 1);
    check_client_destroy(&client);
    side_free(&side);
}

/* --- the entries -------------------------------------------------------------------------------
 */

static void refused(const char *entries, const char *dir, const char *name, mailbus_code_t code,
                    const char *text)
{
    check_peers_t *peers = NULL;
    mailbus_error_t error = {.text = ""};
    mailbus_code_t found = check_peers_new(entries, dir, name, &peers, &error);
    if (found != code || strstr(error.text, text) == NULL) {
        fail_msg("%s: %d, \"%s\"", entries, found, error.text);
    }
    assert_null(peers);
}

static void test_wrong_entries_are_named(void **state)
{
    (void)state;
    char longer[400] = "tcp://127.0.0.1:1";
    memset(longer + strlen(longer), '0', sizeof longer - strlen(longer) - 1);
    longer[sizeof longer - 1] = '\0';
    char name[120] = "";
    memset(name, 'n', 65);
    snprintf(name + 65, sizeof name - 65, "@tcp://127.0.0.1:1");
    refused("127.0.0.1:5558", "", "", MAILBUS_EINVAL, "127.0.0.1:5558");
    refused("tcp://", "", "", MAILBUS_EINVAL, "tcp://");
    refused("tcp://127.0.0.1:x", "", "", MAILBUS_EINVAL, "tcp://127.0.0.1:x");
    refused("udp://127.0.0.1:1", "", "", MAILBUS_EINVAL, "udp://");
    refused(longer, "", "", MAILBUS_EINVAL, "no endpoint");
    refused(name, "", "", MAILBUS_EINVAL, "no key's name");
    refused("@tcp://127.0.0.1:1", "", "", MAILBUS_EINVAL, "no key's name");
    refused("bounces@", "", "", MAILBUS_EINVAL, "no endpoint");
    refused("bounces@tcp://127.0.0.1:1", "", "", MAILBUS_EINVAL, "bus.curve_dir");
    refused("tcp://127.0.0.1:1 tcp://127.0.0.1:1", "", "", MAILBUS_EINVAL, "twice");
}

static void test_keys_belong_to_names_and_nothing_leaves_the_machine_without_them(void **state)
{
    (void)state;
    char *dir = folder_make();
    check_peers_t *peers = NULL;
    mailbus_error_t error = {.text = ""};
    assert_int_equal(mb_keys_new(dir, "bounces", NULL), MAILBUS_OK);
    assert_int_equal(mb_keys_new(dir, "autoreply", NULL), MAILBUS_OK);
    refused("nobody@tcp://127.0.0.1:1", dir, "autoreply", MAILBUS_ENOTFOUND, "nobody");
    refused("bounces@tcp://127.0.0.1:1", dir, "nobody", MAILBUS_ENOTFOUND, "nobody");
    refused("../bounces@tcp://127.0.0.1:1", dir, "autoreply", MAILBUS_EINVAL, "name");
    refused("tcp://192.0.2.1:5558", dir, "autoreply", MAILBUS_EINVAL, "NAME@");
    if (check_peers_new("bounces@tcp://192.0.2.1:5558 ipc://@abstract tcp://127.0.0.1:5559", dir,
                        "autoreply", &peers, &error) != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(check_peers_count(peers), 3);
    assert_string_equal(check_peers_label(peers, 0), "bounces");
    assert_string_equal(check_peers_label(peers, 1), "ipc://@abstract");
    check_peers_destroy(&peers);
    folder_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_yes_is_a_yes_from_all_and_no_a_no_from_one),
        cmocka_unit_test(test_the_longest_reason_and_label_fit),
        cmocka_unit_test(test_nobody_to_ask_is_yes),
        cmocka_unit_test(test_what_can_not_be_asked_about_is_not_now),
        cmocka_unit_test(test_a_timeout_of_nothing_is_refused),
        cmocka_unit_test(test_nobody_there_is_not_now_when_the_time_is_over),
        cmocka_unit_test(test_wrong_entries_are_named),
        cmocka_unit_test(test_keys_belong_to_names_and_nothing_leaves_the_machine_without_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
