/* What the files of the inbox share: inbox.c (open, close, questions), inbox_write.c (into the
 * file), inbox_hand.c (out to the workers), inbox_group.c (the store in a handler's hands),
 * inbox_store.c (in anybody else's). */
#ifndef RUNTIME_INBOX_INTERNAL_H
#define RUNTIME_INBOX_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "inbox.h"

enum {
    INBOX_WINDOW_EVENTS = 1024,            /* default; a page of replay fits */
    INBOX_WINDOW_BYTES = 32 * 1024 * 1024, /* default */
    INBOX_REFILL_EVENTS = 256,             /* read from the file in one go */
    INBOX_HELD_MAX = 256,                  /* retries in memory at once */
    INBOX_FINISHED_SOON = 512,             /* a worker writes them itself at this many */
    INBOX_FINISHED_MAX = 8192,             /* no more is handed out while so many wait */
    INBOX_CAREFUL_EVENTS = 256, /* marked one by one after a crash: what may have been in hand */
};

/* How one event ended, until that is written. */
typedef struct inbox_note {
    struct inbox_note *next;
    int64_t number;
    inbox_end_t end;
    bool tried;
    unsigned attempts;
    int64_t due_ms;
    int64_t ended_ms;
    size_t size;
    char reason[]; /* "" for DONE */
} inbox_note_t;

typedef struct inbox_member inbox_member_t; /* inbox_group.c */

typedef struct {
    inbox_item_t *first;
    inbox_item_t *last;
    size_t count;
    size_t bytes;
} inbox_queue_t;

struct inbox {
    mb_log_t *log;
    inbox_options_t options;
    void (*on_finished)(void *arg);
    void *on_finished_arg;

    pthread_mutex_t store_lock;
    store_t *store;
    int64_t next_number;       /* of the next row */
    atomic_uint store_waiting; /* threads on their way into the lock */
    inbox_member_t *members;   /* handlers whose parts wait for the commit */
    unsigned parts;            /* begun in the open transaction */
    pthread_cond_t group_ended;

    pthread_mutex_t window_lock; /* taken after store_lock where both are */
    pthread_cond_t ready;
    inbox_queue_t fresh;          /* untried, in order */
    inbox_queue_t tried;          /* whose time has come */
    bool tried_next;              /* whose turn it is: neither starves the other */
    int64_t loaded;               /* untried rows up to this number were loaded */
    int64_t backlog;              /* untried rows above it, only in the file */
    int64_t held[INBOX_HELD_MAX]; /* retries in memory, or ended and not yet written */
    size_t held_count;
    int64_t next_due_ms; /* of the earliest retry that is not in memory */
    bool refilling;
    bool stopped;
    inbox_note_t *notes; /* ended, oldest first */
    inbox_note_t **notes_end;
    size_t note_count;
    int64_t rows;
    int64_t bytes;
    int64_t dead;
    bool full;
    bool broken;
    unsigned careful; /* events still to be marked */
    char write_error[256];

    mb_metric_t *rows_gauge;
    mb_metric_t *bytes_gauge;
    mb_metric_t *dead_gauge;
    mb_metric_t *dead_dropped;
    mb_metric_t *commits;
    mb_metric_t *commit_errors;
};

void inbox_queue_push(inbox_queue_t *queue, inbox_item_t *item);
inbox_item_t *inbox_queue_pop(inbox_queue_t *queue);
void inbox_item_free(inbox_item_t **item_p);
void inbox_notes_free(inbox_note_t *notes);

/* inbox_group.c: the store, with no transaction open. What handlers had waiting is committed first.
 * `until` by the wall clock; false: somebody kept it for so long. */
void inbox_store_lock(inbox_t *self);
bool inbox_store_lock_until(inbox_t *self, const struct timespec *until);
void inbox_store_unlock(inbox_t *self);

/* With the window locked. */
void inbox_publish_counts(inbox_t *self);
void inbox_held_remove(inbox_t *self, int64_t number);
/* With the store locked, in a transaction: keep the dead letters within their limit once `more` of
 * them are added to those that are counted. *ret_dropped: how many were thrown away;
 * inbox_dead_dropped tells it once that is on disk. */
MAILBUS_MUST_USE mailbus_code_t inbox_trim_dead(inbox_t *self, int64_t more, int64_t *ret_dropped,
                                                mailbus_error_t *error);
void inbox_dead_dropped(inbox_t *self, int64_t dropped); /* with the window locked */
/* With the store locked. A failure is remembered for readiness; EIO breaks the inbox for good. */
void inbox_wrote(inbox_t *self, mailbus_code_t code, const mailbus_error_t *error);
/* EIO where the disk has failed once: after a failed sync the page cache lies, and what is written
 * now may stand on what never reached the disk. */
MAILBUS_MUST_USE mailbus_code_t inbox_usable(inbox_t *self, mailbus_error_t *error);

#endif
