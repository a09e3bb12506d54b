/* route/jsonl.h: lines that can be found again, and ends of files. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "folder.h"
#include "mailbus/json.h"
#include "mails.h"
#include "route/jsonl.h"

static int file_of(const char *folder, const char *data, size_t size)
{
    char path[256];
    int fd =
        open(folder_path(folder, "lines", path, sizeof path), O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    return fd;
}

static void test_a_line_is_one_object(void **state)
{
    (void)state;
    card_t card;
    cJSON *tree = NULL;
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    agentmail_message_t *message = mail_with("\"subject\":\"a\\nb\",\"text\":\"x\\ny \\\"q\\\"\"");
    const mailbus_event_t event = {.id = "evt_1", .recorded_time = "2026-10-12T09:31:04.000Z"};
    assert_int_equal(card_new(message, "r", NULL, "route-evt_1~r:u", &card, NULL), MAILBUS_OK);
    jsonl_render(&card, &event, message, &out);
    assert_true(strncmp(out.data, JSONL_BEGIN, strlen(JSONL_BEGIN)) == 0);
    assert_ptr_equal(strchr(out.data, '\n'), out.data + out.size - 1);
    assert_int_equal(mailbus_json_parse(out.data, out.size, &tree, NULL), MAILBUS_OK);
    assert_string_equal(mailbus_json_string(tree, "id"), "route-evt_1~r:u");
    assert_string_equal(mailbus_json_string(tree, "subject"), "a b");
    assert_string_equal(mailbus_json_string(tree, "text"), "x\ny \"q\"");
    assert_true(cJSON_IsNull(mailbus_json_item(tree, "note")));
    cJSON_Delete(tree);
    mailbus_buf_free(&out);
    card_free(&card);
    agentmail_message_free(&message);
}

static void check_find(const char *folder, const char *data, size_t size, int64_t place,
                       bool expected)
{
    bool found = !expected;
    int fd = file_of(folder, data, size);
    assert_int_equal(jsonl_find(fd, place, "route-e~r:u", &found, NULL), MAILBUS_OK);
    assert_int_equal(found, expected);
    close(fd);
}

#define OURS "{\"id\":\"route-e~r:u\",\"x\":1}\n"

static void test_only_a_whole_line_of_that_mark_is_found(void **state)
{
    const char *folder = *state;
    check_find(folder, OURS, strlen(OURS), 0, true);
    check_find(folder, "a\n" OURS "b\n", strlen(OURS) + 4, 0, true);
    check_find(folder, "a\n" OURS, strlen(OURS) + 2, 2, true);
    check_find(folder, "a\n" OURS, strlen(OURS) + 2, 3, false); /* before the place */
    check_find(folder, OURS, strlen(OURS) - 1, 0, false);       /* no end */
    check_find(folder, "x" OURS, strlen(OURS) + 1, 0, false);
    check_find(folder, "{\"id\":\"route-e~r:u2\",\n", 21, 0, false);
    check_find(folder, "{\"id\":\"route-e~r:u\"\n", 20, 0, false);
    check_find(folder, "\0\0\n" OURS, strlen(OURS) + 3, 0, true); /* what a crash left */
    check_find(folder, "", 0, 0, false);
    check_find(folder, OURS, strlen(OURS), 1000, false);
}

static void test_a_line_over_the_ends_of_chunks_is_found(void **state)
{
    const char *folder = *state;
    for (size_t before = 65536 - 30; before < 65536 + 3; before++) {
        char *data = malloc(before + strlen(OURS) + 1);
        assert_non_null(data);
        memset(data, 'x', before);
        data[before - 1] = '\n';
        strcpy(data + before, OURS);
        check_find(folder, data, before + strlen(OURS), 0, true);
        free(data);
    }
}

static void check_end(const char *folder, const char *data, size_t size, jsonl_end_t expected,
                      int64_t start)
{
    jsonl_end_t end = JSONL_CLEAN;
    int64_t at = -1;
    int fd = file_of(folder, data, size);
    assert_int_equal(jsonl_end(fd, (int64_t)size, &end, &at, NULL), MAILBUS_OK);
    assert_int_equal(end, expected);
    assert_int_equal(at, start);
    close(fd);
}

static void test_the_end_of_a_file(void **state)
{
    const char *folder = *state;
    check_end(folder, "", 0, JSONL_CLEAN, 0);
    check_end(folder, "a\n", 2, JSONL_CLEAN, 2);
    check_end(folder, "a\n{", 3, JSONL_TORN, 2);
    check_end(folder, "{\"id\":\"route-evt", 16, JSONL_TORN, 0);
    check_end(folder, "a\nnote", 6, JSONL_FOREIGN, 2);
    check_end(folder, "a\n{\"id\":\"other", 14, JSONL_FOREIGN, 2);
    check_end(folder, "a\n\0\0", 4, JSONL_FOREIGN, 2);
    size_t size = 200000;
    char *data = malloc(size);
    assert_non_null(data);
    memset(data, 'x', size);
    memcpy(data, "a\n{\"id\":\"route-", 15);
    check_end(folder, data, size, JSONL_TORN, 2);
    free(data);
}

static int set_up(void **state)
{
    *state = folder_make();
    return *state == NULL;
}

static int tear_down(void **state)
{
    char *folder = *state;
    folder_remove(&folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_is_one_object),
        cmocka_unit_test_setup_teardown(test_only_a_whole_line_of_that_mark_is_found, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_line_over_the_ends_of_chunks_is_found, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_the_end_of_a_file, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
