#include "keeper.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "block_list.h"
#include "clock.h"
#include "db_query.h"
#include "suppress.h"

enum { POLL_MS = 500 }; /* handlers and commands change the file without a word */

struct keeper {
    mailbus_runtime_t *runtime;
    block_list_t *block_list; /* NULL: nothing is written through */
    sqlite3 *reader;
    int64_t version; /* of the data that the gauges show; -1: none yet */
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* of the condition */
    pthread_cond_t stopped;
    atomic_bool stop;
};

/* --- gauges -------------------------------------------------------------------------------------
 */

static void set_entries(keeper_t *self, const char *reason, bool certain, int64_t count)
{
    char labels[80];
    snprintf(labels, sizeof labels, "reason=\"%s\",ambiguous=\"%s\"", reason,
             certain ? "no" : "yes");
    mailbus_gauge(self->runtime, "entries", labels, "Entries of the list, by reason", count);
}

static mailbus_code_t count_entries(keeper_t *self, mailbus_error_t *error)
{
    int64_t counts[REASONS][2] = {{0}};
    sqlite3_stmt *stmt = NULL;
    mailbus_code_t code = mb_db_prepare(
        self->reader, "SELECT reason, certain, count(*) FROM entries GROUP BY 1, 2", &stmt, error);
    while (code == MAILBUS_OK && mb_db_next(stmt, &code, error)) {
        const char *name = mb_db_text(stmt, 0);
        reason_t reason = name != NULL ? reason_of(name) : REASON_NONE;
        if (reason != REASON_NONE) {
            counts[reason][sqlite3_column_int64(stmt, 1) != 0] = sqlite3_column_int64(stmt, 2);
        }
    }
    sqlite3_finalize(stmt);
    for (int i = 0; code == MAILBUS_OK && i < REASONS; i++) {
        set_entries(self, reason_name((reason_t)i), true, counts[i][1]);
        set_entries(self, reason_name((reason_t)i), false, counts[i][0]);
    }
    return code;
}

static mailbus_code_t count_outbox(keeper_t *self, mailbus_error_t *error)
{
    int64_t waiting = 0;
    mailbus_code_t code = mb_db_integer(
        self->reader, "SELECT count(*) FROM outbox WHERE due_ms IS NOT NULL", &waiting, error);
    if (code == MAILBUS_OK) {
        mailbus_gauge(self->runtime, "block_list_waiting", "",
                      "Changes that AgentMail's block list does not know yet", waiting);
    }
    return code;
}

static void set_gauges(keeper_t *self)
{
    mailbus_error_t error = {0};
    int64_t version = 0;
    mailbus_code_t code = mb_db_integer(self->reader, "PRAGMA data_version", &version, &error);
    if (code == MAILBUS_OK && version != self->version) {
        code = count_entries(self, &error);
        if (code == MAILBUS_OK) {
            code = count_outbox(self, &error);
        }
        self->version = version;
    }
    if (code != MAILBUS_OK) {
        self->version = -1;
        mailbus_runtime_log(self->runtime, "error", "the list can't be read: %s", error.text);
    }
}

/* --- the thread ---------------------------------------------------------------------------------
 */

/* False once it is to stop. */
static bool wait_for(keeper_t *self, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t at_ms = (int64_t)until.tv_sec * 1000 + until.tv_nsec / 1000000 + ms;
    until = (struct timespec){.tv_sec = (time_t)(at_ms / 1000),
                              .tv_nsec = (long)(at_ms % 1000) * 1000000};
    pthread_mutex_lock(&self->lock);
    while (ms > 0 && !atomic_load(&self->stop) &&
           pthread_cond_timedwait(&self->stopped, &self->lock, &until) != ETIMEDOUT) {
    }
    pthread_mutex_unlock(&self->lock);
    return !atomic_load(&self->stop);
}

static void *run(void *arg)
{
    keeper_t *self = arg;
    int64_t pause_ms = 0;
    do {
        set_gauges(self);
        pause_ms = POLL_MS;
        if (self->block_list != NULL) {
            int64_t next_ms = block_list_work(self->block_list, self->reader, mb_clock_wall_ms());
            pause_ms = next_ms < pause_ms ? next_ms : pause_ms;
        }
    } while (wait_for(self, pause_ms));
    return NULL;
}

static mailbus_code_t start(keeper_t *self, mailbus_error_t *error)
{
    static const mb_db_options_t options = {.page_size = 0};
    mailbus_code_t code = block_list_new(self->runtime, &self->stop, &self->block_list, error);
    if (code == MAILBUS_OK) {
        code = mb_db_open_reader(mailbus_setting_text(self->runtime, "state.path"), &options,
                                 &self->reader, error);
    }
    int failed = code == MAILBUS_OK ? pthread_create(&self->thread, NULL, run, self) : 0;
    if (failed != 0) {
        return mailbus_fail(error, MAILBUS_EIO, "no thread for the list: %s", strerror(failed));
    }
    self->started = code == MAILBUS_OK;
    return code;
}

mailbus_code_t keeper_new(mailbus_runtime_t *runtime, keeper_t **ret_self, mailbus_error_t *error)
{
    keeper_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->stopped, &attributes);
    pthread_condattr_destroy(&attributes);
    self->runtime = runtime;
    self->version = -1;
    atomic_init(&self->stop, false);
    mailbus_code_t code = start(self, error);
    if (code == MAILBUS_OK) {
        *ret_self = self;
    } else {
        keeper_destroy(&self);
    }
    return code;
}

void keeper_destroy(keeper_t **self_p)
{
    keeper_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    if (self->started) {
        pthread_mutex_lock(&self->lock);
        atomic_store(&self->stop, true);
        pthread_cond_signal(&self->stopped);
        pthread_mutex_unlock(&self->lock);
        pthread_join(self->thread, NULL);
    }
    block_list_destroy(&self->block_list);
    mb_db_close(&self->reader);
    pthread_mutex_destroy(&self->lock);
    pthread_cond_destroy(&self->stopped);
    free(self);
}
