/* The messages and threads of all inboxes, in memory and bounded: the oldest go first. Owned by the
 * HTTP thread. */
#ifndef SIM_MAILBOX_H
#define SIM_MAILBOX_H

#include "mail.h"
#include "mailbus/buf.h"

#define MAILBOX_MESSAGES_MAX 50000                 /* enough for a long load test */
#define MAILBOX_BYTES_MAX    (256LL * 1024 * 1024) /* of texts, attachments and files */

typedef struct mailbox mailbox_t;

/* A conversation in one inbox. It lives as long as one of its messages. */
typedef struct {
    char *key; /* inbox and id, as the table has it */
    char *id;
    char *subject;
    char *last_message_id;
    cJSON *senders;    /* array of addresses, each once */
    cJSON *recipients; /* the same */
    int64_t created_ms;
    int64_t received_ms; /* of the last mail that came in; 0: none */
    size_t messages;     /* ever */
    size_t held;         /* still in memory */
    size_t size;         /* bytes of all its messages */
} thread_t;

typedef struct message {
    struct message *next; /* the one that came after it, in all inboxes */
    char *key;            /* inbox and message id, as the table has it */
    char *inbox_id;
    char *token; /* opens the files of the message without an API key */
    thread_t *thread;
    mail_t mail;
    int64_t created_ms;
    int64_t updated_ms;
    size_t size; /* bytes, as the API tells it */
    bool sent;   /* went out through the API */
    char *call;  /* "send", "reply", "reply-all", "forward" */
    char *idempotency_key;
} message_t;

mailbox_t *mailbox_new(void);
void mailbox_destroy(mailbox_t **self_p);
void mailbox_clear(mailbox_t *self);

/* Take a mail in as a message of `inbox_id`. `mail` is moved from: it must have a message_id; it is
 * left empty. The thread is that of thread_id, in_reply_to or references where the inbox has it,
 * else a new one. Lent until the next call that adds. */
message_t *mailbox_add(mailbox_t *self, const char *inbox_id, mail_t *mail, int64_t now_ms);
message_t *mailbox_find(const mailbox_t *self, const char *inbox_id, const char *message_id);
message_t *mailbox_find_token(const mailbox_t *self, const char *token);
message_t *mailbox_first(const mailbox_t *self); /* the oldest; then ->next */
/* How many went out since the start or the last clear, whether they are still held or not. */
uint64_t mailbox_sent_count(const mailbox_t *self);
void mailbox_count_sent(mailbox_t *self);

/* The message and its thread as the API and events show them; the caller deletes. `with_bodies`:
 * text and html too. */
cJSON *message_json(const message_t *message, bool with_bodies);
cJSON *message_thread_json(const message_t *message);
/* The message as a file: the one it came as, or written anew, always the same bytes. */
void message_raw(const message_t *message, mailbus_buf_t *out);
/* Add and take away labels, each once. */
void message_label(message_t *message, const cJSON *add, const cJSON *remove, int64_t now_ms);

#endif
