/* The last sequence of every topic: the body of `bus.heads` and of the replay answers. */
#ifndef MAILBUS_HEADS_H
#define MAILBUS_HEADS_H

#include "mailbus/event.h"

typedef struct {
    char topic[MAILBUS_TOPIC_MAX + 1];
    uint64_t sequence; /* last one on this topic */
} mailbus_head_t;

typedef struct {
    char stream[MAILBUS_UUID_SIZE];
    uint64_t sequence; /* the head of the journal over all topics; 0: nothing yet */
    mailbus_head_t *topics;
    size_t count;
} mailbus_heads_t;

#define MAILBUS_HEADS_MAX_TOPICS 10000 /* most topics a peer may name, PROTOCOL.md §Limits */
/* Bytes of their JSON: as many topics, as long as topics get, and some blanks. */
#define MAILBUS_HEADS_MAX_SIZE ((size_t)2 * 1024 * 1024)

/* The header frame {"stream","sequence"} and the body {"<topic>":"<last>",…} of bus.heads. */
MAILBUS_MUST_USE mailbus_code_t mailbus_heads_encode(const mailbus_heads_t *heads,
                                                     mailbus_buf_t *header, mailbus_buf_t *body,
                                                     mailbus_error_t *error);
/* The body alone, as it stands under "heads" in END. */
MAILBUS_MUST_USE mailbus_code_t mailbus_heads_encode_body(const mailbus_heads_t *heads,
                                                          mailbus_buf_t *body,
                                                          mailbus_error_t *error);
/* Decode both frames. EINVAL where a topic's head is above the journal's, or anything is malformed.
 * The caller frees with mailbus_heads_free. */
MAILBUS_MUST_USE mailbus_code_t mailbus_heads_decode(const void *header, size_t header_size,
                                                     const void *body, size_t body_size,
                                                     mailbus_heads_t **ret_heads,
                                                     mailbus_error_t *error);
void mailbus_heads_free(mailbus_heads_t **heads_p);
/* The head of `topic`, 0 where it is not named. */
uint64_t mailbus_heads_find(const mailbus_heads_t *heads, const char *topic);

#endif
