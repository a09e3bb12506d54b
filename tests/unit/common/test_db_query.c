/* db_query.h: values in, rows out. db_live.h: a reader that notices what happens to its file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "db_live.h"
#include "db_query.h"
#include "folder.h"

#define T MB_TEXT_VALUE
#define N MB_NUMBER_VALUE

typedef struct {
    char *folder;
    char path[600];
    sqlite3 *db;
    mb_db_lock_t *lock;
} fixture_t;

static int set_up(void **state)
{
    static const mb_db_options_t options = {.page_size = 4096, .journal_limit = 1 << 20};
    fixture_t *self = calloc(1, sizeof *self);
    self->folder = folder_make();
    folder_path(self->folder, "test.db", self->path, sizeof self->path);
    if (mb_db_open_writer(self->path, &options, &self->db, &self->lock, NULL, NULL) != MAILBUS_OK ||
        mb_db_exec(self->db, "CREATE TABLE people(name TEXT PRIMARY KEY, age INTEGER) STRICT",
                   NULL) != MAILBUS_OK) {
        return -1;
    }
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *self = *state;
    mb_db_close(&self->db);
    mb_db_unlock(&self->lock);
    folder_remove(&self->folder);
    free(self);
    return 0;
}

static void add(sqlite3 *db, const char *name, int64_t age)
{
    assert_int_equal(mb_db_change(db, "INSERT INTO people VALUES(?,?)",
                                  (mb_db_value_t[]){T(name), N(age)}, 2, NULL),
                     MAILBUS_OK);
}

static void test_values_are_bound_and_rows_come_back(void **state)
{
    fixture_t *self = *state;
    add(self->db, "o'neill", 41);
    add(self->db, "jane", 30);
    sqlite3_stmt *stmt = NULL;
    mailbus_code_t code = mb_db_query(self->db, "SELECT name FROM people WHERE age > ? ORDER BY 1",
                                      (mb_db_value_t[]){N(20)}, 1, &stmt, NULL);
    assert_int_equal(code, MAILBUS_OK);
    assert_true(mb_db_next(stmt, &code, NULL));
    assert_string_equal(mb_db_text(stmt, 0), "jane");
    assert_true(mb_db_next(stmt, &code, NULL));
    assert_string_equal(mb_db_text(stmt, 0), "o'neill");
    assert_false(mb_db_next(stmt, &code, NULL));
    assert_int_equal(code, MAILBUS_OK);
    sqlite3_finalize(stmt);
    int64_t numbers[2] = {0, 0};
    assert_int_equal(
        mb_db_numbers(self->db, "SELECT count(*), max(age) FROM people", NULL, 0, numbers, 2, NULL),
        MAILBUS_OK);
    assert_int_equal(numbers[0], 2);
    assert_int_equal(numbers[1], 41);
}

static void test_failures_are_told(void **state)
{
    fixture_t *self = *state;
    mailbus_error_t error = {0};
    int64_t number = 7;
    add(self->db, "jane", 30);
    assert_int_equal(
        mb_db_change(self->db, "INSERT INTO people VALUES('jane', 1)", NULL, 0, &error),
        MAILBUS_EIO);
    assert_int_equal(mb_db_change(self->db, "SELEKT", NULL, 0, &error), MAILBUS_EIO);
    /* more values than places */
    assert_int_equal(
        mb_db_numbers(self->db, "SELECT 1", (mb_db_value_t[]){N(1)}, 1, &number, 1, &error),
        MAILBUS_EIO);
    assert_int_equal(mb_db_numbers(self->db, "SELECT age FROM people WHERE name = ?",
                                   (mb_db_value_t[]){T("nobody")}, 1, &number, 1, &error),
                     MAILBUS_ENOTFOUND);
    assert_int_equal(number, 7);
}

static mailbus_code_t count(mb_db_live_t *live, int64_t *ret_count)
{
    sqlite3 *db = NULL;
    mailbus_code_t code = mb_db_live_begin(live, &db, NULL);
    if (code == MAILBUS_OK) {
        code = mb_db_numbers(db, "SELECT count(*) FROM people WHERE age > 0", NULL, 0, ret_count, 1,
                             NULL);
        mb_db_live_end(live);
    }
    return code;
}

static void test_a_live_reader_sees_every_commit(void **state)
{
    fixture_t *self = *state;
    mb_db_live_t *live = NULL;
    int64_t people = -1;
    assert_int_equal(mb_db_live_open(self->path, &live, NULL), MAILBUS_OK);
    assert_int_equal(count(live, &people), MAILBUS_OK);
    assert_int_equal(people, 0);
    add(self->db, "jane", 30);
    assert_int_equal(count(live, &people), MAILBUS_OK);
    assert_int_equal(people, 1);
    mb_db_live_close(&live);
    assert_null(live);
}

static void test_a_live_reader_notices_a_file_that_is_gone_or_another_one(void **state)
{
    fixture_t *self = *state;
    mb_db_live_t *live = NULL;
    int64_t people = 0;
    char aside[640];
    snprintf(aside, sizeof aside, "%s.aside", self->path);
    assert_int_equal(mb_db_live_open(self->path, &live, NULL), MAILBUS_OK);
    assert_int_equal(rename(self->path, aside), 0);
    assert_int_equal(count(live, &people), MAILBUS_EIO);
    folder_write(self->path, "another", 0600);
    assert_int_equal(count(live, &people), MAILBUS_EIO);
    assert_int_equal(rename(aside, self->path), 0);
    assert_int_equal(count(live, &people), MAILBUS_OK);
    mb_db_live_close(&live);
    assert_int_equal(mb_db_live_open("/nowhere/at/all.db", &live, NULL), MAILBUS_ENOTFOUND);
}

static void test_a_live_reader_notices_damage_under_what_it_has_read(void **state)
{
    fixture_t *self = *state;
    mb_db_live_t *live = NULL;
    int64_t people = 0;
    add(self->db, "jane", 30);
    assert_int_equal(mb_db_exec(self->db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL), MAILBUS_OK);
    assert_int_equal(mb_db_live_open(self->path, &live, NULL), MAILBUS_OK);
    assert_int_equal(count(live, &people), MAILBUS_OK);
    FILE *file = fopen(self->path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, 4096, SEEK_SET), 0); /* all pages but the first */
    for (int i = 0; i < 16 * 4096; i++) {
        fputc(0xA5, file);
    }
    fclose(file);
    assert_int_equal(count(live, &people), MAILBUS_EIO);
    mb_db_live_close(&live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_values_are_bound_and_rows_come_back, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_failures_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_live_reader_sees_every_commit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_a_live_reader_notices_a_file_that_is_gone_or_another_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_live_reader_notices_damage_under_what_it_has_read,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
