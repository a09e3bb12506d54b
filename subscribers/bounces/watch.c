#include "watch.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "db_live.h"
#include "metrics.h"

enum { INBOXES_AT_ONCE = 500 }; /* read in one go; between them others may read on */

/* An inbox with gauges of its own, from the time it was first seen until the program ends. */
typedef struct {
    char *inbox;           /* NULL: all others together */
    char *labels;          /* inbox="…" */
    rates_counts_t counts; /* of this round */
    rates_level_t level;   /* as it was last told */
} slot_t;

struct watch {
    mailbus_runtime_t *runtime;
    mb_held_t *config;
    mb_db_live_t *live; /* NULL: to be opened */
    slot_t *slots;      /* `count` inboxes, and behind them the others */
    size_t count, most;
    mailbus_buf_t last; /* inbox of the last row that was read */
    int64_t visited;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* guards stop */
    pthread_cond_t wake;
    bool stop;
};

static void slot_free(slot_t *slot)
{
    free(slot->inbox);
    free(slot->labels);
    *slot = (slot_t){.inbox = NULL};
}

/* false without memory; the slot is then as it was. */
static bool slot_fill(slot_t *slot, const char *inbox)
{
    mailbus_buf_t labels = MAILBUS_BUF_INIT;
    mb_metric_label("inbox", inbox == NULL ? "(others)" : inbox, &labels);
    char *own = inbox == NULL ? NULL : strdup(inbox);
    if (labels.failed || (inbox != NULL && own == NULL)) {
        mailbus_buf_free(&labels);
        free(own);
        return false;
    }
    *slot = (slot_t){.inbox = own, .labels = mailbus_buf_take(&labels, NULL)};
    return true;
}

static slot_t *find(watch_t *self, const char *inbox)
{
    for (size_t i = 0; i < self->count; i++) {
        if (strcmp(self->slots[i].inbox, inbox) == 0) {
            return &self->slots[i];
        }
    }
    slot_t others = self->slots[self->count];
    if (self->count == self->most || !slot_fill(&self->slots[self->count], inbox)) {
        return &self->slots[self->count];
    }
    self->slots[++self->count] = others;
    return &self->slots[self->count - 1];
}

/* A rates_visit_fn. */
static mailbus_code_t visit(void *arg, const rates_row_t *row, mailbus_error_t *error)
{
    watch_t *self = arg;
    rates_counts_t *counts = &find(self, row->inbox)->counts;
    counts->sent += row->counts.sent;
    counts->delivered += row->counts.delivered;
    counts->bounced += row->counts.bounced;
    counts->hard += row->counts.hard;
    counts->rejected += row->counts.rejected;
    self->visited++;
    mailbus_buf_clear(&self->last);
    mailbus_buf_text(&self->last, row->inbox);
    return self->last.failed ? mailbus_fail(error, MAILBUS_ENOMEM, "out of memory") : MAILBUS_OK;
}

static mailbus_code_t read_rates(watch_t *self, const rates_limits_t *limits, int64_t now_ms,
                                 mailbus_error_t *error)
{
    sqlite3 *db = NULL;
    const char *after = NULL;
    mailbus_code_t code = MAILBUS_OK;
    if (self->live == NULL) {
        code =
            mb_db_live_open(mailbus_setting_text(self->runtime, "state.path"), &self->live, error);
    }
    if (code == MAILBUS_OK) {
        code = mb_db_live_begin(self->live, &db, error);
    }
    for (size_t i = 0; i <= self->count; i++) {
        self->slots[i].counts = (rates_counts_t){0};
    }
    do {
        self->visited = 0;
        if (code == MAILBUS_OK) {
            code = rates_list(db, limits->window_ms, now_ms, after, INBOXES_AT_ONCE, visit, self,
                              error);
        }
        after = self->last.data;
    } while (code == MAILBUS_OK && self->visited == INBOXES_AT_ONCE);
    if (code != MAILBUS_OK) {
        mb_db_live_close(&self->live);
    } else {
        mb_db_live_end(self->live);
    }
    return code;
}

static void tell(watch_t *self, slot_t *slot, const rates_limits_t *limits)
{
    rates_level_t level = rates_judge(&slot->counts, limits);
    int64_t points = rates_basis_points(&slot->counts);
    if (slot->inbox != NULL && level != slot->level &&
        (level > RATES_HEALTHY || slot->level > RATES_HEALTHY)) {
        mailbus_runtime_log(self->runtime, level > RATES_HEALTHY ? "warn" : "info",
                            "bounce rate of %s: %lld.%02lld %% of %lld recipients, %s", slot->inbox,
                            (long long)(points < 0 ? 0 : points / 100),
                            (long long)(points < 0 ? 0 : points % 100),
                            (long long)slot->counts.sent, rates_level_name(level));
    }
    slot->level = level;
    const struct {
        const char *what, *help;
        int64_t value;
    } gauges[] = {
        {"window_sent", "Recipients that an inbox sent to within rates.window", slot->counts.sent},
        {"window_bounced", "Of them bounced", slot->counts.bounced},
        {"window_rate_basis_points", "Hundredths of a percent that bounced; -1: nothing was sent",
         points},
        {"window_verdict", "0: too few mails to tell, 1 healthy, 2 high, 3 over the limit", level},
    };
    for (size_t i = 0; i < sizeof gauges / sizeof gauges[0]; i++) {
        mailbus_gauge(self->runtime, gauges[i].what, slot->labels, gauges[i].help, gauges[i].value);
    }
}

static void look(watch_t *self, const config_t *config)
{
    mailbus_error_t error = {0};
    const rates_limits_t *limits = &config->limits.rates;
    if (read_rates(self, limits, mb_clock_wall_ms(), &error) != MAILBUS_OK) {
        mailbus_runtime_log(self->runtime, "warn", "the bounce rates can't be read: %s",
                            error.text);
        return;
    }
    for (size_t i = 0; i <= self->count; i++) {
        tell(self, &self->slots[i], limits);
    }
}

/* False once it is to stop. */
static bool pause_for(watch_t *self, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&self->lock);
    while (!self->stop && pthread_cond_timedwait(&self->wake, &self->lock, &until) != ETIMEDOUT) {
        /* woken for nothing */
    }
    bool stop = self->stop;
    pthread_mutex_unlock(&self->lock);
    return !stop;
}

static void *run(void *arg)
{
    watch_t *self = arg;
    int64_t pause_ms;
    do {
        const config_t *config = mb_held_take(self->config);
        look(self, config);
        pause_ms = config->refresh_ms;
        mb_held_give(self->config, config);
    } while (pause_for(self, pause_ms));
    return NULL;
}

mailbus_code_t watch_new(mailbus_runtime_t *runtime, mb_held_t *config, watch_t **ret_self,
                         mailbus_error_t *error)
{
    int64_t most = mailbus_setting_integer(runtime, "rates.inboxes");
    if (most < 0 || most > 1000) {
        return mailbus_fail(error, MAILBUS_EINVAL, "rates.inboxes: 0 to 1000");
    }
    watch_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    self->runtime = runtime;
    self->config = config;
    self->most = (size_t)most;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    self->slots = calloc(self->most + 1, sizeof self->slots[0]);
    if (self->slots == NULL || !slot_fill(&self->slots[0], NULL)) {
        watch_destroy(&self);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    int failed = pthread_create(&self->thread, NULL, run, self);
    if (failed != 0) {
        watch_destroy(&self);
        return mailbus_fail(error, MAILBUS_EIO, "no thread for the rates: %s", strerror(failed));
    }
    self->started = true;
    *ret_self = self;
    return MAILBUS_OK;
}

void watch_destroy(watch_t **self_p)
{
    watch_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    if (self->started) {
        pthread_mutex_lock(&self->lock);
        self->stop = true;
        pthread_cond_signal(&self->wake);
        pthread_mutex_unlock(&self->lock);
        pthread_join(self->thread, NULL);
    }
    for (size_t i = 0; self->slots != NULL && i <= self->count; i++) {
        slot_free(&self->slots[i]);
    }
    free(self->slots);
    mb_db_live_close(&self->live);
    mailbus_buf_free(&self->last);
    pthread_mutex_destroy(&self->lock);
    pthread_cond_destroy(&self->wake);
    free(self);
}
