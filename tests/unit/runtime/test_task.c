/* What a handler may call on its task. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mailbus/json.h"
#include "runtime_internal.h"

static void test_a_reason_is_text_however_it_came_and_wherever_it_was_cut(void **state)
{
    (void)state;
    static const char *const endings[] = {"é", "€", "😀", "\xff\xfe", "\xed\xa0\x80", ""};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        for (int size = RUNTIME_REASON_MAX - 6; size < RUNTIME_REASON_MAX + 2; size++) {
            mailbus_task_t task = {0};
            char text[RUNTIME_REASON_MAX + 16];
            memset(text, 'x', (size_t)size);
            strcpy(text + size, endings[i]);
            mailbus_task_reason(&task, "%s", text);
            size_t kept = strlen(task.reason);
            assert_true(kept < RUNTIME_REASON_MAX);
            assert_true(mailbus_utf8_valid(task.reason, kept));
            assert_memory_equal(task.reason, text, kept < (size_t)size ? kept : (size_t)size);
        }
    }
    mailbus_task_t task = {0};
    mailbus_task_reason(&task, "%s", "né€😀 and \xc3 cut");
    assert_string_equal(task.reason, "né€😀 and ? cut");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_reason_is_text_however_it_came_and_wherever_it_was_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
