/* The protocol's own traces of the gap rule, proto/vectors/gaps.json: after each step the state is
 * written down and read back, as a restart does. ctest runs this in the project's folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gap.h"
#include "mailbus/json.h"

enum { NAMES_MAX = 16, TOPICS_MAX = 64, FILE_MAX = 4 * 1024 * 1024 };

static uint64_t number(const cJSON *object, const char *key)
{
    uint64_t value = 0;
    const char *text = mailbus_json_string(object, key);
    assert_non_null(text);
    assert_int_equal(mailbus_sequence_parse(text, &value), MAILBUS_OK);
    return value;
}

static const char *verdict_name(gap_verdict_t verdict)
{
    static const char *const names[] = {
        [GAP_TAKE] = "take",       [GAP_DROP] = "drop",     [GAP_FETCH] = "gap",
        [GAP_FOREIGN] = "foreign", [GAP_SYNCED] = "synced", [GAP_BEHIND] = "behind",
    };
    return names[verdict];
}

static const char *give_event(gap_t *gap, const cJSON *input)
{
    const mailbus_event_t event = {
        .topic = mailbus_json_string(input, "topic"),
        .stream = mailbus_json_string(input, "stream"),
        .sequence = number(input, "sequence"),
        .previous = number(input, "previous"),
    };
    return verdict_name(gap_event(gap, &event));
}

static const char *give_heads(gap_t *gap, const cJSON *input)
{
    mailbus_head_t topics[TOPICS_MAX];
    mailbus_heads_t heads = {.sequence = number(input, "sequence"), .topics = topics};
    snprintf(heads.stream, sizeof heads.stream, "%s", mailbus_json_string(input, "stream"));
    const cJSON *all = mailbus_json_item(input, "heads");
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, all)
    {
        assert_true(heads.count < TOPICS_MAX);
        snprintf(topics[heads.count].topic, sizeof topics[0].topic, "%s", item->string);
        topics[heads.count++].sequence = number(all, item->string);
    }
    return verdict_name(gap_heads(gap, &heads));
}

static const char *give_step(gap_t *gap, const cJSON *step)
{
    const cJSON *input;
    uint64_t from;
    uint64_t to;
    if ((input = mailbus_json_item(step, "event")) != NULL) {
        return give_event(gap, input);
    }
    if ((input = mailbus_json_item(step, "heads")) != NULL) {
        return give_heads(gap, input);
    }
    if ((input = mailbus_json_item(step, "page")) != NULL) {
        gap_page(gap, number(input, "next"));
        return "synced";
    }
    if ((input = mailbus_json_item(step, "trimmed")) != NULL) {
        return gap_trimmed(gap, number(input, "oldest"), &from, &to) ? "lost" : "nothing";
    }
    input = mailbus_json_item(step, "reset");
    assert_non_null(input);
    gap_reset(gap, mailbus_json_string(input, "stream"), number(input, "base"));
    return "synced";
}

static void read_names(const cJSON *list, const char *names[NAMES_MAX + 1])
{
    size_t count = 0;
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, list)
    {
        assert_true(count < NAMES_MAX);
        names[count++] = item->valuestring;
    }
    names[count] = NULL;
}

static void write_and_read(gap_t *gap)
{
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    assert_int_equal(gap_encode(gap, &text, NULL), MAILBUS_OK);
    assert_int_equal(gap_decode(gap, text.data, NULL), MAILBUS_OK);
    mailbus_buf_free(&text);
}

static void run_trace(const cJSON *trace, bool restart)
{
    const char *topics[NAMES_MAX + 1];
    const char *prefixes[NAMES_MAX + 1];
    read_names(mailbus_json_item(trace, "topics"), topics);
    read_names(mailbus_json_item(trace, "prefixes"), prefixes);
    gap_t *gap = gap_new(topics, prefixes);
    gap_reset(gap, mailbus_json_string(trace, "stream"), number(trace, "cursor"));
    int at = 0;
    const cJSON *step = NULL;
    cJSON_ArrayForEach(step, mailbus_json_item(trace, "steps"))
    {
        const char *decision = give_step(gap, step);
        if (restart) {
            write_and_read(gap);
        }
        if (strcmp(decision, mailbus_json_string(step, "expect")) != 0 ||
            gap_cursor(gap) != number(step, "cursor")) {
            fail_msg("%s, step %d: %s and cursor %llu", mailbus_json_string(trace, "name"), at,
                     decision, (unsigned long long)gap_cursor(gap));
        }
        at++;
    }
    assert_true(at > 0);
    gap_destroy(&gap);
}

static void run_all(bool restart)
{
    FILE *file = fopen("proto/vectors/gaps.json", "rb");
    assert_non_null(file);
    char *text = malloc(FILE_MAX);
    size_t size = fread(text, 1, FILE_MAX, file);
    fclose(file);
    assert_in_range(size, 1, FILE_MAX - 1);
    cJSON *tree = NULL;
    assert_int_equal(mailbus_json_parse_object(text, size, &tree, NULL), MAILBUS_OK);
    int count = 0;
    const cJSON *trace = NULL;
    cJSON_ArrayForEach(trace, mailbus_json_item(tree, "traces"))
    {
        run_trace(trace, restart);
        count++;
    }
    assert_true(count >= 20);
    cJSON_Delete(tree);
    free(text);
}

static void test_every_trace_of_the_protocol_gives_its_decisions(void **state)
{
    (void)state;
    run_all(false);
}

static void test_a_restart_after_any_step_changes_no_decision(void **state)
{
    (void)state;
    run_all(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_trace_of_the_protocol_gives_its_decisions),
        cmocka_unit_test(test_a_restart_after_any_step_changes_no_decision),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
