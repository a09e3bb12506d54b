/* What a subscriber may ask of the running program: settings, log lines, counters. */
#include "runtime_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Log lines are for people; a longer one is cut. */
enum { LINE_MAX_BYTES = 1024, NAME_MAX_BYTES = 256 };

/* The runtime is const to the caller, its lock is not. */
static mailbus_runtime_t *mutable(const mailbus_runtime_t *runtime)
{
    union {
        const mailbus_runtime_t *lent;
        mailbus_runtime_t *own;
    } both = {runtime};
    return both.own;
}

/* With the settings locked. A reload frees the settings' texts while handlers still read them, so
 * every different text is kept once. */
static const char *keep_text(mailbus_runtime_t *self, const char *text)
{
    for (const runtime_text_t *kept = self->texts; kept != NULL; kept = kept->next) {
        if (strcmp(kept->text, text) == 0) {
            return kept->text;
        }
    }
    size_t size = strlen(text) + 1;
    runtime_text_t *kept = malloc(sizeof *kept + size);
    if (kept == NULL) {
        abort(); /* there is no text to lend, and no way to say so */
    }
    memcpy(kept->text, text, size);
    kept->next = self->texts;
    self->texts = kept;
    return kept->text;
}

void runtime_texts_free(mailbus_runtime_t *self)
{
    while (self->texts != NULL) {
        runtime_text_t *next = self->texts->next;
        free(self->texts);
        self->texts = next;
    }
}

const char *mailbus_setting_text(const mailbus_runtime_t *runtime, const char *key)
{
    mailbus_runtime_t *self = mutable(runtime);
    pthread_mutex_lock(&self->settings_lock);
    const char *text = keep_text(self, mb_settings_text(self->settings, key));
    pthread_mutex_unlock(&self->settings_lock);
    return text;
}

int64_t runtime_integer(const mailbus_runtime_t *self, const char *key)
{
    return mb_settings_integer(self->settings, key);
}

int64_t mailbus_setting_integer(const mailbus_runtime_t *runtime, const char *key)
{
    mailbus_runtime_t *self = mutable(runtime);
    pthread_mutex_lock(&self->settings_lock);
    int64_t number = mb_settings_integer(self->settings, key);
    pthread_mutex_unlock(&self->settings_lock);
    return number;
}

bool mailbus_setting_boolean(const mailbus_runtime_t *runtime, const char *key)
{
    mailbus_runtime_t *self = mutable(runtime);
    pthread_mutex_lock(&self->settings_lock);
    bool yes = mb_settings_boolean(self->settings, key);
    pthread_mutex_unlock(&self->settings_lock);
    return yes;
}

void runtime_read_backoff(mailbus_runtime_t *self)
{
    pthread_mutex_lock(&self->settings_lock);
    self->backoff = (backoff_policy_t){
        .base_ms = runtime_integer(self, "retry.first_pause"),
        .max_pause_ms = runtime_integer(self, "retry.max_pause"),
        .max_attempts = runtime_integer(self, "retry.max_attempts"),
        .max_age_ms = runtime_integer(self, "retry.max_age"),
    };
    pthread_mutex_unlock(&self->settings_lock);
}

static mb_log_level_t level_of(const char *level)
{
    mb_log_level_t parsed = MB_INFO; /* an unknown word is no reason to lose the line */
    return mb_log_level_parse(level, &parsed) == MAILBUS_OK ? parsed : MB_INFO;
}

void mailbus_runtime_log(mailbus_runtime_t *runtime, const char *level, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    mb_log(runtime->log, level_of(level), runtime->subscriber->name, line);
}

void mailbus_task_log(mailbus_task_t *task, const char *level, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    const mailbus_event_t *event = task->item->row.event;
    mb_log(task->runtime->log, level_of(level), task->runtime->subscriber->name, line,
           MB_S("id", event->id), MB_S("topic", event->topic), MB_U("sequence", event->sequence));
}

/* "mailbus_<program>_<what><suffix>", in the characters that a metric's name may hold. */
static void metric_name(const mailbus_runtime_t *runtime, const char *what, const char *suffix,
                        char name[NAME_MAX_BYTES])
{
    snprintf(name, NAME_MAX_BYTES, "mailbus_%s_%s%s", runtime->subscriber->name, what, suffix);
    for (char *c = name; *c != '\0'; c++) {
        *c = *c == '-' || *c == '.' ? '_' : *c;
    }
}

void mailbus_count(mailbus_runtime_t *runtime, const char *what, const char *labels,
                   const char *help, uint64_t n)
{
    char name[NAME_MAX_BYTES];
    metric_name(runtime, what, "_total", name);
    mb_metric_add(mb_counter(runtime->metrics, name, labels, help), n);
}

void mailbus_gauge(mailbus_runtime_t *runtime, const char *what, const char *labels,
                   const char *help, int64_t value)
{
    char name[NAME_MAX_BYTES];
    metric_name(runtime, what, "", name);
    mb_metric_set(mb_gauge(runtime->metrics, name, labels, help), value);
}

/* --- the store ----------------------------------------------------------------------------------
 */

typedef struct {
    mailbus_code_t (*fn)(sqlite3 *db, void *arg, mailbus_error_t *error);
    void *arg;
} store_call_t;

static mailbus_code_t call_with_db(store_t *store, void *arg, mailbus_error_t *error)
{
    const store_call_t *call = arg;
    return call->fn(store_db(store), call->arg, error);
}

mailbus_code_t mailbus_with_store(mailbus_runtime_t *runtime,
                                  mailbus_code_t (*fn)(sqlite3 *db, void *arg,
                                                       mailbus_error_t *error),
                                  void *arg, mailbus_error_t *error)
{
    store_call_t call = {fn, arg};
    return inbox_with_store(runtime->inbox, call_with_db, &call, error);
}

bool mailbus_rebuilding(const mailbus_runtime_t *runtime)
{
    return runtime->rebuilding;
}

/* The rows that were there when everything had come are untried no more. */
static mailbus_code_t look_at_rows(store_t *store, void *arg, mailbus_error_t *error)
{
    mailbus_runtime_t *runtime = arg;
    int64_t number = 0;
    size_t count = 0;
    mailbus_code_t code = MAILBUS_OK;
    if (runtime->catch_up_to == 0) {
        store_counts_t counts;
        code = store_counts(store, &counts, error);
        runtime->catch_up_to = code == MAILBUS_OK ? counts.last : 0;
    }
    if (code == MAILBUS_OK) {
        code = store_fresh(store, 0, 1, &number, &count, error);
    }
    if (code == MAILBUS_OK && (count == 0 || number > runtime->catch_up_to)) {
        atomic_store(&runtime->caught_up, true);
    }
    return code;
}

bool mailbus_caught_up(mailbus_runtime_t *runtime)
{
    if (!atomic_load(&runtime->caught_up) && atomic_load(&runtime->met)) {
        /* A store that can't be read tells nothing: ask again. */
        (void)!inbox_with_store(runtime->inbox, look_at_rows, runtime, NULL);
    }
    return atomic_load(&runtime->caught_up);
}
