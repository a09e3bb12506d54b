/* What the ingest listener says, as one table: status, label for the counters, words. Answers whose
 * text never changes are made once and shared by all connections. */
#ifndef GATEWAY_HTTP_ANSWER_H
#define GATEWAY_HTTP_ANSWER_H

#include <microhttpd.h>

#include "guard.h"
#include "log.h"
#include "metrics.h"

typedef enum {
    HTTP_STORED, /* 200: on disk */
    HTTP_DUPLICATE,
    /* The guard's. */
    HTTP_BAD_VERSION,
    HTTP_TOO_MANY_FIELDS,
    HTTP_BAD_FIELD_NAME,
    HTTP_BAD_FIELD_VALUE,
    HTTP_LOOKALIKE_FIELD,
    HTTP_DOUBLED_FIELD,
    HTTP_TRANSFER_ENCODING,
    HTTP_BAD_LENGTH,
    HTTP_NO_LENGTH,
    HTTP_TOO_LARGE,
    HTTP_BAD_TYPE,
    /* The request's. */
    HTTP_UNKNOWN_PATH,
    HTTP_BAD_METHOD,
    HTTP_RATE,
    HTTP_BUDGET,
    HTTP_NO_MEMORY,
    HTTP_SIGNATURE,
    HTTP_SIGNATURE_RATE,
    HTTP_UNREADABLE,
    HTTP_JOURNAL_FULL,
    HTTP_JOURNAL_FAILED,
    HTTP_JOURNAL_LATE,
    /* Written past libmicrohttpd, or not at all: counted only. */
    HTTP_TIMEOUT,
    HTTP_CLOSED_EARLY,
    HTTP_MALFORMED,
    HTTP_ANSWERS, /* how many there are */
} http_answer_t;

typedef struct http_answers http_answers_t;

/* metrics may be NULL. */
MAILBUS_MUST_USE mailbus_code_t http_answers_new(mb_metrics_t *metrics, http_answers_t **ret_self,
                                                 mailbus_error_t *error);
void http_answers_destroy(http_answers_t **self_p);

http_answer_t http_answer_of_guard(guard_result_t result); /* not for GUARD_OK */
unsigned http_answer_status(http_answer_t answer);         /* 0: closed without one */
const char *http_answer_reason(http_answer_t answer);      /* the label's value */

/* Count it; for what is answered past libmicrohttpd or not at all. */
void http_answers_count(http_answers_t *self, http_answer_t answer);
/* Queue a refusal in the table's words, count it; the connection closes after it. */
enum MHD_Result http_answers_refuse(http_answers_t *self, struct MHD_Connection *connection,
                                    http_answer_t answer);
/* The same in other words, for a sender who has shown to be genuine. */
enum MHD_Result http_answers_refuse_with(http_answers_t *self, struct MHD_Connection *connection,
                                         http_answer_t answer, const char *words);
/* Queue 200. close: end the connection after it. */
enum MHD_Result http_answers_accept(http_answers_t *self, struct MHD_Connection *connection,
                                    bool duplicate, uint64_t sequence, bool close);
/* The complete 408, as bytes for the socket. */
const char *http_answers_timeout(const http_answers_t *self, size_t *ret_size);

#endif
