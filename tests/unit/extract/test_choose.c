/* Which attachments are looked at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "choose.h"

typedef struct {
    const char *name, *type;
    bool is_inline;
    choose_verdict_t verdict;
} row_t;

static void check(const char *types, bool images, bool inline_images, const row_t *rows,
                  size_t count)
{
    choose_t *choose = NULL;
    mailbus_error_t error = {0};
    if (choose_new(types, images, inline_images, &choose, &error) != MAILBUS_OK) {
        fail_msg("%s: %s", types, error.text);
    }
    for (size_t i = 0; i < count; i++) {
        const agentmail_attachment_t attachment = {
            .filename = rows[i].name, .content_type = rows[i].type, .is_inline = rows[i].is_inline};
        choose_verdict_t verdict = choose_attachment(choose, &attachment);
        if (verdict != rows[i].verdict) {
            fail_msg("%s: \"%s\" as \"%s\": %d", types, rows[i].name, rows[i].type, verdict);
        }
    }
    choose_destroy(&choose);
}

#define CHECK(types, images, inline_images, rows)                                                  \
    check(types, images, inline_images, rows, sizeof(rows) / sizeof((rows)[0]))

static void test_the_usual_ones(void **state)
{
    (void)state;
    static const row_t rows[] = {
        {"a.pdf", "application/pdf", false, CHOOSE_LOOK},
        {"a.pdf", "APPLICATION/PDF; name=\"a.pdf\"", true, CHOOSE_LOOK}, /* Apple Mail's inline */
        {"a.txt", "text/plain; charset=utf-8", false, CHOOSE_LOOK},
        {"a.csv", "text/csv", false, CHOOSE_LOOK},
        {"a.html", "text/html", false, CHOOSE_LOOK},
        {"a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", false,
         CHOOSE_LOOK},
        {"a.odt", "application/vnd.oasis.opendocument.text", false, CHOOSE_LOOK},
        {"a.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", false,
         CHOOSE_LOOK},
        {"a.png", "image/png", false, CHOOSE_TYPE},
        {"a.ics", "text/calendar", false, CHOOSE_TYPE},
        {"a.zip", "application/zip", false, CHOOSE_TYPE},
        {"a.mp4", "video/mp4", false, CHOOSE_TYPE},
        {NULL, "video/mp4", false, CHOOSE_TYPE},
    };
    CHECK("pdf text html docx odt xlsx", false, false, rows);
}

static void test_who_claims_nothing_is_looked_at_unless_the_name_says_what_it_is(void **state)
{
    (void)state;
    static const row_t rows[] = {
        {"a.pdf", "application/octet-stream", false, CHOOSE_LOOK},
        {"A.PDF", NULL, false, CHOOSE_LOOK},
        {"scan", "application/octet-stream", false, CHOOSE_LOOK},
        {NULL, NULL, false, CHOOSE_LOOK},
        {"", "", false, CHOOSE_LOOK},
        {"a.exe", "application/octet-stream", false, CHOOSE_LOOK}, /* its content decides */
        {"a.png", "application/octet-stream", false, CHOOSE_TYPE},
        {"a.docx", "binary/octet-stream", false, CHOOSE_TYPE},
        {"a.pdf", "application/x-unheard-of", false, CHOOSE_LOOK}, /* the name is wanted */
        {"a.pdf.exe", "application/x-unheard-of", false, CHOOSE_TYPE},
    };
    CHECK("pdf", false, false, rows);
}

static void test_pictures_come_with_ocr_but_not_those_of_the_text(void **state)
{
    (void)state;
    static const row_t rows[] = {
        {"scan.png", "image/png", false, CHOOSE_LOOK},
        {"scan.tif", "image/tiff", false, CHOOSE_LOOK},
        {"logo.png", "image/png", true, CHOOSE_INLINE},
        {"a.pdf", "application/pdf", true, CHOOSE_LOOK},
    };
    static const row_t all[] = {{"logo.png", "image/png", true, CHOOSE_LOOK}};
    CHECK("pdf", true, false, rows);
    CHECK("pdf", true, true, all);
}

static void test_types_and_ranges_of_the_operator(void **state)
{
    (void)state;
    static const row_t rows[] = {
        {"a.rtf", "application/rtf", false, CHOOSE_LOOK},
        {"a.rtf", "application/rtfd", false, CHOOSE_TYPE},
        {"a.ics", "text/calendar", false, CHOOSE_LOOK},
        {"a.bin", "application/octet-stream", false, CHOOSE_LOOK},
        {"a.doc", "application/msword", false, CHOOSE_TYPE},
    };
    static const row_t all[] = {{"a.doc", "application/msword", false, CHOOSE_LOOK},
                                {"a.png", "application/octet-stream", false, CHOOSE_LOOK},
                                {"a.png", "image/png", false, CHOOSE_LOOK}};
    CHECK("Application/RTF text/*", false, false, rows);
    CHECK("*/*", false, false, all);
    CHECK("application/* image/*", false, false, all);
}

static void test_what_is_no_type_is_told(void **state)
{
    (void)state;
    static const char *const wrong[] = {"exe",   "pdf,text", "*",     "*/pdf",
                                        "text/", "/pdf",     "a/b/c", "text/*x"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        choose_t *choose = NULL;
        mailbus_error_t error = {0};
        if (choose_new(wrong[i], false, false, &choose, &error) != MAILBUS_EINVAL ||
            strstr(error.text, wrong[i]) == NULL) {
            fail_msg("%s: %s", wrong[i], error.text);
        }
    }
}

static void test_hostile_claims_match_nothing(void **state)
{
    (void)state;
    char type[1000];
    char name[1000];
    memset(type, 'a', sizeof type - 1);
    type[sizeof type - 1] = '\0';
    memset(name, '.', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    const row_t rows[] = {
        {name, "video/x", false, CHOOSE_TYPE},
        {"x.", "video/x", false, CHOOSE_TYPE},
        {"x.pdf", type, false, CHOOSE_LOOK}, /* a claim too long is none */
        {"\r\n.png", "video/x", false, CHOOSE_TYPE},
        {"x", "application", false, CHOOSE_TYPE},
        {"x", "*/*", false, CHOOSE_TYPE},
        {"x", "image/*", false, CHOOSE_TYPE},
    };
    CHECK("pdf", false, false, rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_usual_ones),
        cmocka_unit_test(test_who_claims_nothing_is_looked_at_unless_the_name_says_what_it_is),
        cmocka_unit_test(test_pictures_come_with_ocr_but_not_those_of_the_text),
        cmocka_unit_test(test_types_and_ranges_of_the_operator),
        cmocka_unit_test(test_what_is_no_type_is_told),
        cmocka_unit_test(test_hostile_claims_match_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
