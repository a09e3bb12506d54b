/* suppress.h: what a fact is worth, and that the order of facts makes no difference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "suppression/suppress.h"

static const policy_t usual = {.bounces = true, .rejects = true, .candidates = true};

static fact_t fact(said_t said, int64_t time_ms)
{
    return (fact_t){.said = said,
                    .id = "evt_1",
                    .event_id = said < SAID_ADD ? "evt_1" : "",
                    .time_ms = time_ms,
                    .address = "jane@example.com",
                    .message_id = "<m@x>",
                    .inbox = "",
                    .type = "",
                    .sub_type = "",
                    .status = "",
                    .candidates = 1,
                    .note = "",
                    .reason = REASON_NONE,
                    .first_ms = time_ms,
                    .count = 1};
}

static step_t take(state_t *state, const fact_t *said)
{
    judgement_t judgement = suppress_judge(said, &usual);
    return suppress_step(state, said, &judgement, 0);
}

/* --- what it is worth
 * -----------------------------------------------------------------------------
 */

typedef struct {
    said_t said;
    const char *type, *sub_type, *status;
    int64_t candidates;
    reason_t reason;
    bool certain;
    const char *why;
} row_t;

static void check_rows(const row_t *rows, size_t count, const policy_t *policy)
{
    for (size_t i = 0; i < count; i++) {
        const row_t *row = &rows[i];
        fact_t said = fact(row->said, 1000);
        said.type = row->type;
        said.sub_type = row->sub_type;
        said.status = row->status;
        said.candidates = row->candidates;
        judgement_t judgement = suppress_judge(&said, policy);
        if (judgement.reason != row->reason || strcmp(judgement.why, row->why) != 0 ||
            (row->reason != REASON_NONE && judgement.certain != row->certain)) {
            fail_msg("%s %s/%s %s of %d: %s (%s), %s", said_name(row->said), row->type,
                     row->sub_type, row->status, (int)row->candidates,
                     reason_name(judgement.reason), judgement.why,
                     judgement.certain ? "certain" : "ambiguous");
        }
    }
}

/* Feedback types: RFC 5965 §7.3 and RFC 6430 (not-spam); sub-types: Amazon SES, "complaint object".
 */
static void test_complaints_suppress_but_not_those_that_take_it_back(void **state)
{
    (void)state;
    static const row_t rows[] = {
        {SAID_COMPLAINT, "abuse", "spam", "", 1, REASON_COMPLAINT, true, "complaint"},
        {SAID_COMPLAINT, "abuse", "", "", 1, REASON_COMPLAINT, true, "complaint"},
        {SAID_COMPLAINT, "", "", "", 1, REASON_COMPLAINT, true, "complaint"},
        {SAID_COMPLAINT, "fraud", "", "", 1, REASON_COMPLAINT, true, "complaint"},
        {SAID_COMPLAINT, "virus", "", "", 1, REASON_COMPLAINT, true, "complaint"},
        {SAID_COMPLAINT, "other", "", "", 1, REASON_COMPLAINT, true, "complaint"},
        {SAID_COMPLAINT, "auth-failure", "", "", 1, REASON_COMPLAINT, true, "complaint"},
        {SAID_COMPLAINT, "something new", "x", "", 1, REASON_COMPLAINT, true, "complaint"},
        {SAID_COMPLAINT, "not-spam", "", "", 1, REASON_NONE, false, "not-spam"},
        {SAID_COMPLAINT, "Not-Spam", "spam", "", 3, REASON_NONE, false, "not-spam"},
        {SAID_COMPLAINT, "", "not-spam", "", 1, REASON_NONE, false, "not-spam"},
        {SAID_COMPLAINT, "abuse", "not-spam", "", 1, REASON_COMPLAINT, true, "complaint"},
        {SAID_COMPLAINT, "", "OnAccountSuppressionList", "", 1, REASON_REJECTED, true, "rejected"},
    };
    check_rows(rows, sizeof rows / sizeof rows[0], &usual);
}

/* SES: with several recipients the notice names those that may have complained. */
static void test_one_of_several_is_a_candidate(void **state)
{
    (void)state;
    static const row_t all[] = {
        {SAID_COMPLAINT, "abuse", "", "", 2, REASON_COMPLAINT, false, "complaint"},
        {SAID_COMPLAINT, "abuse", "", "", 50, REASON_COMPLAINT, false, "complaint"},
        {SAID_REJECT, "", "", "", 2, REASON_REJECTED, false, "rejected"},
        {SAID_BOUNCE, "Permanent", "", "", 1, REASON_BOUNCE, true, "bounce"},
    };
    static const row_t none[] = {
        {SAID_COMPLAINT, "abuse", "", "", 1, REASON_COMPLAINT, true, "complaint"},
        {SAID_COMPLAINT, "abuse", "", "", 2, REASON_NONE, false, "candidate"},
        {SAID_REJECT, "", "", "", 2, REASON_NONE, false, "candidate"},
    };
    policy_t policy = usual;
    check_rows(all, sizeof all / sizeof all[0], &policy);
    policy.candidates = false;
    check_rows(none, sizeof none / sizeof none[0], &policy);
}

/* Types and sub-types: Amazon SES, "bounce types"; codes: RFC 3463. */
static void test_permanent_bounces_suppress_and_no_others(void **state)
{
    (void)state;
    static const row_t rows[] = {
        {SAID_BOUNCE, "Permanent", "General", "bounced", 1, REASON_BOUNCE, true, "bounce"},
        {SAID_BOUNCE, "permanent", "NoEmail", "5.1.1", 1, REASON_BOUNCE, true, "bounce"},
        {SAID_BOUNCE, "Permanent", "", "", 1, REASON_BOUNCE, true, "bounce"},
        {SAID_BOUNCE, "Transient", "MailboxFull", "5.2.2", 1, REASON_NONE, false, "not-permanent"},
        {SAID_BOUNCE, "Undetermined", "Undetermined", "", 1, REASON_NONE, false, "not-permanent"},
        {SAID_BOUNCE, "", "", "5.1.1", 1, REASON_NONE, false, "not-permanent"},
        {SAID_BOUNCE, "Permanent", "General", "5.7.1", 1, REASON_NONE, false, "about-the-sender"},
        {SAID_BOUNCE, "Permanent", "General", "smtp; 550 5.7.26 unauthenticated", 1, REASON_NONE,
         false, "about-the-sender"},
        {SAID_BOUNCE, "Permanent", "General", "smtp; 550 5.1.1 see 5.7.1", 1, REASON_BOUNCE, true,
         "bounce"},
        {SAID_BOUNCE, "Permanent", "Suppressed", "", 1, REASON_REJECTED, true, "rejected"},
        {SAID_BOUNCE, "Permanent", "OnAccountSuppressionList", "", 1, REASON_REJECTED, true,
         "rejected"},
    };
    check_rows(rows, sizeof rows / sizeof rows[0], &usual);
}

static void test_settings_switch_bounces_and_rejects_off(void **state)
{
    (void)state;
    static const row_t rows[] = {
        {SAID_BOUNCE, "Permanent", "General", "", 1, REASON_NONE, false, "bounces-off"},
        {SAID_REJECT, "", "", "", 1, REASON_NONE, false, "rejects-off"},
        {SAID_BOUNCE, "Permanent", "Suppressed", "", 1, REASON_NONE, false, "rejects-off"},
        {SAID_COMPLAINT, "abuse", "", "", 1, REASON_COMPLAINT, true, "complaint"},
        {SAID_ADD, "", "", "", 1, REASON_MANUAL, true, "added"},
    };
    policy_t policy = {.candidates = true};
    check_rows(rows, sizeof rows / sizeof rows[0], &policy);
}

/* --- the state
 * -------------------------------------------------------------------------------------
 */

static void test_one_complaint_suppresses_and_the_next_is_counted(void **state)
{
    (void)state;
    state_t now = {.removed = false};
    fact_t first = fact(SAID_COMPLAINT, 2000);
    fact_t earlier = fact(SAID_COMPLAINT, 1000);
    earlier.event_id = "evt_0";
    assert_int_equal(suppress_reason(&now), REASON_NONE);
    assert_int_equal(take(&now, &first), STEP_SUPPRESSED);
    assert_int_equal(take(&now, &earlier), STEP_COUNTED);
    const evidence_t *evidence = &now.of[REASON_COMPLAINT];
    assert_int_equal(suppress_reason(&now), REASON_COMPLAINT);
    assert_int_equal(suppress_count(evidence), 2);
    assert_int_equal(evidence->first_ms, 1000);
    assert_int_equal(evidence->last_ms, 2000);
    assert_string_equal(evidence->event_id, "evt_0");
}

static void test_the_strongest_reason_is_shown(void **state)
{
    (void)state;
    state_t now = {.removed = false};
    static const said_t order[] = {SAID_REJECT, SAID_BOUNCE, SAID_ADD, SAID_COMPLAINT};
    static const reason_t shown[] = {REASON_REJECTED, REASON_BOUNCE, REASON_MANUAL,
                                     REASON_COMPLAINT};
    for (size_t i = 0; i < 4; i++) {
        fact_t said = fact(order[i], (int64_t)i + 1);
        said.type = order[i] == SAID_BOUNCE ? "Permanent" : "";
        take(&now, &said);
        assert_int_equal(suppress_reason(&now), shown[i]);
    }
}

static void test_a_certain_complaint_ends_the_ambiguity(void **state)
{
    (void)state;
    state_t now = {.removed = false};
    fact_t perhaps = fact(SAID_COMPLAINT, 1);
    fact_t surely = fact(SAID_COMPLAINT, 2);
    perhaps.candidates = 3;
    take(&now, &perhaps);
    assert_false(now.of[REASON_COMPLAINT].certain);
    take(&now, &surely);
    assert_true(now.of[REASON_COMPLAINT].certain);
    take(&now, &perhaps);
    assert_true(now.of[REASON_COMPLAINT].certain);
}

static void test_a_removal_holds_against_the_past_and_not_against_the_future(void **state)
{
    (void)state;
    state_t now = {.removed = false};
    fact_t complaint = fact(SAID_COMPLAINT, 1000);
    fact_t removal = fact(SAID_REMOVE, 5000);
    fact_t old = fact(SAID_COMPLAINT, 4999);
    fact_t same = fact(SAID_COMPLAINT, 5000);
    fact_t later = fact(SAID_COMPLAINT, 5001);
    take(&now, &complaint);
    assert_int_equal(take(&now, &removal), STEP_REMOVED);
    assert_int_equal(suppress_reason(&now), REASON_NONE);
    assert_int_equal(take(&now, &complaint), STEP_OLD);
    assert_int_equal(take(&now, &old), STEP_OLD);
    assert_int_equal(take(&now, &same), STEP_OLD);
    assert_int_equal(suppress_reason(&now), REASON_NONE);
    assert_int_equal(take(&now, &later), STEP_SUPPRESSED);
    assert_int_equal(suppress_count(&now.of[REASON_COMPLAINT]), 1);
    assert_int_equal(now.of[REASON_COMPLAINT].first_ms, 5001);
}

static void test_a_persons_acts_hold_whatever_the_clocks_say(void **state)
{
    (void)state;
    /* the gateway's clock is ahead: what is known lies in our future */
    assert_int_equal(suppress_remove_time(1000, 3000), 3000);
    assert_int_equal(suppress_remove_time(3000, 1000), 3000);
    /* added right after it was taken off */
    assert_int_equal(suppress_add_time(1000, true, 3000), 3001);
    assert_int_equal(suppress_add_time(3000, true, 3000), 3001);
    assert_int_equal(suppress_add_time(4000, true, 3000), 4000);
    assert_int_equal(suppress_add_time(1000, false, 3000), 1000);
}

/* --- imports
 * ---------------------------------------------------------------------------------------
 */

static step_t import(state_t *now, int64_t first_ms, int64_t last_ms, int64_t count, int64_t later)
{
    fact_t said = fact(SAID_IMPORT, last_ms);
    said.reason = REASON_COMPLAINT;
    said.first_ms = first_ms;
    said.count = count;
    judgement_t judgement = suppress_judge(&said, &usual);
    return suppress_step(now, &said, &judgement, later);
}

static void test_an_import_states_a_count_and_later_events_come_on_top(void **state)
{
    (void)state;
    state_t now = {.removed = false};
    fact_t known = fact(SAID_COMPLAINT, 2000);
    fact_t later = fact(SAID_COMPLAINT, 6000);
    const evidence_t *evidence = &now.of[REASON_COMPLAINT];
    assert_int_equal(import(&now, 1000, 5000, 3, 0), STEP_SUPPRESSED);
    assert_int_equal(suppress_count(evidence), 3);
    assert_int_equal(evidence->first_ms, 1000);
    assert_int_equal(evidence->last_ms, 5000);
    take(&now, &known); /* one of the three */
    assert_int_equal(suppress_count(evidence), 3);
    take(&now, &later);
    assert_int_equal(suppress_count(evidence), 4);
    assert_int_equal(import(&now, 1000, 5000, 2, 1), STEP_COUNTED); /* says less */
    assert_int_equal(suppress_count(evidence), 4);
}

static void test_ones_own_export_changes_nothing(void **state)
{
    (void)state;
    state_t now = {.removed = false};
    for (int64_t i = 1; i <= 3; i++) {
        fact_t said = fact(SAID_COMPLAINT, i * 1000);
        take(&now, &said);
    }
    assert_int_equal(import(&now, 1000, 3000, 3, 0), STEP_COUNTED);
    assert_int_equal(suppress_count(&now.of[REASON_COMPLAINT]), 3);
    assert_int_equal(now.of[REASON_COMPLAINT].first_ms, 1000);
    assert_int_equal(now.of[REASON_COMPLAINT].last_ms, 3000);
}

/* --- any order
 * --------------------------------------------------------------------------------------
 */

enum { FACTS = 40, ORDERS = 200 };

/* Reproducible, and the same everywhere. */
static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return *seed >> 16;
}

static void make_facts(fact_t facts[FACTS], char ids[FACTS][16], unsigned *seed)
{
    static const said_t kinds[] = {SAID_COMPLAINT, SAID_BOUNCE, SAID_REJECT};
    for (int i = 0; i < FACTS; i++) {
        /* few different times: ties must be decided too */
        facts[i] = fact(kinds[next_random(seed) % 3], (int64_t)(next_random(seed) % 10) * 1000);
        snprintf(ids[i], sizeof ids[i], "evt_%d", i);
        facts[i].id = facts[i].event_id = ids[i];
        facts[i].type = facts[i].said == SAID_BOUNCE ? "Permanent" : "";
        facts[i].candidates = 1 + next_random(seed) % 2;
        facts[i].address = next_random(seed) % 2 ? "Jane@example.com" : "jane@example.com";
    }
}

static void shuffle(int order[FACTS], unsigned *seed)
{
    for (int i = FACTS - 1; i > 0; i--) {
        int j = (int)(next_random(seed) % (unsigned)(i + 1));
        int other = order[i];
        order[i] = order[j];
        order[j] = other;
    }
}

static void assert_same(const state_t *a, const state_t *b)
{
    assert_int_equal(suppress_reason(a), suppress_reason(b));
    for (int i = 0; i < REASONS; i++) {
        const evidence_t *one = &a->of[i];
        const evidence_t *other = &b->of[i];
        assert_int_equal(suppress_count(one), suppress_count(other));
        assert_int_equal(one->first_ms, other->first_ms);
        assert_int_equal(one->last_ms, other->last_ms);
        assert_int_equal(one->certain, other->certain);
        if (one->event_id != NULL) {
            assert_string_equal(one->event_id, other->event_id);
            assert_string_equal(one->address, other->address);
        }
    }
}

static void test_events_in_any_order_give_the_same_state(void **state)
{
    (void)state;
    fact_t facts[FACTS];
    char ids[FACTS][16];
    int order[FACTS];
    unsigned seed = 7;
    make_facts(facts, ids, &seed);
    state_t expected = {.removed = true, .removed_ms = 2000};
    int64_t counted = 0;
    for (int i = 0; i < FACTS; i++) {
        order[i] = i;
        take(&expected, &facts[i]);
        counted += facts[i].time_ms > 2000;
    }
    int64_t in_all = 0;
    for (int i = 0; i < REASONS; i++) {
        in_all += suppress_count(&expected.of[i]);
    }
    assert_int_equal(in_all, counted);
    for (int round = 0; round < ORDERS; round++) {
        state_t now = {.removed = true, .removed_ms = 2000};
        shuffle(order, &seed);
        for (int i = 0; i < FACTS; i++) {
            take(&now, &facts[order[i]]);
        }
        assert_same(&now, &expected);
    }
}

static void test_names_go_there_and_back(void **state)
{
    (void)state;
    for (int i = 0; i < REASONS; i++) {
        assert_int_equal(reason_of(reason_name((reason_t)i)), i);
    }
    assert_int_equal(reason_of("spite"), REASON_NONE);
    assert_string_equal(reason_name(REASON_NONE), "");
    for (int i = SAID_COMPLAINT; i <= SAID_REMOVE; i++) {
        said_t said;
        assert_true(said_of(said_name((said_t)i), &said));
        assert_int_equal(said, i);
    }
    said_t said;
    assert_false(said_of("whispered", &said));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_complaints_suppress_but_not_those_that_take_it_back),
        cmocka_unit_test(test_one_of_several_is_a_candidate),
        cmocka_unit_test(test_permanent_bounces_suppress_and_no_others),
        cmocka_unit_test(test_settings_switch_bounces_and_rejects_off),
        cmocka_unit_test(test_one_complaint_suppresses_and_the_next_is_counted),
        cmocka_unit_test(test_the_strongest_reason_is_shown),
        cmocka_unit_test(test_a_certain_complaint_ends_the_ambiguity),
        cmocka_unit_test(test_a_removal_holds_against_the_past_and_not_against_the_future),
        cmocka_unit_test(test_a_persons_acts_hold_whatever_the_clocks_say),
        cmocka_unit_test(test_an_import_states_a_count_and_later_events_come_on_top),
        cmocka_unit_test(test_ones_own_export_changes_nothing),
        cmocka_unit_test(test_events_in_any_order_give_the_same_state),
        cmocka_unit_test(test_names_go_there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
