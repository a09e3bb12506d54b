/* outgoing/records.h: the records, in a database of their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "mails.h"
#include "outgoing/guards.h"
#include "outgoing/records.h"

#define NOW 1791797464000LL

static const quota_t limits = {
    .again_after_ms = 7 * QUOTA_DAY_MS, .per_sender_day = 20, .per_minute = 60};

static int open_db(void **state)
{
    sqlite3 *db = NULL;
    if (sqlite3_open(":memory:", &db) != SQLITE_OK ||
        sqlite3_exec(db, outgoing_schema, NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_exec(db, outgoing_schema, NULL, NULL, NULL) != SQLITE_OK) { /* at every start */
        return -1;
    }
    *state = db;
    return 0;
}

static int close_db(void **state)
{
    return sqlite3_close(*state) == SQLITE_OK ? 0 : -1; /* BUSY: a statement was left */
}

static records_key_t key_of(const char *event)
{
    return (records_key_t){.event_id = event, .part = ""};
}

static records_plan_t plan_of(const char *event, const char *sender, int64_t now)
{
    return (records_plan_t){.key = key_of(event),
                            .inbox = "support@agentmail.to",
                            .message_id = event,
                            .rule = "support",
                            .sender = sender,
                            .recipient = sender,
                            .request = "{\"text\":\"x\"}",
                            .now_ms = now};
}

static void plan(sqlite3 *db, const char *event, const char *sender, int64_t now)
{
    const records_plan_t note = plan_of(event, sender, now);
    assert_int_equal(records_plan(db, &note, NULL), MAILBUS_OK);
}

static records_look_t look(sqlite3 *db, const char *event, const char *members)
{
    records_look_t found = {.record = {.state = RECORD_NONE}};
    agentmail_message_t *message = mail_with(members);
    const agentmail_address_t *to = guards_recipient(message);
    assert_int_equal(
        records_look(db, key_of(event), message, to == NULL ? NULL : to->address, &found, NULL),
        MAILBUS_OK);
    agentmail_message_free(&message);
    return found;
}

static void check_counts(sqlite3 *db, const records_plan_t *note, int64_t same_rule, int64_t day,
                         int64_t minute)
{
    quota_counts_t counts = {0};
    assert_int_equal(records_count(db, note, &limits, &counts, NULL), MAILBUS_OK);
    assert_int_equal(counts.same_rule, same_rule);
    assert_int_equal(counts.sender_day, day);
    assert_int_equal(counts.minute, minute);
}

static int64_t count_rows(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int64_t count = sqlite3_column_int64(stmt, 0);
    assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
    return count;
}

static void test_a_planned_answer_is_found_byte_for_byte(void **state)
{
    sqlite3 *db = *state;
    records_look_t found = look(db, "e1", "");
    assert_int_equal(found.record.state, RECORD_NONE);
    plan(db, "e1", "jane@example.com", NOW);
    found = look(db, "e1", "");
    assert_int_equal(found.record.state, RECORD_PLANNED);
    assert_string_equal(found.record.rule, "support");
    assert_string_equal(found.record.request, "{\"text\":\"x\"}");
    assert_string_equal(found.record.recipient, "jane@example.com");
    assert_int_equal(found.record.unsure_ms, NOW);
    record_free(&found.record);
    found = look(db, "e2", "");
    assert_int_equal(found.record.state, RECORD_NONE);
}

static void test_states_of_an_answer(void **state)
{
    sqlite3 *db = *state;
    plan(db, "e1", "jane@example.com", NOW);
    assert_int_equal(records_unsure(db, key_of("e1"), 0, NULL), MAILBUS_OK);
    records_look_t found = look(db, "e1", "");
    assert_int_equal(found.record.unsure_ms, 0);
    record_free(&found.record);
    assert_int_equal(records_sent(db, key_of("e1"), "<reply@x>", NOW + 5, NULL), MAILBUS_OK);
    found = look(db, "e1", "");
    assert_int_equal(found.record.state, RECORD_SENT);
    record_free(&found.record);
    plan(db, "e2", "jane@example.com", NOW);
    assert_int_equal(records_refused(db, key_of("e2"), NULL), MAILBUS_OK);
    found = look(db, "e2", "");
    assert_int_equal(found.record.state, RECORD_REFUSED);
    record_free(&found.record);
    plan(db, "e2", "jane@example.com", NOW + 9); /* a dead letter tried again */
    found = look(db, "e2", "");
    assert_int_equal(found.record.state, RECORD_PLANNED);
    assert_int_equal(found.record.unsure_ms, NOW + 9);
    record_free(&found.record);
}

static void test_an_answer_to_our_answer_is_known(void **state)
{
    sqlite3 *db = *state;
    plan(db, "e1", "jane@example.com", NOW);
    assert_int_equal(records_sent(db, key_of("e1"), "<reply@x>", NOW, NULL), MAILBUS_OK);
    assert_true(look(db, "e2", "\"in_reply_to\":\"<reply@x>\"").answers_ours);
    assert_true(look(db, "e2", "\"references\":[\"<a@x>\",\"<reply@x>\"]").answers_ours);
    assert_false(look(db, "e2", "\"in_reply_to\":\"<other@x>\"").answers_ours);
}

static void test_inboxes_that_mail_came_through_are_ours(void **state)
{
    sqlite3 *db = *state;
    assert_false(look(db, "e1", "\"from\":\"sales@agentmail.to\"").from_is_inbox);
    look(db, "e2", "\"inbox_id\":\"Sales@agentmail.to\"");
    assert_true(look(db, "e3", "\"from\":\"SALES@agentmail.to\"").from_is_inbox);
    assert_true(look(db, "e3", "\"reply_to\":\"sales@agentmail.to\"").to_is_inbox);
    assert_false(look(db, "e3", "\"reply_to\":\"sales@agentmail.to\"").from_is_inbox);
    assert_false(look(db, "e3", "").from_is_inbox);
    assert_false(look(db, "e3", "").to_is_inbox);
}

static void test_counts_are_per_sender_rule_and_window(void **state)
{
    sqlite3 *db = *state;
    const records_plan_t next = plan_of("next", "jane@example.com", NOW);
    check_counts(db, &next, 0, 0, 0);
    plan(db, "e1", "jane@example.com", NOW - 7 * QUOTA_DAY_MS); /* just out */
    plan(db, "e2", "jane@example.com", NOW - 2 * QUOTA_DAY_MS);
    plan(db, "e3", "jane@example.com", NOW - 1000);
    plan(db, "e4", "john@example.com", NOW - 1000);
    check_counts(db, &next, 2, 1, 2);
    records_plan_t other_rule = next;
    other_rule.rule = "sales";
    check_counts(db, &other_rule, 0, 1, 2);
    const records_plan_t third = plan_of("next", "third@example.com", NOW);
    check_counts(db, &third, 0, 0, 2);
}

static void test_neither_from_nor_reply_to_gets_around_the_limit(void **state)
{
    sqlite3 *db = *state;
    records_plan_t first = plan_of("e1", "one@example.com", NOW);
    first.recipient = "victim@example.com";
    assert_int_equal(records_plan(db, &first, NULL), MAILBUS_OK);
    records_plan_t other_from = plan_of("e2", "two@example.com", NOW);
    other_from.recipient = "victim@example.com";
    check_counts(db, &other_from, 1, 1, 1);
    const records_plan_t other_reply_to = plan_of("e3", "one@example.com", NOW);
    check_counts(db, &other_reply_to, 1, 1, 1);
    const records_plan_t victim = plan_of("e4", "victim@example.com", NOW);
    check_counts(db, &victim, 1, 1, 1);
}

static void test_refused_answers_do_not_count(void **state)
{
    sqlite3 *db = *state;
    const records_plan_t next = plan_of("next", "jane@example.com", NOW);
    plan(db, "e1", "jane@example.com", NOW);
    check_counts(db, &next, 1, 1, 1);
    assert_int_equal(records_refused(db, key_of("e1"), NULL), MAILBUS_OK);
    check_counts(db, &next, 0, 0, 0);
}

static void test_one_mail_under_two_events_is_answered_once(void **state)
{
    sqlite3 *db = *state;
    bool have = true;
    records_plan_t again = plan_of("e2", "jane@example.com", NOW);
    again.message_id = "e1";
    assert_int_equal(records_have_mail(db, &again, &have, NULL), MAILBUS_OK);
    assert_false(have);
    plan(db, "e1", "jane@example.com", NOW);
    assert_int_equal(records_have_mail(db, &again, &have, NULL), MAILBUS_OK);
    assert_true(have);
    again.key = key_of("e1"); /* the same event again */
    assert_int_equal(records_have_mail(db, &again, &have, NULL), MAILBUS_OK);
    assert_false(have);
}

static void test_parts_of_one_event(void **state)
{
    sqlite3 *db = *state;
    bool have = true;
    records_plan_t first = plan_of("e1", "jane@example.com", NOW);
    first.key.part = "1";
    records_plan_t second = first;
    second.key.part = "2";
    assert_int_equal(records_plan(db, &first, NULL), MAILBUS_OK);
    /* one answer to the sender, as far as the rule is concerned; two mails for the day's limit */
    check_counts(db, &second, 0, 1, 1);
    assert_int_equal(records_plan(db, &second, NULL), MAILBUS_OK);
    check_counts(db, &first, 0, 1, 1);
    const records_plan_t next = plan_of("e2", "jane@example.com", NOW);
    check_counts(db, &next, 2, 2, 2);
    assert_int_equal(records_sent(db, first.key, "<sent@x>", NOW, NULL), MAILBUS_OK);
    assert_int_equal(count_rows(db, "SELECT count(*) FROM outgoing_mails WHERE state = 'planned'"),
                     1);
    /* the same mail under another event: each part for itself */
    records_plan_t again = plan_of("e2", "jane@example.com", NOW);
    again.message_id = "e1";
    assert_int_equal(records_have_mail(db, &again, &have, NULL), MAILBUS_OK);
    assert_false(have);
    again.key.part = "2";
    assert_int_equal(records_have_mail(db, &again, &have, NULL), MAILBUS_OK);
    assert_true(have);
}

static void test_forwards_count_for_the_minute_only(void **state)
{
    sqlite3 *db = *state;
    records_plan_t forward = plan_of("e1", "jane@example.com", NOW);
    forward.kind = OUTGOING_FORWARD;
    forward.recipient = "team@corp.example";
    assert_int_equal(records_plan(db, &forward, NULL), MAILBUS_OK);
    const records_plan_t reply = plan_of("e2", "jane@example.com", NOW);
    check_counts(db, &reply, 0, 0, 1);
    plan(db, "e2", "jane@example.com", NOW);
    forward.key = key_of("e3");
    check_counts(db, &forward, 0, 0, 2);
    records_look_t found = look(db, "e1", "");
    assert_int_equal(found.record.kind, OUTGOING_FORWARD);
    record_free(&found.record);
}

static void test_history_is_written_and_bounded(void **state)
{
    sqlite3 *db = *state;
    records_history_t line = {.key = key_of("e1"),
                              .inbox = "support@agentmail.to",
                              .action = "silent",
                              .reason = "list: List-Id",
                              .now_ms = NOW};
    plan(db, "e1", "jane@example.com", NOW);
    assert_int_equal(records_note(db, &line, NULL), MAILBUS_OK);
    assert_int_equal(
        count_rows(db, "SELECT count(*) FROM outgoing_history WHERE reason = 'list: List-Id'"
                       " AND sender IS NULL"),
        1);
    line.now_ms = NOW + RECORDS_KEEP_MS;
    assert_int_equal(records_note(db, &line, NULL), MAILBUS_OK);
    assert_int_equal(count_rows(db, "SELECT count(*) FROM outgoing_history"), 2);
    assert_int_equal(count_rows(db, "SELECT count(*) FROM outgoing_mails"), 1);
    line.now_ms++;
    assert_int_equal(records_note(db, &line, NULL), MAILBUS_OK);
    assert_int_equal(count_rows(db, "SELECT count(*) FROM outgoing_history"), 2);
    assert_int_equal(count_rows(db, "SELECT count(*) FROM outgoing_mails"), 0);
}

#define DB_TEST(name) cmocka_unit_test_setup_teardown(name, open_db, close_db)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_a_planned_answer_is_found_byte_for_byte),
        DB_TEST(test_states_of_an_answer),
        DB_TEST(test_an_answer_to_our_answer_is_known),
        DB_TEST(test_inboxes_that_mail_came_through_are_ours),
        DB_TEST(test_counts_are_per_sender_rule_and_window),
        DB_TEST(test_neither_from_nor_reply_to_gets_around_the_limit),
        DB_TEST(test_refused_answers_do_not_count),
        DB_TEST(test_one_mail_under_two_events_is_answered_once),
        DB_TEST(test_parts_of_one_event),
        DB_TEST(test_forwards_count_for_the_minute_only),
        DB_TEST(test_history_is_written_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
