/* answer.h: may one send to an address? Asked of a file that another connection writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "events.h"

#include "answer.h"
#include "db.h"
#include "folder.h"
#include "mailbus/check.h"

static const machine_limits_t limits = {.soft_count = 3,
                                        .soft_window_ms = 7 * DAY,
                                        .first_pause_ms = 7 * DAY,
                                        .later_pause_ms = 30 * DAY};

typedef struct {
    char *folder;
    char path[600];
    sqlite3 *db;
    mb_db_lock_t *lock;
    answer_t *answer;
    char reason[MAILBUS_CHECK_REASON_MAX];
    int64_t until_ms;
} fixture_t;

static int set_up(void **state)
{
    static const mb_db_options_t options = {.page_size = 4096, .journal_limit = 1 << 20};
    fixture_t *self = calloc(1, sizeof *self);
    self->folder = folder_make();
    folder_path(self->folder, "bounces.db", self->path, sizeof self->path);
    *state = self;
    return mb_db_open_writer(self->path, &options, &self->db, &self->lock, NULL, NULL) ==
                       MAILBUS_OK &&
                   mb_db_exec(self->db, ledger_schema, NULL) == MAILBUS_OK &&
                   answer_new(self->path, &self->answer, NULL) == MAILBUS_OK
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    fixture_t *self = *state;
    answer_destroy(&self->answer);
    mb_db_close(&self->db);
    mb_db_unlock(&self->lock);
    folder_remove(&self->folder);
    free(self);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static answer_verdict_t ask(fixture_t *self, const char *address, int64_t now_ms)
{
    mailbus_error_t error = {0};
    self->reason[0] = '\0';
    self->until_ms = -1;
    return answer_ask(self->answer, address, &limits, now_ms, self->reason, sizeof self->reason,
                      &self->until_ms, &error);
}

static void test_answers_follow_the_list_at_once(void **state)
{
    fixture_t *self = *state;
    assert_int_equal(ask(self, "jane@x.example", MONDAY), ANSWER_YES);
    events_bounce(self->db, "b", "Jane@x.example", "Permanent", "5.1.1", MONDAY);
    assert_int_equal(ask(self, "JANE@x.example", MONDAY + DAY), ANSWER_NO);
    assert_int_equal(self->until_ms, 0);
    assert_string_equal(self->reason, "mail to it bounced for good at 2026-10-12T00:00:00.000Z: "
                                      "5.1.1 Permanent/General");
    assert_int_equal(ledger_clear(self->db, "jane@x.example", "x", MONDAY + DAY, NULL), MAILBUS_OK);
    assert_int_equal(ask(self, "jane@x.example", MONDAY + DAY), ANSWER_YES);
}

static void test_a_pause_says_until_when(void **state)
{
    fixture_t *self = *state;
    events_bounce(self->db, "b1", "jane@x.example", "Transient", "4.2.2", MONDAY);
    events_bounce(self->db, "b2", "jane@x.example", "Transient", "4.2.2", MONDAY + 1);
    assert_int_equal(ask(self, "jane@x.example", MONDAY + 2), ANSWER_YES);
    events_bounce(self->db, "b3", "jane@x.example", "Transient", "4.2.2", MONDAY + 2);
    assert_int_equal(ask(self, "jane@x.example", MONDAY + 2), ANSWER_NO);
    assert_int_equal(self->until_ms, MONDAY + 2 + 7 * DAY);
    assert_non_null(strstr(self->reason, "3 soft bounces"));
    assert_int_equal(ask(self, "jane@x.example", MONDAY + 2 + 7 * DAY), ANSWER_YES);
}

static void test_a_list_that_cannot_be_read_gives_no_answer_until_it_can(void **state)
{
    fixture_t *self = *state;
    char aside[640];
    snprintf(aside, sizeof aside, "%s.aside", self->path);
    events_bounce(self->db, "b", "jane@x.example", "Permanent", "5.1.1", MONDAY);
    assert_int_equal(mb_db_exec(self->db, "ALTER TABLE history RENAME TO lost", NULL), MAILBUS_OK);
    assert_int_equal(ask(self, "joe@x.example", MONDAY), ANSWER_SILENT);
    assert_int_equal(mb_db_exec(self->db, "ALTER TABLE lost RENAME TO history", NULL), MAILBUS_OK);
    assert_int_equal(ask(self, "joe@x.example", MONDAY), ANSWER_YES);
    assert_int_equal(ask(self, "jane@x.example", MONDAY), ANSWER_NO);
    assert_int_equal(rename(self->path, aside), 0);
    assert_int_equal(ask(self, "joe@x.example", MONDAY), ANSWER_SILENT);
    assert_int_equal(ask(self, "joe@x.example", MONDAY), ANSWER_SILENT);
    assert_int_equal(rename(aside, self->path), 0);
    assert_int_equal(ask(self, "joe@x.example", MONDAY), ANSWER_YES);
}

static void test_a_long_reason_is_cut_to_one_line(void **state)
{
    fixture_t *self = *state;
    char status[400];
    memset(status, 'x', sizeof status - 1);
    status[sizeof status - 1] = '\0';
    events_bounce(self->db, "b", "jane@x.example", "Permanent", status, MONDAY);
    assert_int_equal(ask(self, "jane@x.example", MONDAY), ANSWER_NO);
    assert_true(strlen(self->reason) < 300);
}

static void test_no_file_is_no_list(void **state)
{
    fixture_t *self = *state;
    answer_t *answer = NULL;
    char path[700];
    folder_path(self->folder, "nothing.db", path, sizeof path);
    assert_int_equal(answer_new(path, &answer, NULL), MAILBUS_ENOTFOUND);
    assert_null(answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_answers_follow_the_list_at_once),
        TEST(test_a_pause_says_until_when),
        TEST(test_a_list_that_cannot_be_read_gives_no_answer_until_it_can),
        TEST(test_a_long_reason_is_cut_to_one_line),
        TEST(test_no_file_is_no_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
