/* The pure parts: base64, reuse, the description, names of files, who works on what. */
#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "busy.h"
#include "content.h"
#include "describe.h"
#include "mailbus/json.h"
#include "output_file.h"
#include "reuse.h"

/* --- content ------------------------------------------------------------------------------------
 */

static void test_base64_is_read_strictly_and_within_its_limit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        mailbus_code_t code;
        size_t size;
    } rows[] = {
        {"", MAILBUS_OK, 0},
        {"QUJD", MAILBUS_OK, 3},
        {"QUI=", MAILBUS_OK, 2},
        {"QQ==", MAILBUS_OK, 1},
        {"QUJDRA==", MAILBUS_OK, 4},
        {"QUJDREU=", MAILBUS_ETOOBIG, 0},
        {"QUJDREVG", MAILBUS_ETOOBIG, 0},
        {"QUJ", MAILBUS_EINVAL, 0},
        {"QU J", MAILBUS_EINVAL, 0},
        {"QUJD\n", MAILBUS_EINVAL, 0},
        {"QR==", MAILBUS_EINVAL, 0},
        {"Q===", MAILBUS_EINVAL, 0},
        {"====", MAILBUS_EINVAL, 0},
        {"QU-_", MAILBUS_EINVAL, 0},
        {"Q=Q=", MAILBUS_EINVAL, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mailbus_buf_t out = MAILBUS_BUF_INIT;
        mailbus_buf_text(&out, "x");
        mailbus_code_t code = content_decode(rows[i].text, 4, &out, NULL);
        if (code != rows[i].code || out.size != 1 + rows[i].size) {
            fail_msg("\"%s\": %s, %zu bytes", rows[i].text, mailbus_code_name(code), out.size - 1);
        }
        mailbus_buf_free(&out);
    }
}

/* --- reuse --------------------------------------------------------------------------------------
 */

static void test_what_holds_of_an_earlier_result(void **state)
{
    (void)state;
    static const struct {
        extract_status_t status;
        bool same, other_setup, later;
    } rows[] = {
        {EXTRACT_OK, true, true, true},           {EXTRACT_TRUNCATED, true, false, true},
        {EXTRACT_ENCRYPTED, true, false, true},   {EXTRACT_NO_TEXT_LAYER, true, false, true},
        {EXTRACT_CORRUPT, true, false, true},     {EXTRACT_TOO_LARGE, true, false, true},
        {EXTRACT_UNSUPPORTED, true, false, true}, {EXTRACT_TIMEOUT, true, false, false},
        {EXTRACT_MEMORY, true, false, false},     {EXTRACT_DOWNLOAD_FAILED, false, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        document_t document = {.setup = "a", .extracted_ms = 1000};
        document.extraction.status = rows[i].status;
        assert_int_equal(reuse_holds(&document, "a", 500, 1499), rows[i].same);
        assert_int_equal(reuse_holds(&document, "b", 500, 1499), rows[i].other_setup);
        assert_int_equal(reuse_holds(&document, "a", 500, 1500), rows[i].later);
    }
}

static void test_a_setup_is_everything_that_can_change_a_result(void **state)
{
    (void)state;
    const extractor_options_t usual = EXTRACTOR_DEFAULTS;
    extractor_options_t others[7] = {usual, usual, usual, usual, usual, usual, usual};
    char first[ARCHIVE_SHA256_SIZE];
    char second[ARCHIVE_SHA256_SIZE];
    others[0].max_file++;
    others[1].max_memory++;
    others[2].max_output++;
    others[3].wall_ms++;
    others[4].max_pages++;
    others[5].ocr = !others[5].ocr;
    others[6].ocr_languages = "deu";
    assert_int_equal(reuse_setup(&usual, "pdftotext 1", "", first, NULL), MAILBUS_OK);
    assert_int_equal(reuse_setup(&usual, "pdftotext 1", "", second, NULL), MAILBUS_OK);
    assert_string_equal(first, second);
    assert_int_equal(reuse_setup(&usual, "pdftotext 2", "", second, NULL), MAILBUS_OK);
    assert_string_not_equal(first, second);
    assert_int_equal(reuse_setup(&usual, "pdftotext 1", "x = y", second, NULL), MAILBUS_OK);
    assert_string_not_equal(first, second);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(reuse_setup(&others[i], "pdftotext 1", "", second, NULL), MAILBUS_OK);
        assert_string_not_equal(first, second);
    }
}

/* --- the description ----------------------------------------------------------------------------
 */

static const char EVENT[] =
    "{\"message\":{\"inbox_id\":\"i@x\",\"message_id\":\"<m@x>\",\"attachments\":[{"
    "\"attachment_id\":\"a1\",\"filename\":\"evil\\r\\nname\\u202e.pdf\"}]}}";

static cJSON *describe_with(const document_t *document, extract_status_t status, size_t max_text)
{
    agentmail_message_t *message = NULL;
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    cJSON *tree = NULL;
    assert_int_equal(agentmail_message_read(EVENT, sizeof EVENT - 1, &message, NULL), MAILBUS_OK);
    const archive_claim_t claim = {.filename = message->attachments[0].filename, .size = -1};
    const archive_file_t file = {
        .ended = true, .status = status, .detail = "why \xff", .time_ms = 1000};
    const describe_t what = {.id = "extract-evt~attachment-1",
                             .source_event = "evt",
                             .message = message,
                             .place = 1,
                             .attachment = &message->attachments[0],
                             .claim = &claim,
                             .file = &file,
                             .document = document,
                             .max_text = max_text};
    describe(&what, &out);
    assert_false(out.failed);
    mailbus_error_t error = {0};
    if (mailbus_json_parse_object(out.data, out.size, &tree, &error) != MAILBUS_OK) {
        fail_msg("%s in %s", error.text, out.data);
    }
    mailbus_buf_free(&out);
    agentmail_message_free(&message);
    return tree;
}

static void test_a_description_is_strict_json_whatever_it_is_made_of(void **state)
{
    (void)state;
    document_t document = {.size = 5, .sha256 = "abc"};
    document.extraction = (extraction_t){.type = "application/pdf", .engine = "e", .version = "1"};
    mailbus_buf_text(&document.extraction.text, "a\"\\\n\tä€");
    cJSON *tree = describe_with(&document, EXTRACT_OK, 100);
    const cJSON *attachment = mailbus_json_item(tree, "attachment");
    assert_string_equal(mailbus_json_string(tree, "event_type"), "attachment.extracted");
    assert_string_equal(mailbus_json_string(tree, "event_id"), "extract-evt~attachment-1");
    assert_string_equal(mailbus_json_string(attachment, "text"), "a\"\\\n\tä€");
    assert_string_equal(mailbus_json_string(attachment, "filename"), "evil name .pdf");
    assert_string_equal(mailbus_json_string(attachment, "timestamp"), "1970-01-01T00:00:01.000Z");
    assert_false(cJSON_IsTrue(mailbus_json_item(attachment, "text_truncated")));
    assert_null(mailbus_json_item(attachment, "pages"));
    cJSON_Delete(tree);
    tree = describe_with(&document, EXTRACT_OK, 6); /* in the middle of the ä */
    attachment = mailbus_json_item(tree, "attachment");
    assert_string_equal(mailbus_json_string(attachment, "text"), "a\"\\\n\t");
    assert_true(cJSON_IsTrue(mailbus_json_item(attachment, "text_truncated")));
    assert_int_equal(cJSON_GetNumberValue(mailbus_json_item(attachment, "text_size")), 10);
    cJSON_Delete(tree);
    document_free(&document);
    tree = describe_with(NULL, EXTRACT_DOWNLOAD_FAILED, 100);
    attachment = mailbus_json_item(tree, "attachment");
    assert_string_equal(mailbus_json_string(attachment, "status"), "download_failed");
    assert_null(mailbus_json_item(attachment, "text"));
    assert_null(mailbus_json_item(attachment, "sha256"));
    cJSON_Delete(tree);
}

static void test_a_description_stays_below_what_receivers_take(void **state)
{
    (void)state;
    document_t document = {.size = 5, .sha256 = "abc"};
    char *lines = malloc(DESCRIBE_TEXT_MAX + 1000);
    assert_non_null(lines);
    memset(lines, '\n', DESCRIBE_TEXT_MAX + 1000); /* each is two bytes of JSON */
    mailbus_buf_append(&document.extraction.text, lines, DESCRIBE_TEXT_MAX + 1000);
    free(lines);
    cJSON *tree = describe_with(&document, EXTRACT_OK, DESCRIBE_TEXT_MAX);
    char *text = cJSON_PrintUnformatted(tree);
    assert_true(strlen(text) < 2 * 1024 * 1024);
    cJSON_free(text);
    cJSON_Delete(tree);
    document_free(&document);
}

/* --- files --------------------------------------------------------------------------------------
 */

static void test_names_of_files_hold_nothing_of_the_mail(void **state)
{
    (void)state;
    static const char sha256[] = "0123456789abcdef0123456789abcdef";
    char longer[200];
    memset(longer, 'e', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    const char *const hashed[] = {"../evt", "a/b", "", ".hidden", "-rf", "a b", "\xc3\xa4", longer};
    char name[OUTPUT_FILE_NAME_MAX];
    output_file_name("evt_1.a-B", 12, sha256, name);
    assert_string_equal(name, "evt_1.a-B-12-0123456789abcdef.txt");
    for (size_t i = 0; i < sizeof hashed / sizeof hashed[0]; i++) {
        output_file_name(hashed[i], 1, sha256, name);
        assert_true(strncmp(name, "sha256-", 7) == 0);
        assert_int_equal(strlen(name), 7 + 64 + strlen("-1-0123456789abcdef.txt"));
        assert_int_equal(strspn(name + 7, "0123456789abcdef"), 64);
    }
}

static size_t entries(const char *folder)
{
    DIR *dir = opendir(folder);
    size_t count = 0;
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    }
    closedir(dir);
    return count;
}

static void test_a_file_appears_whole_and_once(void **state)
{
    (void)state;
    char folder[] = "/tmp/mailbus-output-XXXXXX";
    char path[100];
    char content[20] = "";
    struct stat about;
    mailbus_error_t error = {0};
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.txt", folder);
    assert_int_equal(output_file_write(folder, "a.txt", "half", 4, NULL), MAILBUS_OK);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(output_file_write(folder, "a.txt", "whole", 5, NULL), MAILBUS_OK); /* again */
    assert_int_equal(entries(folder), 1);
    assert_int_equal(output_file_place(folder, "a.txt", NULL), MAILBUS_OK);
    assert_int_equal(entries(folder), 1);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 07, 0); /* mail is nobody's business */
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fread(content, 1, sizeof content - 1, file), 5);
    fclose(file);
    assert_string_equal(content, "whole");
    unlink(path); /* somebody takes it */
    assert_int_equal(output_file_place(folder, "a.txt", NULL), MAILBUS_OK);
    assert_int_equal(entries(folder), 0);
    rmdir(folder);
    assert_int_equal(output_file_write(folder, "a.txt", "x", 1, &error), MAILBUS_ENOTFOUND);
    assert_non_null(strstr(error.text, folder));
    assert_int_equal(output_file_place(folder, "a.txt", NULL), MAILBUS_ENOTFOUND);
}

/* --- busy ---------------------------------------------------------------------------------------
 */

enum { THREADS = 4, ROUNDS = 200 };

typedef struct {
    busy_t *busy;
    int inside[2]; /* under the claim of its name alone: a race is what TSan looks for */
} shared_t;

static void *work(void *arg)
{
    shared_t *shared = arg;
    for (int i = 0; i < ROUNDS; i++) {
        busy_claim_t claim;
        int which = i % 2;
        char name[2] = {(char)('a' + which), '\0'};
        busy_take(shared->busy, &claim, name);
        shared->inside[which]++;
        busy_give(shared->busy, &claim);
    }
    return NULL;
}

static void test_one_content_is_in_one_threads_hands(void **state)
{
    (void)state;
    shared_t shared = {.busy = busy_new()};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, work, &shared), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(shared.inside[0], THREADS * ROUNDS / 2);
    assert_int_equal(shared.inside[1], THREADS * ROUNDS / 2);
    busy_destroy(&shared.busy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64_is_read_strictly_and_within_its_limit),
        cmocka_unit_test(test_what_holds_of_an_earlier_result),
        cmocka_unit_test(test_a_setup_is_everything_that_can_change_a_result),
        cmocka_unit_test(test_a_description_is_strict_json_whatever_it_is_made_of),
        cmocka_unit_test(test_a_description_stays_below_what_receivers_take),
        cmocka_unit_test(test_names_of_files_hold_nothing_of_the_mail),
        cmocka_unit_test(test_a_file_appears_whole_and_once),
        cmocka_unit_test(test_one_content_is_in_one_threads_hands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
