/* listed.h: may I send to it? Never yes where the list can't be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "desk.h"
#include "folder.h"
#include "suppression/listed.h"

static listed_t *open_listed(const desk_t *desk)
{
    listed_t *listed = NULL;
    mailbus_error_t error = {0};
    if (listed_new(desk->path, &listed, &error) != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
    return listed;
}

static void assert_verdict(listed_t *listed, const char *address, listed_verdict_t expected)
{
    char reason[512] = "";
    mailbus_error_t error = {0};
    listed_verdict_t verdict = listed_ask(listed, address, reason, sizeof reason, &error);
    if (verdict != expected) {
        fail_msg("%s: %d, %s%s", address, (int)verdict, reason, error.text);
    }
    assert_true((verdict == LISTED) == (reason[0] != '\0'));
}

static void test_addresses_domains_and_domains_below(void **state)
{
    desk_t *desk = *state;
    listed_t *listed = open_listed(desk);
    desk_complaint(desk->db, "Jane@example.com", "e1", 1000);
    desk_complaint(desk->db, "*@hostile.example", "e2", 1000); /* a mailbox, whatever its name */
    desk_complaint(desk->db, "jo@xn--mller-kva.example", "e3", 1000);
    desk_add(desk->db, "*@rival.example", "no business", 1000);
    desk_add(desk->db, "*@*.below.example", "none of them", 1000);
    static const struct {
        const char *address;
        listed_verdict_t verdict;
    } rows[] = {
        {"jane@EXAMPLE.com", LISTED},         {"jane+x@example.com", LISTED_NOT},
        {"joe@example.com", LISTED_NOT},      {"anyone@rival.example", LISTED},
        {"ANYONE@Rival.Example", LISTED},     {"a@sub.rival.example", LISTED_NOT},
        {"a@below.example", LISTED_NOT},      {"a@x.below.example", LISTED},
        {"a@y.x.below.example", LISTED},      {"a@notbelow.example", LISTED_NOT},
        {"a@hostile.example", LISTED_NOT},    {"*@hostile.example", LISTED},
        {"jo@m\xc3\xbcller.example", LISTED}, {"\"jane\"@other.example", LISTED_NOT},
        {"a' OR '1'='1@x.y", LISTED_NOT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_verdict(listed, rows[i].address, rows[i].verdict);
    }
    listed_destroy(&listed);
    assert_null(listed);
}

static void test_the_reason_says_what_is_known(void **state)
{
    desk_t *desk = *state;
    listed_t *listed = open_listed(desk);
    char reason[512];
    desk_complaint(desk->db, "jane@example.com", "e1", 0);
    desk_complaint(desk->db, "jane@example.com", "e2", 5);
    desk_add(desk->db, "*@rival.example", "no business", 0);
    listed_ask(listed, "jane@example.com", reason, sizeof reason, NULL);
    assert_string_equal(reason, "complaint of 1970-01-01T00:00:00.000Z, 2 in all");
    listed_ask(listed, "a@rival.example", reason, sizeof reason, NULL);
    assert_string_equal(reason, "*@rival.example: manual of 1970-01-01T00:00:00.000Z: no business");
    char small[8];
    assert_int_equal(listed_ask(listed, "jane@example.com", small, sizeof small, NULL), LISTED);
    assert_string_equal(small, "complai");
    listed_destroy(&listed);
}

static void test_a_file_that_is_gone_or_another_one_is_answered_by_silence(void **state)
{
    desk_t *desk = *state;
    listed_t *listed = open_listed(desk);
    char aside[640];
    desk_complaint(desk->db, "jane@example.com", "e1", 1000);
    assert_verdict(listed, "jane@example.com", LISTED);
    assert_verdict(listed, "joe@example.com", LISTED_NOT);
    snprintf(aside, sizeof aside, "%s.aside", desk->path);
    assert_int_equal(rename(desk->path, aside), 0);
    assert_verdict(listed, "jane@example.com", LISTED_SILENT);
    assert_verdict(listed, "joe@example.com", LISTED_SILENT);
    desk_t *other = desk_open(); /* an empty list, as good as any other */
    assert_int_equal(rename(other->path, desk->path), 0);
    assert_verdict(listed, "joe@example.com", LISTED_SILENT);
    assert_int_equal(rename(aside, desk->path), 0);
    assert_verdict(listed, "joe@example.com", LISTED_NOT);
    listed_destroy(&listed);
    desk_close(&other);
}

static void test_a_damaged_or_truncated_file_is_answered_by_silence(void **state)
{
    desk_t *desk = *state;
    listed_t *listed = open_listed(desk);
    desk_complaint(desk->db, "jane@example.com", "e1", 1000);
    assert_int_equal(mb_db_exec(desk->db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL), MAILBUS_OK);
    assert_verdict(listed, "joe@example.com", LISTED_NOT);
    FILE *file = fopen(desk->path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    rewind(file);
    for (long i = 0; i < size; i++) {
        fputc((int)(i * 31 & 0xff), file);
    }
    fclose(file);
    assert_verdict(listed, "joe@example.com", LISTED_SILENT);
    assert_verdict(listed, "jane@example.com", LISTED_SILENT);
    assert_int_equal(truncate(desk->path, 0), 0);
    assert_verdict(listed, "joe@example.com", LISTED_SILENT);
    listed_destroy(&listed);
}

static void test_a_list_without_tables_is_answered_by_silence(void **state)
{
    desk_t *desk = *state;
    listed_t *listed = open_listed(desk);
    assert_int_equal(mb_db_exec(desk->db, "DROP TABLE entries", NULL), MAILBUS_OK);
    assert_verdict(listed, "joe@example.com", LISTED_SILENT);
    listed_destroy(&listed);
    assert_int_equal(listed_new("/nowhere/at/all.db", &listed, NULL), MAILBUS_ENOTFOUND);
}

#define DESK_TEST(name) cmocka_unit_test_setup_teardown(name, desk_set_up, desk_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DESK_TEST(test_addresses_domains_and_domains_below),
        DESK_TEST(test_the_reason_says_what_is_known),
        DESK_TEST(test_a_file_that_is_gone_or_another_one_is_answered_by_silence),
        DESK_TEST(test_a_damaged_or_truncated_file_is_answered_by_silence),
        DESK_TEST(test_a_list_without_tables_is_answered_by_silence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
