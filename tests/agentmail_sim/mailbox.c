/* Messages by inbox and id, by token, and in the order in which they came. */
#include "mailbox.h"

#include <assert.h>
#include <czmq.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "random_id.h"

struct mailbox {
    zhashx_t *messages; /* key → message_t, owned by the list below */
    zhashx_t *tokens;   /* token → message_t */
    zhashx_t *threads;  /* key → thread_t */
    message_t *first;
    message_t *last;
    size_t count;
    size_t bytes;
    uint64_t sent;
};

mailbox_t *mailbox_new(void)
{
    mailbox_t *self = memory_new(sizeof *self);
    self->messages = zhashx_new();
    self->tokens = zhashx_new();
    self->threads = zhashx_new();
    assert(self->messages != NULL && self->tokens != NULL && self->threads != NULL);
    return self;
}

static char *make_key(const char *inbox_id, const char *id)
{
    mailbus_buf_t key = MAILBUS_BUF_INIT;
    mailbus_buf_text(&key, inbox_id);
    mailbus_buf_char(&key, '\n'); /* stands in neither */
    mailbus_buf_text(&key, id);
    return mailbus_buf_take(&key, NULL);
}

static void thread_release(mailbox_t *self, thread_t *thread)
{
    if (--thread->held > 0) {
        return;
    }
    zhashx_delete(self->threads, thread->key);
    free(thread->key);
    free(thread->id);
    free(thread->subject);
    free(thread->last_message_id);
    cJSON_Delete(thread->senders);
    cJSON_Delete(thread->recipients);
    free(thread);
}

static void drop_oldest(mailbox_t *self)
{
    message_t *message = self->first;
    self->first = message->next;
    if (self->first == NULL) {
        self->last = NULL;
    }
    self->count--;
    self->bytes -= message->size;
    zhashx_delete(self->messages, message->key);
    zhashx_delete(self->tokens, message->token);
    thread_release(self, message->thread);
    mail_clear(&message->mail);
    free(message->key);
    free(message->inbox_id);
    free(message->token);
    free(message->call);
    free(message->idempotency_key);
    free(message);
}

void mailbox_clear(mailbox_t *self)
{
    while (self->first != NULL) {
        drop_oldest(self);
    }
    self->sent = 0;
}

void mailbox_destroy(mailbox_t **self_p)
{
    mailbox_t *self = *self_p;
    *self_p = NULL;
    if (self != NULL) {
        mailbox_clear(self);
        zhashx_destroy(&self->messages);
        zhashx_destroy(&self->tokens);
        zhashx_destroy(&self->threads);
        free(self);
    }
}

message_t *mailbox_find(const mailbox_t *self, const char *inbox_id, const char *message_id)
{
    char *key = make_key(inbox_id, message_id);
    message_t *found = zhashx_lookup(self->messages, key);
    free(key);
    return found;
}

message_t *mailbox_find_token(const mailbox_t *self, const char *token)
{
    return zhashx_lookup(self->tokens, token);
}

message_t *mailbox_first(const mailbox_t *self)
{
    return self->first;
}

uint64_t mailbox_sent_count(const mailbox_t *self)
{
    return self->sent;
}

void mailbox_count_sent(mailbox_t *self)
{
    self->sent++;
}

/* The thread a mail belongs to by what it answers, or NULL. */
static thread_t *find_thread(const mailbox_t *self, const char *inbox_id, const mail_t *mail)
{
    if (mail->thread_id != NULL) {
        char *key = make_key(inbox_id, mail->thread_id);
        thread_t *thread = zhashx_lookup(self->threads, key);
        free(key);
        return thread;
    }
    const message_t *parent =
        mail->in_reply_to != NULL ? mailbox_find(self, inbox_id, mail->in_reply_to) : NULL;
    const cJSON *reference;
    cJSON_ArrayForEach(reference, mail->references)
    {
        const message_t *found = mailbox_find(self, inbox_id, reference->valuestring);
        parent = parent == NULL ? found : parent;
    }
    return parent != NULL ? parent->thread : NULL;
}

static thread_t *new_thread(mailbox_t *self, const char *inbox_id, const mail_t *mail,
                            int64_t now_ms)
{
    thread_t *thread = memory_new(sizeof *thread);
    thread->id = mail->thread_id != NULL ? memory_text(mail->thread_id) : random_uuid();
    thread->key = make_key(inbox_id, thread->id);
    thread->subject = memory_text(mail->subject);
    thread->senders = cJSON_CreateArray();
    thread->recipients = cJSON_CreateArray();
    thread->created_ms = now_ms;
    zhashx_insert(self->threads, thread->key, thread);
    return thread;
}

static void add_once(cJSON *array, const char *text)
{
    enum { PARTICIPANTS_MAX = 100 }; /* a thread that goes on for ever must not grow for ever */
    const cJSON *item;
    cJSON_ArrayForEach(item, array)
    {
        if (strcmp(item->valuestring, text) == 0) {
            return;
        }
    }
    if (cJSON_GetArraySize(array) < PARTICIPANTS_MAX) {
        cJSON_AddItemToArray(array, cJSON_CreateString(text));
    }
}

static void thread_take(thread_t *thread, const message_t *message)
{
    const cJSON *item;
    thread->messages++;
    thread->held++;
    thread->size += message->size;
    free(thread->last_message_id);
    thread->last_message_id = memory_text(message->mail.message_id);
    if (message->mail.from != NULL) {
        add_once(thread->senders, message->mail.from);
    }
    cJSON_ArrayForEach(item, message->mail.to)
    {
        add_once(thread->recipients, item->valuestring);
    }
    cJSON_ArrayForEach(item, message->mail.cc)
    {
        add_once(thread->recipients, item->valuestring);
    }
}

static size_t mail_size(const mail_t *mail)
{
    if (mail->raw != NULL) {
        return mail->raw_size;
    }
    size_t size = 512; /* about what its headers take */
    size += mail->text != NULL ? strlen(mail->text) : 0;
    size += mail->html != NULL ? strlen(mail->html) : 0;
    for (size_t at = 0; at < mail->attachment_count; at++) {
        size += mail->attachments[at].size;
    }
    return size;
}

message_t *mailbox_add(mailbox_t *self, const char *inbox_id, mail_t *mail, int64_t now_ms)
{
    assert(mail->message_id != NULL);
    message_t *message = memory_new(sizeof *message);
    message->inbox_id = memory_text(inbox_id);
    message->key = make_key(inbox_id, mail->message_id);
    message->token = random_uuid();
    message->created_ms = now_ms;
    message->updated_ms = now_ms;
    message->size = mail_size(mail);
    message->thread = find_thread(self, inbox_id, mail);
    if (message->thread == NULL) {
        message->thread = new_thread(self, inbox_id, mail, now_ms);
    }
    message->mail = *mail;
    memset(mail, 0, sizeof *mail);
    thread_take(message->thread, message);
    int taken = zhashx_insert(self->messages, message->key, message);
    assert(taken == 0); /* callers look first */
    zhashx_insert(self->tokens, message->token, message);
    if (self->last != NULL) {
        self->last->next = message;
    } else {
        self->first = message;
    }
    self->last = message;
    self->count++;
    self->bytes += message->size;
    while (self->first != message &&
           (self->count > MAILBOX_MESSAGES_MAX || self->bytes > MAILBOX_BYTES_MAX)) {
        drop_oldest(self);
    }
    return message;
}

static bool has_text(const cJSON *array, const char *text)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, array)
    {
        if (strcmp(item->valuestring, text) == 0) {
            return true;
        }
    }
    return false;
}

void message_label(message_t *message, const cJSON *add, const cJSON *remove, int64_t now_ms)
{
    cJSON *labels = cJSON_CreateArray();
    const cJSON *const sources[] = {message->mail.labels, add};
    for (size_t at = 0; at < 2; at++) {
        const cJSON *item;
        cJSON_ArrayForEach(item, sources[at])
        {
            if (!has_text(labels, item->valuestring) && !has_text(remove, item->valuestring)) {
                cJSON_AddItemToArray(labels, cJSON_CreateString(item->valuestring));
            }
        }
    }
    cJSON_Delete(message->mail.labels);
    message->mail.labels = labels;
    message->updated_ms = now_ms;
}
