/* The engines of our own, with sanitizers and without a sandbox: what they read, and that no
 * damage to a file makes them read what is not theirs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine.h"
#include "sheet_date.h"

#define FILES "tests/files/attachments/"
#define OOXML "application/vnd.openxmlformats-officedocument."
#define ODF   "application/vnd.oasis.opendocument."

typedef struct {
    engine_status_t status;
    char *text;
    size_t size;
    mailbus_error_t why;
} outcome_t;

static outcome_t run(engine_fn *engine, const void *data, size_t size)
{
    outcome_t outcome = {.text = NULL};
    /* A copy of exactly that size: a byte too far is seen. */
    unsigned char *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, data, size);
    const engine_input_t input = {copy, size};
    FILE *out = open_memstream(&outcome.text, &outcome.size);
    assert_non_null(out);
    outcome.status = engine(&input, out, &outcome.why);
    fclose(out);
    free(copy);
    return outcome;
}

static void check(engine_fn *engine, const void *data, size_t size, engine_status_t status,
                  const char *text)
{
    outcome_t outcome = run(engine, data, size);
    if (outcome.status != status || (text != NULL && strcmp(outcome.text, text) != 0)) {
        fail_msg("status %d (%s), text \"%s\", not \"%s\"", (int)outcome.status, outcome.why.text,
                 outcome.text, text);
    }
    free(outcome.text);
}

#define KIND(data, type) check(engine_kind, data, sizeof(data) - 1, ENGINE_OK, type "\n")

static char *read_file(const char *name, size_t *ret_size)
{
    char path[256];
    snprintf(path, sizeof path, FILES "%s", name);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    char *data = malloc(1 << 20);
    assert_non_null(data);
    *ret_size = fread(data, 1, 1 << 20, file);
    fclose(file);
    return data;
}

static void test_kinds(void **state)
{
    (void)state;
    KIND("%PDF-1.7\n", "application/pdf");
    KIND("junk in front\n%PDF-1.7\n", "application/pdf");
    KIND("\x89PNG\r\n\x1a\n", "image/png");
    KIND("\xff\xd8\xff\xe0", "image/jpeg");
    KIND("II*\0", "image/tiff");
    KIND("RIFF\x10\0\0\0WEBPVP8 ", "image/webp");
    KIND("P5\n1 1\n255\n\0", "image/x-portable-anymap");
    KIND("PS: a letter", "text/plain");
    KIND("BMW is a car, and this is about cars", "text/plain");
    KIND("{\\rtf1 x}", "application/rtf");
    KIND("MZ\x90\0", "application/vnd.microsoft.portable-executable");
    KIND("plain", "text/plain");
    KIND("Gr\xfc\xdf"
         "e",
         "text/plain");
    KIND("\xff\xfe"
         "a\0b\0",
         "text/plain");
    KIND("a\0b", "application/octet-stream");
    KIND("a\x01", "application/octet-stream");
    KIND("\x1b[1mbold", "text/plain");
    KIND("<!DOCTYPE html><p>x", "text/html");
    KIND("\xEF\xBB\xBF  <!-- <x> --> <?xml version=\"1.0\"?>\n<HTML lang=en>", "text/html");
    KIND("<html", "text/plain");
    KIND("<htmlx>", "text/plain");
    KIND("<!-- never closed <html>", "text/plain");
    KIND("I wrote <html> here", "text/plain");
    KIND("<?xml version=\"1.0\"?><feed>", "text/plain");
}

static void test_kinds_of_files(void **state)
{
    (void)state;
    const struct {
        const char *name, *type;
    } rows[] = {
        {"letter.docx", OOXML "wordprocessingml.document"},
        {"pandoc.docx", OOXML "wordprocessingml.document"},
        {"prices.xlsx", OOXML "spreadsheetml.sheet"},
        {"slides.pptx", OOXML "presentationml.presentation"},
        {"letter.odt", ODF "text"},
        {"prices.ods", ODF "spreadsheet"},
        {"slides.odp", ODF "presentation"},
        {"letter.doc", "application/msword"},
        {"letter.pdf", "application/pdf"},
        {"scan.png", "image/png"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t size;
        char *data = read_file(rows[i].name, &size), type[128];
        snprintf(type, sizeof type, "%s\n", rows[i].type);
        check(engine_kind, data, size, ENGINE_OK, type);
        free(data);
    }
    size_t size;
    char *data = read_file("locked.docx", &size);
    check(engine_kind, data, size, ENGINE_ENCRYPTED, "application/x-ole-storage\n");
    free(data);
    data = read_file("letter.docx", &size);
    check(engine_kind, data, size / 2, ENGINE_CORRUPT, "application/zip\n");
    free(data);
}

static void test_html(void **state)
{
    (void)state;
    const struct {
        const char *page, *text;
    } rows[] = {
        {"<p>one<p>two", "one\n\ntwo"},
        {"a<br>b<br/>c", "a\nb\nc"},
        {"<b>bo</b>ld <i>it</i>", "bold it"},
        {"  many \n\t blanks  ", "many blanks"},
        {"<script>x</script><style>y</style>z", "z"},
        {"<script>never closed", ""},
        {"<ul><li>a<li>b</ul>c", "a\nb\nc"},
        {"<table><tr><th>a<th>b<tr><td>1<td>2</table>", "a\tb\n1\t2"},
        {"<table><tr><td>x<table><tr><td>in<td>ner</table><td>y</table>", "x in ner\ty"},
        {"<pre>a\n  b</pre>c", "a\n  b\nc"},
        {"&lt;p&gt; &eacute; &#x20AC; &nosuch;", "<p> \xC3\xA9 \xE2\x82\xAC &nosuch;"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check(engine_html, rows[i].page, strlen(rows[i].page), ENGINE_OK, rows[i].text);
    }
}

static void test_character_sets_of_html(void **state)
{
    (void)state;
    const struct {
        const char *page, *text;
    } rows[] = {
        {"<meta charset=koi8-r>\xf0\xd2", "\xD0\x9F\xD1\x80"},
        {"<meta content='text/html; charset=\"iso-8859-1\"'>\x80\x9d!",
         "\xE2\x82\xAC\xEF\xBF\xBD!"},
        {"<meta charset=no-such-set>\xfc", "\xC3\xBC"},
        {"<meta charset=koi8-r>\xC3\xBC", "\xC3\xBC"}, /* it is UTF-8, whatever it says */
        {"<meta charset=shift_jis>\x82\xa0\xff z", "\xE3\x81\x82\xEF\xBF\xBD z"},
        {"<meta charset=>\xfc", "\xC3\xBC"},
        {"<meta charset=utf-16//TRANSLIT>\xfc", "\xC3\xBC"},
        {"\xEF\xBB\xBF\xfc!", "\xEF\xBF\xBD!"},
        {"a\x9d"
         "b",
         "a\xEF\xBF\xBD"
         "b"},
        {"charset", "charset"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check(engine_html, rows[i].page, strlen(rows[i].page), ENGINE_OK, rows[i].text);
    }
}

static void test_html_as_deep_as_it_likes(void **state)
{
    (void)state;
    enum { DEPTH = 20000 };
    mailbus_buf_t page = MAILBUS_BUF_INIT;
    for (int i = 0; i < DEPTH; i++) {
        mailbus_buf_text(&page, "<div><b>");
    }
    mailbus_buf_text(&page, "deep");
    check(engine_html, page.data, page.size, ENGINE_OK, "deep");
    mailbus_buf_free(&page);
}

static void test_dates_of_sheets(void **state)
{
    (void)state;
    const struct {
        const char *number, *text;
        bool since_1904;
    } rows[] = {
        {"46307", "2026-10-12", false},
        {"46308.3965740741", "2026-10-13 09:31:04", false},
        {"0.5", "12:00:00", false},
        {"44845", "2026-10-12", true},
        {"2958465", "9999-12-31", false},
        {"2958466", NULL, false},
        {"-1", NULL, false},
        {"1e300", NULL, false},
        {"nan", NULL, false},
        {"12x", NULL, false},
        {"", NULL, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[SHEET_DATE_SIZE] = "";
        bool is_date = sheet_date_text(rows[i].number, rows[i].since_1904, text);
        assert_int_equal(is_date, rows[i].text != NULL);
        if (is_date) {
            assert_string_equal(text, rows[i].text);
        }
    }
}

static void test_formats_that_show_dates(void **state)
{
    (void)state;
    static const char *const dates[] = {"yyyy\\-mm\\-dd", "d/m/yy",    "h:mm",
                                        "[h]:mm:ss",      "[ss]",      "[$-409]d\\-mmm",
                                        "\"on \"dddd",    "MM/DD/YYYY"};
    static const char *const others[] = {
        "General", "0.00", "#,##0 \"days\"",   "[Red]0",          "0\\d", "_d0",
        "@",       "",     "\"never closed d", "[never closed d", "0%",   "[$EUR]0",
        "\\"};
    for (size_t i = 0; i < sizeof dates / sizeof dates[0]; i++) {
        assert_true(sheet_date_format(dates[i]));
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (sheet_date_format(others[i])) {
            fail_msg("%s is no date", others[i]);
        }
    }
}

/* Damage every file in many ways; the sanitizers look on. */
static void test_damage_reads_nothing_that_is_not_in_the_file(void **state)
{
    (void)state;
    enum { ROUNDS = 300 };
    const struct {
        const char *name;
        engine_fn *engine;
    } rows[] = {
        {"pandoc.docx", engine_docx}, {"prices.xlsx", engine_xlsx}, {"slides.pptx", engine_pptx},
        {"pandoc.odt", engine_odf},   {"prices.ods", engine_odf},   {"letter.docx", engine_kind},
        {"locked.docx", engine_kind}, {"locked.odt", engine_odf},   {"make.py", engine_html},
        {"make.py", engine_text},
    };
    srandom(4711);
    int refused = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t size;
        char *data = read_file(rows[i].name, &size);
        char *damaged = malloc(size);
        assert_non_null(damaged);
        for (int n = 0; n < ROUNDS; n++) {
            memcpy(damaged, data, size);
            size_t cut = n % 5 == 0 ? (size_t)random() % size : size;
            for (long k = random() % 8; k >= 0; k--) {
                /* Directories are at the end of a ZIP: there twice as often. */
                size_t at = (size_t)random() % size;
                at = random() % 2 == 0 ? size - 1 - at / 8 : at;
                damaged[at] = (char)random();
            }
            outcome_t outcome = run(rows[i].engine, damaged, cut);
            refused += outcome.status != ENGINE_OK ? 1 : 0;
            free(outcome.text);
        }
        free(damaged);
        free(data);
    }
    assert_true(refused > ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_kinds_of_files),
        cmocka_unit_test(test_html),
        cmocka_unit_test(test_character_sets_of_html),
        cmocka_unit_test(test_html_as_deep_as_it_likes),
        cmocka_unit_test(test_dates_of_sheets),
        cmocka_unit_test(test_formats_that_show_dates),
        cmocka_unit_test(test_damage_reads_nothing_that_is_not_in_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
