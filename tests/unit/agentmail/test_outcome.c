/* agentmail/outcome.h: what became of a mail, in every shape. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "agentmail/outcome.h"

static agentmail_outcome_t *read_or_fail(const char *json)
{
    agentmail_outcome_t *outcome = NULL;
    mailbus_error_t error = {0};
    if (agentmail_outcome_read(json, strlen(json), &outcome, &error) != MAILBUS_OK) {
        fail_msg("%s: %s", error.text, json);
    }
    return outcome;
}

static void test_bounce_as_the_guide_prints_it(void **state)
{
    (void)state;
    agentmail_outcome_t *outcome = read_or_fail(
        "{\"type\":\"event\",\"event_type\":\"message.bounced\",\"bounce\":{\"type\":\"Permanent\","
        "\"sub_type\":\"General\",\"recipients\":[{\"address\":\"invalid@example.com\",\"status\":"
        "\"bounced\"}]}}");
    assert_int_equal(outcome->kind, AGENTMAIL_BOUNCED);
    assert_string_equal(outcome->type, "Permanent");
    assert_string_equal(outcome->sub_type, "General");
    assert_null(outcome->message_id);
    assert_int_equal(outcome->recipient_count, 1);
    assert_string_equal(outcome->recipients[0].address, "invalid@example.com");
    assert_string_equal(outcome->recipients[0].status, "bounced");
    agentmail_outcome_free(&outcome);
}

static void test_every_body_key(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        agentmail_outcome_kind_t kind;
    } rows[] = {{"send", AGENTMAIL_SENT},
                {"delivery", AGENTMAIL_DELIVERED},
                {"delivered", AGENTMAIL_DELIVERED},
                {"bounce", AGENTMAIL_BOUNCED},
                {"complaint", AGENTMAIL_COMPLAINED},
                {"reject", AGENTMAIL_REJECTED},
                {"open", AGENTMAIL_OPENED}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mailbus_buf_t json = MAILBUS_BUF_INIT;
        mailbus_buf_printf(&json,
                           "{\"%s\":{\"inbox_id\":\"i@x\",\"message_id\":\"<m@x>\","
                           "\"recipients\":[\"a@b.c\",\"D <d@e.f>\"],\"reason\":\"r\"}}",
                           rows[i].key);
        agentmail_outcome_t *outcome = read_or_fail(json.data);
        assert_int_equal(outcome->kind, rows[i].kind);
        assert_string_equal(outcome->inbox_id, "i@x");
        assert_string_equal(outcome->reason, "r");
        assert_int_equal(outcome->recipient_count, 2);
        assert_string_equal(outcome->recipients[1].address, "d@e.f");
        assert_null(outcome->recipients[1].status);
        agentmail_outcome_free(&outcome);
        mailbus_buf_free(&json);
    }
}

static void test_odd_recipients_are_left_out(void **state)
{
    (void)state;
    agentmail_outcome_t *outcome = read_or_fail(
        "{\"bounce\":{\"recipients\":[5,null,\"nonsense\",{\"status\":\"5.1.1\"},"
        "{\"address\":\"a@b.c\",\"status\":5.1},{\"email\":\"d@e.f\",\"status\":\"5.1.1\"},"
        "\"x@y.z\\r\\nBcc: q@r.s\"]}}");
    assert_int_equal(outcome->recipient_count, 2);
    assert_string_equal(outcome->recipients[0].address, "a@b.c");
    assert_null(outcome->recipients[0].status);
    assert_string_equal(outcome->recipients[1].status, "5.1.1");
    agentmail_outcome_free(&outcome);
    outcome = read_or_fail("{\"complaint\":{\"recipients\":\"a@b.c\"}}");
    assert_int_equal(outcome->recipient_count, 1);
    agentmail_outcome_free(&outcome);
    outcome = read_or_fail("{\"complaint\":{}}");
    assert_int_equal(outcome->recipient_count, 0);
    agentmail_outcome_free(&outcome);
}

static void test_what_is_none_is_refused(void **state)
{
    (void)state;
    const char *broken[] = {
        "", "{}", "[]", "{\"bounce\":[]}", "{\"message\":{}}", "{\"bounce\":5}"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        agentmail_outcome_t *outcome = NULL;
        assert_int_equal(agentmail_outcome_read(broken[i], strlen(broken[i]), &outcome, NULL),
                         MAILBUS_EINVAL);
        assert_null(outcome);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounce_as_the_guide_prints_it),
        cmocka_unit_test(test_every_body_key),
        cmocka_unit_test(test_odd_recipients_are_left_out),
        cmocka_unit_test(test_what_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
