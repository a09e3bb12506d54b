/* libmailbus: write a subscriber as one function.
 *
 *     #include <mailbus/subscriber.h>
 *     #include <stdio.h>
 *
 *     static mailbus_verdict_t handle(void *self, mailbus_task_t *task)
 *     {
 *         (void)self;
 *         const mailbus_event_t *event = mailbus_task_event(task);
 *         printf("%s %s\n", event->topic, event->id);
 *         return MAILBUS_DONE;
 *     }
 *
 *     int main(int argc, char **argv)
 *     {
 *         static const char *const topics[] = {"message.received", NULL};
 *         static const mailbus_subscriber_t printer = {
 *             .name = "printer", .summary = "prints events", .topics = topics, .handle = handle};
 *         return mailbus_subscriber_main(argc, argv, &printer);
 *     }
 *
 * Build it with: cc printer.c $(pkg-config --cflags --libs mailbus)
 *
 * The runtime does the rest: it subscribes, finds gaps and fetches what is missing, keeps events in
 * the program's own SQLite file until they are handled, calls `handle` on worker threads, tries
 * again with growing pauses, sets aside what can't be handled, and goes on after a crash where it
 * was. Each event is handled to its end once: effects written through mailbus_task_store commit
 * together with the event's removal; for effects elsewhere use mailbus_task_key as the idempotency
 * key, because a crash between the effect and its note makes the same call happen again, with the
 * same key.
 *
 * Limits that the runtime can't remove: order holds per topic at the bus, not between workers
 * (`workers=1` keeps it); an event that waits for its next try does not hold up those behind it. */
#ifndef MAILBUS_SUBSCRIBER_H
#define MAILBUS_SUBSCRIBER_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "mailbus/event.h"

#define MAILBUS_EXPORT __attribute__((visibility("default")))

typedef enum {
    MAILBUS_DONE,   /* handled, or nothing to do */
    MAILBUS_RETRY,  /* not now; try again later (mailbus_task_retry_after, mailbus_task_reason) */
    MAILBUS_REJECT, /* never: into the dead letters, with mailbus_task_reason */
} mailbus_verdict_t;

typedef struct mailbus_task mailbus_task_t;       /* one event in one worker's hands */
typedef struct mailbus_runtime mailbus_runtime_t; /* the running program */

/* One more setting of the subscriber. Types: "text", "integer", "boolean", "duration", "bytes",
 * "path", "secret", "endpoint", "address", "choice:one two three". Numbers of all types are read
 * with mailbus_setting_integer: durations in milliseconds, sizes in bytes. Every program has the
 * runtime's own keys besides (bus.*, state.path, workers, retry.*, inbox.*, …: see its --help). */
typedef struct {
    const char *key; /* "section.key" */
    const char *type;
    const char *value; /* default, as text */
    const char *help;
    bool reload;     /* SIGHUP takes a change (and `reload` is called) */
    const char *env; /* one more environment name; may be NULL */
} mailbus_setting_t;

/* Something that a person asks of the subscriber's own tables: `mailbus bounces list` and the like.
 * It reaches a running program as POST /command/<name> on its admin listener, under the rules of
 * admin.access, and the file of a stopped one directly. So it knows nothing but the database: what
 * a handler keeps in memory must be looked up there again. In a transaction of the runtime's, which
 * commits where it returns OK and is rolled back otherwise; neither BEGIN, COMMIT nor ROLLBACK.
 *
 * `request` is a JSON object of at most 4 MiB, NUL-terminated at `size`; append one to `answer`, at
 * most 32 MiB. `now_ms`: since 1970. Errors: EINVAL (what was asked is wrong: the text says what
 * would be right), ENOTFOUND, EEXIST, others as they come; the text is for the person who asks.
 * Lists answer {"rows":[{…}],"next":…}: `next` is what the next request gives as "after", null at
 * the end; at most "limit" rows.
 *
 * While it runs nobody else has the store: workers wait in mailbus_task_store, intake waits, and so
 * do the admin listener's other pages. Tens of milliseconds hurt nobody; whoever has more to do
 * (an import, a long list) asks again and again, and the others get their turn in between. */
typedef struct {
    const char *name; /* [a-z-]+ */
    mailbus_code_t (*run)(sqlite3 *db, const char *request, size_t size, int64_t now_ms,
                          mailbus_buf_t *answer, mailbus_error_t *error);
} mailbus_command_t;

/* A subscriber. Everything is lent for the program's life. */
typedef struct {
    const char *name;    /* "autoreply": program mailbus-autoreply, key name, default state file */
    const char *summary; /* first line of --help */
    const char *const *topics;   /* exact topics, ends with NULL; may be NULL */
    const char *const *prefixes; /* topic prefixes, ends with NULL; may be NULL. "" is everything */
    const mailbus_setting_t *settings; /* ends with a NULL key; may be NULL */
    const char *schema; /* SQL run at start (CREATE TABLE IF NOT EXISTS …); may be NULL */
    /* Once, before the first event. 0: go; else the text in `error` is printed and the program ends
     * with 1. May be NULL. */
    int (*start)(mailbus_runtime_t *runtime, void **ret_self, mailbus_error_t *error);
    /* For each event, on a worker thread, several at a time where `workers` is above 1. */
    mailbus_verdict_t (*handle)(void *self, mailbus_task_t *task);
    /* After SIGHUP; non-zero with `error` keeps the old rules. On a thread of its own while workers
     * run. May be NULL. */
    int (*reload)(void *self, mailbus_runtime_t *runtime, mailbus_error_t *error);
    /* Once, after the last event. May be NULL. */
    void (*stop)(void *self);
    /* The key of one of `settings` that replaces topics and prefixes where it is not empty:
     * blank-separated, "message.received" is exact, "message.*" a prefix, "*" everything. May be
     * NULL. */
    const char *topics_key;
    const mailbus_command_t *commands; /* ends with a NULL name; may be NULL */
    /* The program has --rebuild: everything that the gateway keeps is handled once more, into the
     * empty tables of a new file, which then takes the old one's place (mailbus_rebuilding is true
     * meanwhile). Just before that, after `stop`, this copies from `old` what the journal can't
     * give: what people did, and what it no longer keeps. In a transaction on `db` that commits
     * where it returns OK; `old` is for reading. NULL: there is no --rebuild. */
    mailbus_code_t (*carry)(sqlite3 *db, sqlite3 *old, int64_t now_ms, mailbus_error_t *error);
} mailbus_subscriber_t;

/* The whole program: settings, signals, bus, inbox, workers. Returns the exit status: 0 after
 * SIGTERM or --help, 1 for a failure that was printed, 2 for a wrong command line. Call it from
 * main, before any thread is started. A handler that is still busy when stop.timeout is over is
 * left behind: the process then ends here, and the event is handled again after the next start. */
MAILBUS_EXPORT int mailbus_subscriber_main(int argc, char **argv,
                                           const mailbus_subscriber_t *subscriber);

/* --- what a handler may call -------------------------------------------------------------------
 */

MAILBUS_EXPORT const mailbus_event_t *mailbus_task_event(const mailbus_task_t *task); /* lent */
/* How many tries came before this one: 0 at the first. */
MAILBUS_EXPORT unsigned mailbus_task_attempts(const mailbus_task_t *task);
/* "<name>-<event id>" in the characters and the length that AgentMail's Idempotency-Key takes (1 to
 * 256 of A-Za-z0-9-._~; an id that does not fit is hashed). The same for every try and after every
 * restart. With `part` (may be NULL) several effects of one event get keys of their own. Lent until
 * the next call for this task. */
MAILBUS_EXPORT const char *mailbus_task_key(mailbus_task_t *task, const char *part);
/* Why RETRY or REJECT: kept in the inbox and the dead letters, shown by `mailbus dead show`. */
MAILBUS_EXPORT void mailbus_task_reason(mailbus_task_t *task, const char *format, ...)
    MAILBUS_PRINTF(2, 3);
/* With RETRY: not before `seconds` from now (a Retry-After). Bounded by retry.max_pause. */
MAILBUS_EXPORT void mailbus_task_retry_after(mailbus_task_t *task, double seconds);
/* The program's own database, inside a transaction that belongs to this event: it commits together
 * with the event's removal when the handler returns DONE, and is rolled back with RETRY and REJECT.
 * Handlers that come at the same moment may share the commit; each is still rolled back alone.
 * From this call until the handler returns (or calls mailbus_task_commit) no other worker can
 * write: no network in between. Neither BEGIN, COMMIT nor ROLLBACK: the transaction is the
 * runtime's; and finalise what you prepare before the handler returns. Tables whose names begin
 * with mailbus_ are the runtime's own. NULL where the transaction can't begin (disk full): return
 * RETRY. */
MAILBUS_EXPORT sqlite3 *mailbus_task_store(mailbus_task_t *task);
/* Commit what was written so far and let the others write; the event stays. For notes that must be
 * on disk before an effect ("about to send"). Not OK: nothing of it is kept; return RETRY. */
MAILBUS_EXPORT MAILBUS_MUST_USE mailbus_code_t mailbus_task_commit(mailbus_task_t *task);
/* The running program of a task. */
MAILBUS_EXPORT mailbus_runtime_t *mailbus_task_runtime(mailbus_task_t *task);
/* The program's own database outside of any event: run `fn` in a transaction that commits where it
 * returns OK. For start, reload, and threads of the subscriber's own; never from a handler between
 * mailbus_task_store and its end. What mailbus_task_store says about `db` holds here as well. */
MAILBUS_EXPORT MAILBUS_MUST_USE mailbus_code_t
mailbus_with_store(mailbus_runtime_t *runtime,
                   mailbus_code_t (*fn)(sqlite3 *db, void *arg, mailbus_error_t *error), void *arg,
                   mailbus_error_t *error);
/* True in a program that was started with --rebuild: serve nobody, the tables are half of the
 * truth.
 */
MAILBUS_EXPORT bool mailbus_rebuilding(const mailbus_runtime_t *runtime);
/* True once everything that the gateway had when this program met it was handled, or tried at
 * least; from then on always. Before that, what its tables say may be out of date by as long as it
 * was away: whoever is asked "may I?" does not say yes. Any thread; not between mailbus_task_store
 * and its end. */
MAILBUS_EXPORT bool mailbus_caught_up(mailbus_runtime_t *runtime);
/* True once the program is stopping: a long handler then returns RETRY soon. */
MAILBUS_EXPORT bool mailbus_task_stopping(const mailbus_task_t *task);

/* --- settings, log, metrics --------------------------------------------------------------------
 */

/* The value of a setting, the runtime's own or the subscriber's; an unknown key is a bug of the
 * caller's (asserted). Any thread. Texts are lent for the program's life; after SIGHUP ask again.
 */
MAILBUS_EXPORT const char *mailbus_setting_text(const mailbus_runtime_t *runtime, const char *key);
MAILBUS_EXPORT int64_t mailbus_setting_integer(const mailbus_runtime_t *runtime, const char *key);
MAILBUS_EXPORT bool mailbus_setting_boolean(const mailbus_runtime_t *runtime, const char *key);
/* One log line about an event (task) or the program (runtime), level "debug", "info", "warn",
 * "error". */
MAILBUS_EXPORT void mailbus_task_log(mailbus_task_t *task, const char *level, const char *format,
                                     ...) MAILBUS_PRINTF(3, 4);
MAILBUS_EXPORT void mailbus_runtime_log(mailbus_runtime_t *runtime, const char *level,
                                        const char *format, ...) MAILBUS_PRINTF(3, 4);
/* Count under mailbus_<name>_<what>_total{labels}; declares it at the first call. `labels` is "" or
 * as Prometheus writes them between the braces, `reason="no-rule"`: never anything out of a mail.
 */
MAILBUS_EXPORT void mailbus_count(mailbus_runtime_t *runtime, const char *what, const char *labels,
                                  const char *help, uint64_t n);
/* Set the gauge mailbus_<name>_<what>{labels}; the same rules as for mailbus_count. */
MAILBUS_EXPORT void mailbus_gauge(mailbus_runtime_t *runtime, const char *what, const char *labels,
                                  const char *help, int64_t value);

#endif
