/* Bounce rates per inbox: what was sent and what bounced in the last days, against the service's
 * limits. Hourly sums by event time; adding is the same in every order. */
#ifndef BOUNCES_RATES_H
#define BOUNCES_RATES_H

#include <sqlite3.h>

#include "mailbus/buf.h"

#define RATES_HOUR_MS INT64_C(3600000)
#define RATES_KEEP_MS (90 * 24 * RATES_HOUR_MS) /* older sums are dropped: the longest window */

typedef struct {
    int64_t window_ms;
    int64_t healthy_percent; /* below it all is well */
    int64_t limit_percent;   /* above it the service steps in */
    int64_t least_sent;      /* fewer recipients say nothing */
} rates_limits_t;

/* Recipients; `rejected` are mails, their events name no recipients. */
typedef struct {
    int64_t sent, delivered;
    int64_t bounced; /* hard, soft and about the sender */
    int64_t hard;    /* of them */
    int64_t rejected;
} rates_counts_t;

typedef enum {
    RATES_FEW, /* too few mails for a verdict */
    RATES_HEALTHY,
    RATES_HIGH,
    RATES_OVER, /* the limit */
} rates_level_t;

/* Pure. */
rates_level_t rates_judge(const rates_counts_t *counts, const rates_limits_t *limits);
/* Hundredths of a percent, rounded up: "just below the limit" must not be read into it; -1 where
 * nothing was sent. */
int64_t rates_basis_points(const rates_counts_t *counts);
const char *rates_level_name(rates_level_t level); /* "few", "healthy", "high", "over" */

#define RATES_SCHEMA                                                                               \
    "CREATE TABLE IF NOT EXISTS rates ("                                                           \
    " inbox TEXT NOT NULL,"                                                                        \
    " hour INTEGER NOT NULL,"                                                                      \
    " sent INTEGER NOT NULL, delivered INTEGER NOT NULL, bounced INTEGER NOT NULL,"                \
    " hard INTEGER NOT NULL, rejected INTEGER NOT NULL,"                                           \
    " PRIMARY KEY (inbox, hour)"                                                                   \
    ") STRICT, WITHOUT ROWID;"                                                                     \
    "CREATE INDEX IF NOT EXISTS rates_hour ON rates (hour);"

/* `hour` of the table: hours since 1970. In a transaction of the caller's. Also drops what is older
 * than RATES_KEEP_MS before `now_ms`. */
MAILBUS_MUST_USE mailbus_code_t rates_add(sqlite3 *db, const char *inbox, int64_t time_ms,
                                          const rates_counts_t *counts, int64_t now_ms,
                                          mailbus_error_t *error);

typedef struct {
    const char *inbox; /* lent for the call; "": the event named none */
    rates_counts_t counts;
} rates_row_t;

/* Inboxes behind `after`, by name, at most `limit`. */
typedef mailbus_code_t(rates_visit_fn)(void *arg, const rates_row_t *row, mailbus_error_t *error);
MAILBUS_MUST_USE mailbus_code_t rates_list(sqlite3 *db, int64_t window_ms, int64_t now_ms,
                                           const char *after, int64_t limit, rates_visit_fn *visit,
                                           void *arg, mailbus_error_t *error);

#endif
