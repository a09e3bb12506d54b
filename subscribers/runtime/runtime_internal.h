/* The running program, as its own files see it: boot.c (start and stop), main.c, runtime.c
 * (settings, log, counters for the subscriber), task.c (one event in a handler's hands), workers.c.
 */
#ifndef RUNTIME_INTERNAL_H
#define RUNTIME_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "backoff.h"
#include "inbox.h"
#include "mailbus/subscriber.h"
#include "settings.h"

#define RUNTIME_REASON_MAX 512 /* bytes of a reason, its NUL included */

/* A text that was lent to the subscriber, and therefore stays. */
typedef struct runtime_text {
    struct runtime_text *next;
    char text[];
} runtime_text_t;

struct mailbus_runtime {
    const mailbus_subscriber_t *subscriber;
    void *self; /* the subscriber's own */
    mb_settings_t *settings;
    pthread_mutex_t settings_lock; /* over settings, texts and backoff */
    runtime_text_t *texts;
    backoff_policy_t backoff;
    mb_log_t *log;
    mb_metrics_t *metrics;
    inbox_t *inbox;
    bool rebuilding; /* from start to end */
    atomic_bool stopping;
    atomic_bool met;       /* what the gateway had when the bus met it is in the inbox */
    atomic_bool caught_up; /* and was handled */
    int64_t catch_up_to;   /* the inbox's last row at that moment; the store's lock guards it */
};

struct mailbus_task {
    mailbus_runtime_t *runtime;
    const inbox_item_t *item;
    sqlite3 *store; /* while this task holds it, else NULL */
    char reason[RUNTIME_REASON_MAX];
    int64_t retry_after_ms;
    char key[257]; /* Idempotency-Key: at most 256 characters */
};

/* runtime.c */
void runtime_texts_free(mailbus_runtime_t *self);
int64_t runtime_integer(const mailbus_runtime_t *self, const char *key);
/* Read the retry.* settings anew. */
void runtime_read_backoff(mailbus_runtime_t *self);

#endif
