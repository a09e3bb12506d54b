/* Events and databases for the tests of mailbus-bounces. */
#ifndef TEST_BOUNCES_EVENTS_H
#define TEST_BOUNCES_EVENTS_H

#include <sqlite3.h>

#include "ledger.h"
#include "limits.h"

#define DAY    INT64_C(86400000)
#define HOUR   INT64_C(3600000)
#define MONDAY INT64_C(1791763200000) /* 2026-10-12T00:00:00Z */

/* A database in memory with the program's tables; fixtures of cmocka. */
int events_open(void **state);
int events_close(void **state); /* fails where a statement was left */

/* What an event is made of; NULL and 0 leave a member out. */
typedef struct {
    const char *id;       /* "evt" */
    const char *topic;    /* "message.bounced" */
    const char *body_key; /* "bounce" */
    const char *inbox, *message_id, *timestamp, *type, *sub_type, *reason;
    const char *recipients; /* JSON */
    int64_t time_ms;        /* instead of `timestamp` */
    int64_t recorded_ms;    /* MONDAY + 100 days */
} events_t;

/* Read it as the handler does; EINVAL and the like come back. */
mailbus_code_t events_report(const events_t *event, report_t **ret_report, mailbus_error_t *error);
/* The same, and into the ledger; anything but OK fails the test. */
void events_add(sqlite3 *db, const events_t *event);
/* One recipient: a bounce of `type` with `status`, a mail that was sent, a delivery. */
void events_bounce(sqlite3 *db, const char *id, const char *address, const char *type,
                   const char *status, int64_t time_ms);
void events_sent(sqlite3 *db, const char *id, const char *address, int64_t time_ms);
void events_delivered(sqlite3 *db, const char *id, const char *address, int64_t time_ms);

/* What the machine says of an address, with the limits in the database. */
machine_verdict_t events_judge(sqlite3 *db, const char *key, int64_t now_ms);
/* The whole of the program's tables as text, the same for the same content. To be freed. */
char *events_dump(sqlite3 *db);
/* The one integer of a query. */
int64_t events_number(sqlite3 *db, const char *sql);

#endif
