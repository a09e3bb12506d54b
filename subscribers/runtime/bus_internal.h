/* What the files of the bus thread share. Everything here belongs to that thread, but what is under
 * `lock`. */
#ifndef RUNTIME_BUS_INTERNAL_H
#define RUNTIME_BUS_INTERNAL_H

#include <pthread.h>

#include "bus.h"
#include "gap.h"
#include "mailbus/replay.h"
#include "zmq_monitor.h"

enum {
    BUS_BATCH_EVENTS = 1024,            /* of one transaction: a page fits */
    BUS_BATCH_BYTES = 8 * 1024 * 1024,  /* bodies of one transaction */
    BUS_RECEIVE_HWM = 1000,             /* published messages in memory; beyond it replay serves */
    BUS_LINGER_MS = 0,                  /* requests need not survive us */
    BUS_MESSAGE_MAX = 16 * 1024 * 1024, /* bytes of a frame that we take from a gateway */
    BUS_ANSWER_MS = 5000,               /* without a sign of the answer: ask again */
    BUS_RETRY_MS = 250,                 /* first pause before asking again; doubles */
    BUS_RETRY_MAX_MS = 30000,
    BUS_SILENCE_MS = 5000,         /* heads come every second; this long without is a fault */
    BUS_WRITE_RETRY_MS = 1000,     /* after the state file refused a transaction */
    BUS_FLUSH_MS = 50,             /* finished events wait so long for company */
    BUS_NOTE_MS = 60000,           /* a cursor that moves without events is saved so often */
    BUS_CONTACT_SLACK_MS = 300000, /* how far this clock and the gateway's may be apart */
    BUS_PAUSE_POLL_MS = 100,       /* a full inbox is looked at so often */
    BUS_IDLE_MS = 1000,
    BUS_HEADS_MS = 1000, /* heads are asked for at most this often */
    BUS_MISMATCHES = 5,  /* so often in a row the two endpoints don't belong together */
};

typedef enum {
    BUS_ASK_NOTHING,
    BUS_ASK_HEADS, /* which journal, and how far */
    BUS_ASK_SINCE, /* where to begin in another journal */
    BUS_ASK_PAGE,  /* the next page from the cursor */
} bus_ask_t;

struct bus {
    bus_options_t options;
    inbox_t *inbox;
    mb_log_t *log;
    gap_t *gap;
    void *sub;
    void *dealer;
    mb_monitor_t *sub_monitor;
    mb_monitor_t *dealer_monitor;
    int wake; /* eventfd: finished events wait, or stop */
    pthread_t thread;
    bool started;

    inbox_arrival_t batch[BUS_BATCH_EVENTS];
    size_t batch_count;
    size_t batch_bytes;
    mailbus_buf_t note;  /* being encoded */
    mailbus_buf_t saved; /* as it stands in the file */
    bool note_dirty;
    int64_t note_saved_ms;     /* monotonic */
    int64_t finished_since_ms; /* monotonic; 0: nothing finished waits */
    int64_t write_blocked_until_ms;
    int64_t contact_ms;  /* wall: the last time heads of our stream came */
    int64_t recorded_ms; /* gateway's clock: the last event taken */

    /* The dialogue with replay. */
    bool want_heads;
    bool want_page;
    bool since_pending; /* another journal: where to begin in it is not known yet */
    bus_ask_t asked;    /* what the open request is for */
    char request[MAILBUS_REQUEST_ID_MAX + 1];
    char request_prefix[24];
    uint64_t request_count;
    uint64_t highest_when_asked;
    uint64_t cursor_when_asked;
    uint64_t since_base; /* BUS_ASK_SINCE: the event that came, less one */
    bool since_found;
    bool page_broken;
    bool beginning;  /* the first page of a journal: what it no longer keeps nobody misses */
    uint64_t gap_at; /* a published event beyond this sequence showed a gap */
    int64_t answer_until_ms;
    int64_t ask_not_before_ms;
    unsigned failures; /* in a row */
    char new_stream[MAILBUS_UUID_SIZE];

    int64_t heads_ms; /* monotonic: the last heads */
    uint64_t head;
    bool silent;                 /* told that heads are missing */
    int64_t heads_not_before_ms; /* who is asked for heads again and again answers no faster */
    bool foreign_seen;           /* another stream is published than replay has */
    unsigned mismatches;         /* answers in a row that did not explain it */
    bool paused;

    pthread_mutex_t lock;
    bool stop;
    bool positioned;
    bool caught_up;
    bool failed;
    bool heard; /* heads come */
    bool pausing;
    char reason[256];

    mb_metric_t *taken;
    mb_metric_t *seen;
    mb_metric_t *gaps;
    mb_metric_t *foreign;
    mb_metric_t *malformed;
    mb_metric_t *other_shard;
    mb_metric_t *dropped_full;
    mb_metric_t *pages;
    mb_metric_t *requests_failed;
    mb_metric_t *lost;
    mb_metric_t *streams;
    mb_metric_t *head_gauge;
    mb_metric_t *cursor_gauge;
    mb_metric_t *lag_gauge;
    bool sub_up, dealer_up; /* there is a connection */
    mb_metric_t *connected;
    mb_metric_t *refused;
};

/* bus.c */
void *bus_run(void *self);
void bus_batch_clear(bus_t *self);
/* Another stream is published, or heads that can't be: ask what that means. */
void bus_suspect(bus_t *self, bool foreign, int64_t now_ms);
bool bus_batch_room(const bus_t *self);
/* Give one decoded event to the gap rule, and keep it where that says so. Takes the event. */
gap_verdict_t bus_take(bus_t *self, mailbus_event_t **event_p, const void *header,
                       size_t header_size);
/* Commit the batch, what was finished, and the note where it must be. */
void bus_commit(bus_t *self, int64_t now_ms);
void bus_set_positioned(bus_t *self);
void bus_fail(bus_t *self, const char *reason);
/* Heads of our stream were seen, from wherever. */
void bus_heard(bus_t *self, const mailbus_heads_t *heads, int64_t now_ms);

/* bus_sub.c: everything that waits on the SUB socket, as far as the batch has room. */
void bus_read_sub(bus_t *self, int64_t now_ms);

/* bus_replay.c */
void bus_want(bus_t *self, bus_ask_t ask);
void bus_read_dealer(bus_t *self, int64_t now_ms);
void bus_ask(bus_t *self, int64_t now_ms); /* send a request where one is wanted and may go */
void bus_cancel(bus_t *self);              /* the open request: its answers are stale from now on */
int64_t bus_ask_wait(const bus_t *self, int64_t now_ms); /* ms until bus_ask has something to do */

/* bus_stream.c */
mailbus_code_t bus_note_load(bus_t *self, mailbus_error_t *error);
mailbus_code_t bus_note_encode(bus_t *self, mailbus_error_t *error);
void bus_note_restore(bus_t *self); /* as it stands in the file */
void bus_first_contact(bus_t *self, const mailbus_heads_t *heads);
/* `back`: the same journal, but it lost its end. */
void bus_another_stream(bus_t *self, const char *stream, bool back);
void bus_begin_stream(bus_t *self, uint64_t base);
int64_t bus_since(const bus_t *self); /* ms since 1970: where BUS_RESTART begins */

#endif
