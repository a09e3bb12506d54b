/* The tables: contents once, files, effects, the index, what is thrown away; and what people ask.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "archive.h"
#include "archive_commands.h"
#include "db.h"
#include "mailbus/json.h"

#define DAY INT64_C(86400000)

static int set_up(void **state)
{
    sqlite3 *db = NULL;
    char *schema = archive_schema();
    assert_non_null(schema);
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    for (int i = 0; i < 2; i++) { /* the second start finds everything there */
        assert_int_equal(mb_db_exec(db, schema, NULL), MAILBUS_OK);
    }
    free(schema);
    *state = db;
    return 0;
}

static int tear_down(void **state)
{
    sqlite3 *db = *state;
    mb_db_close(&db);
    return 0;
}

static void put(sqlite3 *db, const char *sha256, const char *text, int64_t now_ms)
{
    document_t document = {.size = 100, .extracted_ms = now_ms, .setup = "s"};
    document.extraction = (extraction_t){.status = text[0] != '\0' ? EXTRACT_OK : EXTRACT_CORRUPT,
                                         .type = "application/pdf",
                                         .engine = "pdftotext",
                                         .version = "22",
                                         .pages = 3};
    snprintf(document.sha256, sizeof document.sha256, "%s", sha256);
    mailbus_buf_text(&document.extraction.text, text);
    assert_int_equal(archive_put_document(db, &document, NULL), MAILBUS_OK);
    document_free(&document);
}

static void put_file(sqlite3 *db, const char *event, int place, const char *sha256, int64_t now_ms)
{
    const archive_mail_t mail = {.event_id = event,
                                 .inbox = "support@x",
                                 .message_id = "<m@x>",
                                 .sender = "jane@x",
                                 .subject = "s",
                                 .attachments = 1,
                                 .now_ms = now_ms};
    const archive_claim_t claim = {.filename = "a.pdf", .type = "application/pdf", .size = 100};
    archive_file_t file = {.ended = true, .status = EXTRACT_OK, .size = 100, .time_ms = now_ms};
    snprintf(file.sha256, sizeof file.sha256, "%s", sha256);
    assert_int_equal(archive_put_mail(db, &mail, NULL), MAILBUS_OK);
    assert_int_equal(archive_put_file(db, event, place, &claim, &file, NULL), MAILBUS_OK);
}

static int64_t count(sqlite3 *db, const char *sql)
{
    int64_t number = -1;
    assert_int_equal(mb_db_integer(db, sql, &number, NULL), MAILBUS_OK);
    return number;
}

/* The answer's tree, to be deleted; NULL and *ret_code otherwise. */
static cJSON *ask(sqlite3 *db, const char *command, const char *request, mailbus_code_t *ret_code)
{
    mailbus_buf_t answer = MAILBUS_BUF_INIT;
    mailbus_error_t error = {0};
    cJSON *tree = NULL;
    const mailbus_command_t *row = archive_commands;
    while (strcmp(row->name, command) != 0) {
        row++;
    }
    *ret_code = row->run(db, request, strlen(request), 0, &answer, &error);
    if (*ret_code == MAILBUS_OK) {
        assert_int_equal(mailbus_json_parse(answer.data, answer.size, &tree, NULL), MAILBUS_OK);
    }
    mailbus_buf_free(&answer);
    return tree;
}

static int search(sqlite3 *db, const char *words)
{
    char request[300];
    mailbus_code_t code;
    snprintf(request, sizeof request, "{\"words\":%s}", words);
    cJSON *tree = ask(db, "search", request, &code);
    assert_int_equal(code, MAILBUS_OK);
    int rows = cJSON_GetArraySize(mailbus_json_item(tree, "rows"));
    cJSON_Delete(tree);
    return rows;
}

static void test_a_content_is_kept_once_and_replaced_whole(void **state)
{
    sqlite3 *db = *state;
    document_t document = {.size = 0};
    assert_int_equal(archive_find_document(db, "aa", &document, NULL), MAILBUS_ENOTFOUND);
    put(db, "aa", "", 1000);
    put(db, "aa", "Zweiter Versuch mit Erfolg", 2000);
    assert_int_equal(archive_find_document(db, "aa", &document, NULL), MAILBUS_OK);
    assert_int_equal(document.extraction.status, EXTRACT_OK);
    assert_string_equal(document.extraction.text.data, "Zweiter Versuch mit Erfolg");
    assert_string_equal(document.extraction.engine, "pdftotext");
    assert_int_equal(document.extraction.pages, 3);
    assert_int_equal(document.extracted_ms, 2000);
    document_free(&document);
    assert_int_equal(count(db, "SELECT count(*) FROM documents"), 1);
    assert_int_equal(count(db, "SELECT documents * 1000 + bytes FROM totals"), 1026);
    assert_int_equal(search(db, "[\"versuch\"]"), 1);
    put(db, "aa", "Dritter", 3000);
    assert_int_equal(search(db, "[\"versuch\"]"), 0);
    assert_int_equal(search(db, "[\"dritter\"]"), 1);
    assert_int_equal(count(db, "SELECT bytes FROM totals"), 7);
}

static void test_files_and_effects_are_found_again(void **state)
{
    sqlite3 *db = *state;
    const archive_claim_t claim = {.filename = NULL, .type = NULL, .size = -1};
    archive_file_t file = {.tries = 2, .time_ms = 5};
    archive_file_t found;
    char effect[ARCHIVE_STATE_SIZE];
    char *detail = NULL;
    assert_int_equal(archive_find_file(db, "evt", 1, &found, NULL), MAILBUS_ENOTFOUND);
    assert_int_equal(archive_put_file(db, "evt", 1, &claim, &file, NULL), MAILBUS_OK);
    assert_int_equal(archive_find_file(db, "evt", 1, &found, NULL), MAILBUS_OK);
    assert_false(found.ended);
    assert_int_equal(found.tries, 2);
    file.ended = true;
    file.status = EXTRACT_DOWNLOAD_FAILED;
    strcpy(file.detail, "HTTP 404");
    assert_int_equal(archive_put_file(db, "evt", 1, &claim, &file, NULL), MAILBUS_OK);
    assert_int_equal(archive_find_file(db, "evt", 1, &found, NULL), MAILBUS_OK);
    assert_true(found.ended);
    assert_int_equal(found.status, EXTRACT_DOWNLOAD_FAILED);
    assert_string_equal(found.detail, "HTTP 404");
    assert_string_equal(found.sha256, "");
    assert_int_equal(archive_find_file(db, "evt", 2, &found, NULL), MAILBUS_ENOTFOUND);

    assert_int_equal(archive_effect(db, "evt", 1, "post", effect, NULL), MAILBUS_OK);
    assert_string_equal(effect, "");
    assert_int_equal(archive_put_effect(db, "evt", 1, "post", "done", "x", 7, NULL), MAILBUS_OK);
    assert_int_equal(archive_effect(db, "evt", 1, "post", effect, NULL), MAILBUS_OK);
    assert_string_equal(effect, "done");
    assert_int_equal(archive_effect(db, "evt", 2, "post", effect, NULL), MAILBUS_OK);
    assert_string_equal(effect, "");
    assert_int_equal(archive_effect_detail(db, "evt", 1, "post", &detail, NULL), MAILBUS_OK);
    assert_string_equal(detail, "x");
    free(detail);
    assert_int_equal(archive_effect_detail(db, "evt", 1, "file", &detail, NULL), MAILBUS_ENOTFOUND);
}

static void test_search_reads_words_and_never_operators(void **state)
{
    sqlite3 *db = *state;
    static const struct {
        const char *words;
        int rows;
    } cases[] = {
        {"[\"rechnung\"]", 1},
        {"[\"RECHNUNG\",\"muller\"]", 1},
        {"[\"Müller\"]", 1},
        {"[\"für Müller\"]", 1},
        {"[\"Müller für\"]", 0},
        {"[\"rechn*\"]", 1},
        {"[\"rechn\"]", 0},
        {"[\"muller\",\"meier\"]", 0},
        {"[\"NOT\",\"meier\"]", 0},
        {"[\"rechnung OR meier\"]", 0},
        {"[\"text:rechnung\"]", 0},
        {"[\"\\\"rechnung\\\"\"]", 1},
        {"[\"rechnung\\\" OR \\\"x\"]", 0},
        {"[\"NEAR(rechnung muller)\"]", 0},
        {"[\"^rechnung\"]", 1},
        {"[\"*\"]", 0},
        {"[\"(\"]", 0},
        {"[\"'; DROP TABLE documents\"]", 0},
    };
    put(db, "aa", "Die Rechnung für Müller", 1);
    put(db, "bb", "Something else", 2);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int rows = search(db, cases[i].words);
        if (rows != cases[i].rows) {
            fail_msg("%s: %d", cases[i].words, rows);
        }
    }
}

static void test_wrong_questions_are_told(void **state)
{
    sqlite3 *db = *state;
    static const char *const cases[][2] = {
        {"search", "{}"},
        {"search", "{\"words\":[]}"},
        {"search", "{\"words\":\"a\"}"},
        {"search", "{\"words\":[\"\"]}"},
        {"search", "{\"words\":[1]}"},
        {"search", "[]"},
        {"list", "{\"limit\":0}"},
        {"list", "{\"limit\":1001}"},
        {"list", "{\"after\":\"x\"}"},
        {"list", "{\"after\":-1}"},
        {"list", "not json"},
        {"show", "{}"},
        {"show", "{\"sha256\":\"abc\"}"},
        {"show", "{\"sha256\":\"abcdeg*\"}"},
        {"show", "{\"file\":1.5}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mailbus_code_t code;
        cJSON *tree = ask(db, cases[i][0], cases[i][1], &code);
        cJSON_Delete(tree);
        if (code != MAILBUS_EINVAL) {
            fail_msg("%s %s: %s", cases[i][0], cases[i][1], mailbus_code_name(code));
        }
    }
}

static void test_lists_go_page_by_page_newest_first(void **state)
{
    sqlite3 *db = *state;
    char sha256[20];
    char request[100] = "{\"limit\":2}";
    int seen = 0;
    double last = 1e9;
    for (int i = 0; i < 5; i++) {
        snprintf(sha256, sizeof sha256, "aaaaaa%d", i);
        put(db, sha256, "same word", i);
        put_file(db, "evt", i + 1, sha256, i);
    }
    for (int pages = 0; pages < 4; pages++) {
        mailbus_code_t code;
        cJSON *tree = ask(db, "list", request, &code);
        const cJSON *row;
        cJSON_ArrayForEach(row, mailbus_json_item(tree, "rows"))
        {
            double number = cJSON_GetNumberValue(mailbus_json_item(row, "number"));
            assert_true(number < last);
            last = number;
            seen++;
            assert_string_equal(mailbus_json_string(row, "sender"), "jane@x");
        }
        const cJSON *next = mailbus_json_item(tree, "next");
        snprintf(request, sizeof request, "{\"limit\":2,\"after\":%d}",
                 cJSON_IsNumber(next) ? (int)next->valuedouble : 1);
        cJSON_Delete(tree);
    }
    assert_int_equal(seen, 5);
    assert_int_equal(search(db, "[\"word\"]"), 5);
}

static void test_show_finds_by_number_and_by_the_beginning_of_a_digest(void **state)
{
    sqlite3 *db = *state;
    mailbus_code_t code;
    static const char *const requests[] = {"{\"file\":1}", "{\"sha256\":\"abcdef\"}",
                                           "{\"sha256\":\"ABCDEF12\"}"};
    put(db, "abcdef12", "The text", 1);
    put_file(db, "evt", 1, "abcdef12", 1);
    assert_int_equal(archive_put_effect(db, "evt", 1, "post", "done", "", 7, NULL), MAILBUS_OK);
    for (size_t i = 0; i < 3; i++) {
        cJSON *tree = ask(db, "show", requests[i], &code);
        assert_int_equal(code, MAILBUS_OK);
        assert_string_equal(mailbus_json_string(tree, "text"), "The text");
        assert_string_equal(mailbus_json_string(tree, "status"), "ok");
        assert_int_equal(cJSON_GetArraySize(mailbus_json_item(tree, "effects")), 1);
        cJSON_Delete(tree);
    }
    cJSON *tree = ask(db, "show", "{\"sha256\":\"bbbbbb\"}", &code);
    assert_int_equal(code, MAILBUS_ENOTFOUND);
    assert_null(tree);
}

static void test_what_is_too_old_goes_with_all_its_rows(void **state)
{
    sqlite3 *db = *state;
    const archive_keep_t keep = {.keep_ms = 7 * DAY};
    int64_t gone = 0;
    put(db, "old", "old text", DAY);
    put(db, "again", "old but seen again", DAY);
    put(db, "new", "new text", 5 * DAY);
    put_file(db, "evt_old", 1, "old", DAY);
    put_file(db, "evt_new", 1, "new", 5 * DAY);
    assert_int_equal(archive_put_effect(db, "evt_old", 1, "post", "done", "", 1, NULL), MAILBUS_OK);
    assert_int_equal(archive_seen(db, "again", 6 * DAY, NULL), MAILBUS_OK);
    assert_int_equal(archive_prune(db, &keep, 9 * DAY, &gone, NULL), MAILBUS_OK);
    assert_int_equal(gone, 1);
    assert_int_equal(count(db, "SELECT count(*) FROM documents"), 2);
    assert_int_equal(count(db, "SELECT count(*) FROM mails"), 1);
    assert_int_equal(count(db, "SELECT count(*) FROM files"), 1);
    assert_int_equal(count(db, "SELECT count(*) FROM effects"), 0);
    assert_int_equal(search(db, "[\"old\"]"), 1);
    const archive_keep_t for_ever = {.keep_ms = 0};
    assert_int_equal(archive_prune(db, &for_ever, 9000 * DAY, &gone, NULL), MAILBUS_OK);
    assert_int_equal(gone, 0);
}

static void test_texts_beyond_the_size_go_those_not_seen_for_longest_first(void **state)
{
    sqlite3 *db = *state;
    const archive_keep_t keep = {.max_bytes = 20};
    int64_t gone = 0;
    put(db, "first", "0123456789", 1);
    put(db, "empty", "", 1);
    put(db, "second", "1123456789", 2);
    put(db, "third", "2123456789", 3);
    assert_int_equal(archive_seen(db, "first", 4, NULL), MAILBUS_OK);
    assert_int_equal(archive_prune(db, &keep, 5, &gone, NULL), MAILBUS_OK);
    assert_int_equal(gone, 1);
    assert_int_equal(search(db, "[\"1123456789\"]"), 0);
    assert_int_equal(search(db, "[\"0123456789\"]"), 1);
    assert_int_equal(count(db, "SELECT bytes FROM totals"), 20);
    assert_int_equal(count(db, "SELECT count(*) FROM documents WHERE sha256 = 'empty'"), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_a_content_is_kept_once_and_replaced_whole),
        TEST(test_files_and_effects_are_found_again),
        TEST(test_search_reads_words_and_never_operators),
        TEST(test_wrong_questions_are_told),
        TEST(test_lists_go_page_by_page_newest_first),
        TEST(test_show_finds_by_number_and_by_the_beginning_of_a_digest),
        TEST(test_what_is_too_old_goes_with_all_its_rows),
        TEST(test_texts_beyond_the_size_go_those_not_seen_for_longest_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
