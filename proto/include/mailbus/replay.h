/* The replay dialogue: FETCH and HEADS from the subscriber, EVENT, END, TRIMMED and ERROR from the
 * gateway.
 *
 * Frames after the routing id (which ROUTER and DEALER handle), PROTOCOL.md §Replay:
 *   request  "FETCH" JSON {"request","stream","from"|"since","topics","prefixes","limit","bytes"}
 *            "HEADS" JSON            {"request"}
 *   answers  "TRIMMED" JSON {"request","oldest"}
 *                first, where the wanted part is gone
 *            "EVENT" request topic header body
 *                n times
 *            "END" JSON {"request","stream","next","head","heads","oldest"}
 *                the last one
 *            "ERROR" JSON {"request","code","message"}
 *                instead of all of these */
#ifndef MAILBUS_REPLAY_H
#define MAILBUS_REPLAY_H

#include "mailbus/heads.h"

#define MAILBUS_REQUEST_ID_MAX  64    /* bytes of a request id, printable ASCII */
#define MAILBUS_FETCH_MAX_NAMES 64    /* topics and prefixes in one request */
#define MAILBUS_FETCH_MAX_SIZE  16384 /* bytes of a request's JSON */
#define MAILBUS_FETCH_MAX_LIMIT 1000  /* events of a page; also the default */
#define MAILBUS_FETCH_MAX_BYTES                                                                    \
    (4u * 1024 *                                                                                   \
     1024) /* bytes of bodies in a page; also the default. A page holds one event at least. */
#define MAILBUS_ANSWER_MESSAGE_SIZE 256 /* of ERROR's text, its NUL included */

typedef enum {
    MAILBUS_REPLAY_FETCH,
    MAILBUS_REPLAY_HEADS,
    MAILBUS_REPLAY_EVENT,
    MAILBUS_REPLAY_END,
    MAILBUS_REPLAY_TRIMMED,
    MAILBUS_REPLAY_ERROR,
} mailbus_replay_kind_t;

/* A request. `from` 0 and no `since` means the oldest there is. No topics and no prefixes:
 * everything. */
typedef struct {
    mailbus_replay_kind_t kind; /* FETCH or HEADS */
    char request[MAILBUS_REQUEST_ID_MAX + 1];
    char stream[MAILBUS_UUID_SIZE]; /* "" : whichever it is */
    uint64_t from;                  /* first sequence wanted, inclusive */
    bool has_since;
    int64_t since_ms; /* first recorded time wanted, inclusive, ms since 1970 */
    char **topics;    /* compared for equality */
    size_t topic_count;
    char **prefixes; /* compared as byte prefixes */
    size_t prefix_count;
    uint32_t limit; /* events */
    uint32_t bytes; /* of bodies */
} mailbus_fetch_t;

/* An answer other than EVENT. */
typedef struct {
    mailbus_replay_kind_t kind;               /* END, TRIMMED or ERROR */
    char request[MAILBUS_REQUEST_ID_MAX + 1]; /* ERROR: "" where the request's could not be read */
    uint64_t next;   /* END: ask from here for the next page; above head: this was the last */
    uint64_t oldest; /* END, TRIMMED: the oldest sequence whose body is still kept */
    mailbus_heads_t *heads; /* END: stream, head and heads; owned by the answer */
    int code;               /* ERROR: 400, 403, 404, 429, 500 */
    char message[MAILBUS_ANSWER_MESSAGE_SIZE]; /* ERROR: in words a person can act on */
} mailbus_answer_t;

/* The two frames of a request. Limits and defaults are filled in by decode: limit and bytes of 0
 * become the maximum, larger ones are cut to it. */
MAILBUS_MUST_USE mailbus_code_t mailbus_fetch_encode(const mailbus_fetch_t *fetch,
                                                     mailbus_buf_t *json, mailbus_error_t *error);
MAILBUS_MUST_USE mailbus_code_t mailbus_fetch_decode(const void *verb, size_t verb_size,
                                                     const void *json, size_t json_size,
                                                     mailbus_fetch_t **ret_fetch,
                                                     mailbus_error_t *error);
void mailbus_fetch_free(mailbus_fetch_t **fetch_p);
/* True where the request wants events of this topic. */
bool mailbus_fetch_matches(const mailbus_fetch_t *fetch, const char *topic);

MAILBUS_MUST_USE mailbus_code_t mailbus_answer_encode(const mailbus_answer_t *answer,
                                                      mailbus_buf_t *json, mailbus_error_t *error);
MAILBUS_MUST_USE mailbus_code_t mailbus_answer_decode(const void *verb, size_t verb_size,
                                                      const void *json, size_t json_size,
                                                      mailbus_answer_t **ret_answer,
                                                      mailbus_error_t *error);
void mailbus_answer_free(mailbus_answer_t **answer_p);

/* "FETCH", "HEADS", "EVENT", …: the verb frame of a kind. */
const char *mailbus_replay_verb(mailbus_replay_kind_t kind);

/* Milliseconds since 1970 in RFC 3339 text, UTC with three decimals ("2026-10-12T09:31:04.000Z"),
 * and back (any offset, any number of decimals; EINVAL where it is no such time). */
void mailbus_time_format(int64_t ms, char text[MAILBUS_TIME_SIZE]);
MAILBUS_MUST_USE mailbus_code_t mailbus_time_parse(const char *text, int64_t *ret_ms);

#endif
