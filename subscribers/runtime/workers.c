#include "workers.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "test_point.h"

enum { TIMEOUT_MAX_MS = 86400000 }; /* a day: no sum overflows */

struct workers {
    mailbus_runtime_t *runtime;
    pthread_t *threads;
    unsigned started;
    pthread_mutex_t suspect; /* events that were in hand at a crash are handled one at a time, so
                              * that the next crash accuses one of them and not its neighbours */
    mb_metric_t *done;
    mb_metric_t *again;
    mb_metric_t *rejected;
    mb_metric_t *given_up;
    mb_metric_t *seconds;
    mb_metric_t *busy;
};

static void log_outcome(mailbus_runtime_t *runtime, mb_log_level_t level, const char *message,
                        const inbox_item_t *item, unsigned attempts, const char *reason,
                        int64_t pause_ms)
{
    const mailbus_event_t *event = item->row.event;
    mb_log(runtime->log, level, "handle", message, MB_S("id", event->id),
           MB_S("topic", event->topic), MB_U("sequence", event->sequence),
           MB_U("attempts", attempts), MB_S("reason", reason), MB_I("pause_ms", pause_ms));
}

static void reject(workers_t *self, inbox_item_t **item_p, unsigned attempts, const char *reason,
                   int64_t now_ms)
{
    log_outcome(self->runtime, MB_ERROR, "set aside as a dead letter", *item_p, attempts, reason,
                0);
    inbox_finish(self->runtime->inbox, item_p, INBOX_DEAD, attempts, 0, reason, now_ms);
}

static void retry(workers_t *self, inbox_item_t **item_p, const mailbus_task_t *task,
                  int64_t now_ms)
{
    mailbus_runtime_t *runtime = self->runtime;
    const inbox_item_t *item = *item_p;
    unsigned attempts = item->row.attempts + 1;
    const char *reason = task->reason[0] != '\0' ? task->reason : "the handler gave no reason";
    char limit[64];
    int64_t due_ms = 0;
    pthread_mutex_lock(&runtime->settings_lock);
    backoff_policy_t policy = runtime->backoff;
    pthread_mutex_unlock(&runtime->settings_lock);
    if (!backoff_again(&policy, attempts, item->row.first_ms, now_ms, task->retry_after_ms,
                       item->row.event->id, &due_ms, limit, sizeof limit)) {
        char both[RUNTIME_REASON_MAX + 80];
        snprintf(both, sizeof both, "%s; the last: %s", limit, reason);
        mb_metric_add(self->given_up, 1);
        reject(self, item_p, attempts, both, now_ms);
        return;
    }
    mb_metric_add(self->again, 1);
    log_outcome(runtime, MB_WARN, "trying again later", item, attempts, reason, due_ms - now_ms);
    inbox_finish(runtime->inbox, item_p, INBOX_AGAIN, attempts, due_ms, reason, now_ms);
}

/* DONE, with or without something in the store. */
static void done(workers_t *self, inbox_item_t **item_p, mailbus_task_t *task, int64_t now_ms)
{
    inbox_t *inbox = self->runtime->inbox;
    if (task->store == NULL) {
        mb_metric_add(self->done, 1);
        inbox_finish(inbox, item_p, INBOX_DONE, 0, 0, NULL, now_ms);
        return;
    }
    mailbus_error_t error = {0};
    task->store = NULL;
    mb_test_point("task_before_commit");
    if (inbox_store_commit(inbox, *item_p, &error) != MAILBUS_OK) {
        mailbus_task_reason(task, "the store: %s", error.text);
        retry(self, item_p, task, now_ms);
        return;
    }
    mb_test_point("task_after_commit");
    mb_metric_add(self->done, 1);
    inbox_gone(inbox, item_p);
}

static mailbus_verdict_t call_handler(workers_t *self, mailbus_task_t *task)
{
    mailbus_runtime_t *runtime = self->runtime;
    int64_t begun_ms = mb_clock_monotonic_ms();
    mb_metric_move(self->busy, 1);
    mailbus_verdict_t verdict = runtime->subscriber->handle(runtime->self, task);
    mb_metric_move(self->busy, -1);
    mb_metric_observe(self->seconds, (double)(mb_clock_monotonic_ms() - begun_ms) / 1000.0);
    return verdict;
}

static void handle_item(workers_t *self, inbox_item_t *item)
{
    mailbus_task_t task = {.runtime = self->runtime, .item = item};
    mailbus_error_t error = {0};
    bool suspect = item->row.crashes > 0;
    if (suspect) {
        pthread_mutex_lock(&self->suspect);
    }
    mailbus_verdict_t verdict = MAILBUS_RETRY;
    if (inbox_mark(self->runtime->inbox, item, &error) == MAILBUS_OK) {
        mb_test_point("task_in_hand");
        verdict = call_handler(self, &task);
        mb_test_point("task_handled");
    } else {
        mailbus_task_reason(&task, "the store: %s", error.text);
    }
    if (suspect) {
        pthread_mutex_unlock(&self->suspect);
    }
    int64_t now_ms = mb_clock_wall_ms();
    if (verdict != MAILBUS_DONE && task.store != NULL) {
        inbox_store_rollback(self->runtime->inbox);
        task.store = NULL;
    }
    switch (verdict) {
    case MAILBUS_DONE:
        done(self, &item, &task, now_ms);
        return;
    case MAILBUS_RETRY:
        retry(self, &item, &task, now_ms);
        return;
    case MAILBUS_REJECT:
        mb_metric_add(self->rejected, 1);
        reject(self, &item, item->row.attempts + 1,
               task.reason[0] != '\0' ? task.reason : "the handler gave no reason", now_ms);
        return;
    }
    assert(false && "a verdict that is none");
}

static void *run(void *arg)
{
    workers_t *self = arg;
    for (inbox_item_t *item; (item = inbox_next(self->runtime->inbox)) != NULL;) {
        handle_item(self, item);
    }
    return NULL;
}

static void register_metrics(workers_t *self, mb_metrics_t *metrics)
{
    static const char name[] = "mailbus_subscriber_handled_total";
    static const char help[] = "Times that the handler was called, by what came of it";
    static const double bounds[] = {0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60};
    self->done = mb_counter(metrics, name, "result=\"done\"", help);
    self->again = mb_counter(metrics, name, "result=\"retry\"", help);
    self->rejected = mb_counter(metrics, name, "result=\"reject\"", help);
    self->given_up = mb_counter(metrics, name, "result=\"given_up\"", help);
    self->seconds = mb_histogram(metrics, "mailbus_subscriber_handler_seconds", "",
                                 "Time in the handler", bounds, sizeof bounds / sizeof bounds[0]);
    self->busy =
        mb_gauge(metrics, "mailbus_subscriber_workers_busy", "", "Workers inside the handler");
}

mailbus_code_t workers_new(mailbus_runtime_t *runtime, unsigned count, workers_t **ret_self,
                           mailbus_error_t *error)
{
    workers_t *self = calloc(1, sizeof *self);
    pthread_t *threads = calloc(count, sizeof *threads);
    if (self == NULL || threads == NULL) {
        free(self);
        free(threads);
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for the workers");
    }
    self->runtime = runtime;
    self->threads = threads;
    pthread_mutex_init(&self->suspect, NULL);
    register_metrics(self, runtime->metrics);
    while (self->started < count) {
        int failed = pthread_create(&threads[self->started], NULL, run, self);
        if (failed != 0) {
            inbox_stop(runtime->inbox);
            (void)workers_stop(&self, INT64_MAX);
            return mailbus_fail(error, MAILBUS_EIO, "no thread for a worker: %s", strerror(failed));
        }
        self->started++;
    }
    *ret_self = self;
    return MAILBUS_OK;
}

bool workers_stop(workers_t **self_p, int64_t timeout_ms)
{
    workers_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return true;
    }
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until); /* the clock of pthread_timedjoin_np */
    timeout_ms = timeout_ms > TIMEOUT_MAX_MS ? TIMEOUT_MAX_MS : timeout_ms;
    int64_t nanoseconds = until.tv_nsec + timeout_ms % 1000 * 1000000;
    until.tv_sec += timeout_ms / 1000 + nanoseconds / 1000000000;
    until.tv_nsec = nanoseconds % 1000000000;
    bool idle = true;
    for (unsigned i = 0; i < self->started; i++) {
        idle &= pthread_timedjoin_np(self->threads[i], NULL, &until) == 0;
    }
    if (!idle) {
        return false; /* still in use: not freed */
    }
    pthread_mutex_destroy(&self->suspect);
    free(self->threads);
    free(self);
    return true;
}
