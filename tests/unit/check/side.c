#include "side.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "runtime_internal.h"

enum { PAIRS_MAX = 8 };

struct side {
    mailbus_runtime_t runtime;
    options_t *options;
};

static mailbus_verdict_t handle(void *self, mailbus_task_t *task)
{
    (void)self;
    (void)task;
    return MAILBUS_DONE;
}

side_t *side_new(const char *const *pairs)
{
    static const char *const topics[] = {"message.received", NULL};
    static const mailbus_setting_t settings[] = {
        CHECK_SERVER_SETTINGS("tcp://127.0.0.1:*"),
        CHECK_CLIENT_SETTINGS,
        {NULL, NULL, NULL, NULL, false, NULL},
    };
    static const mailbus_subscriber_t subscriber = {
        .name = "side", .topics = topics, .settings = settings, .handle = handle};
    char program[] = "side";
    char set[] = "--set";
    char *arguments[1 + 2 * PAIRS_MAX + 1] = {program};
    int count = 1;
    for (size_t i = 0; pairs[i] != NULL; i++) {
        assert_true(i < PAIRS_MAX);
        arguments[count++] = set;
        arguments[count++] = strdup(pairs[i]);
    }
    side_t *self = calloc(1, sizeof *self);
    assert_non_null(self);
    mb_settings_action_t action;
    mailbus_error_t error = {.text = ""};
    assert_int_equal(options_new(&subscriber, &self->options, &error), MAILBUS_OK);
    self->runtime.subscriber = &subscriber;
    self->runtime.settings = options_settings(self->options);
    if (mb_settings_read(self->runtime.settings, count, arguments, stdout, NULL, &action, &error) !=
        MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
    pthread_mutex_init(&self->runtime.settings_lock, NULL);
    self->runtime.metrics = mb_metrics_new();
    for (int i = 2; i < count; i += 2) {
        free(arguments[i]);
    }
    return self;
}

void side_free(side_t **self_p)
{
    side_t *self = *self_p;
    *self_p = NULL;
    mb_metrics_destroy(&self->runtime.metrics);
    options_destroy(&self->options);
    runtime_texts_free(&self->runtime);
    pthread_mutex_destroy(&self->runtime.settings_lock);
    free(self);
}

mailbus_runtime_t *side_runtime(side_t *self)
{
    return &self->runtime;
}

uint64_t side_count(side_t *self, const char *what, const char *labels)
{
    char name[128];
    snprintf(name, sizeof name, "mailbus_side_%s_total", what);
    return mb_metric_value(mb_counter(self->runtime.metrics, name, labels, ""));
}
