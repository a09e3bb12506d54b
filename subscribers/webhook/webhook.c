/* The calls: handles with their connections are kept for the next one. */
#include "webhook/webhook.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentmail/guard.h"
#include "agentmail/transfer.h"

enum {
    TIMEOUT_MS = 15000,
    CONNECT_TIMEOUT_MS = 10000,
    STALL_S = 10,
    ANSWER_MAX = 4096, /* bytes of an answer: its status is all that counts */
    IDLE_MAX = 16,     /* handles kept: more workers than this make their own */
};

struct webhook {
    char *url, *user_agent;
    agentmail_reach_t reach;
    long timeout_ms;
    mb_webhook_key_t keys[WEBHOOK_KEYS_MAX];
    size_t key_count;
    pthread_mutex_t lock; /* guards idle and idle_count */
    agentmail_handle_t *idle[IDLE_MAX];
    size_t idle_count;
};

/* --- making one ---------------------------------------------------------------------------------
 */

static mailbus_code_t read_url(webhook_t *self, const char *text, mailbus_error_t *error)
{
    agentmail_url_t url;
    mailbus_error_t why = {0};
    if (agentmail_url_check(text, &url, &why) != MAILBUS_OK) {
        return mailbus_fail(error, MAILBUS_EINVAL, "the url: %s", why.text);
    }
    if (!url.https && !url.loopback) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "the url must begin with https://: over http everybody on the way "
                            "could read the mail (http is taken for loopback addresses)");
    }
    self->reach = url.https ? AGENTMAIL_REACH_ANY : AGENTMAIL_REACH_LOOPBACK;
    self->url = strdup(text);
    return self->url != NULL ? MAILBUS_OK : mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
}

static mailbus_code_t read_secrets(webhook_t *self, const char *text, mailbus_error_t *error)
{
    static const char blanks[] = " \t\r\n";
    mailbus_code_t code = MAILBUS_OK;
    char *copy = strdup(text);
    char *rest = NULL;
    if (copy == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    for (char *word = strtok_r(copy, blanks, &rest); word != NULL && code == MAILBUS_OK;
         word = strtok_r(NULL, blanks, &rest)) {
        if (self->key_count == WEBHOOK_KEYS_MAX) {
            code = mailbus_fail(error, MAILBUS_ETOOBIG, "more than %d secrets", WEBHOOK_KEYS_MAX);
        } else {
            code = mb_webhook_key_parse(word, &self->keys[self->key_count], error);
            self->key_count += code == MAILBUS_OK;
        }
    }
    explicit_bzero(copy, strlen(text));
    free(copy);
    return code;
}

mailbus_code_t webhook_new(const webhook_options_t *options, webhook_t **ret_self,
                           mailbus_error_t *error)
{
    webhook_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    pthread_mutex_init(&self->lock, NULL);
    self->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : TIMEOUT_MS;
    mailbus_code_t code = read_url(self, options->url, error);
    if (code == MAILBUS_OK) {
        code = read_secrets(self, options->secrets, error);
    }
    if (code == MAILBUS_OK && (self->user_agent = strdup(options->user_agent)) == NULL) {
        code = mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    if (code == MAILBUS_OK) {
        *ret_self = self;
        self = NULL;
    }
    webhook_destroy(&self);
    return code;
}

void webhook_destroy(webhook_t **self_p)
{
    webhook_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    while (self->idle_count > 0) {
        agentmail_handle_destroy(&self->idle[--self->idle_count]);
    }
    pthread_mutex_destroy(&self->lock);
    explicit_bzero(self->keys, sizeof self->keys);
    free(self->url);
    free(self->user_agent);
    free(self);
}

/* --- one call -----------------------------------------------------------------------------------
 */

static agentmail_handle_t *take(webhook_t *self)
{
    agentmail_handle_t *handle = NULL;
    pthread_mutex_lock(&self->lock);
    if (self->idle_count > 0) {
        handle = self->idle[--self->idle_count];
    }
    pthread_mutex_unlock(&self->lock);
    return handle != NULL ? handle : agentmail_handle_new();
}

static void give(webhook_t *self, agentmail_handle_t *handle)
{
    pthread_mutex_lock(&self->lock);
    if (self->idle_count < IDLE_MAX) {
        self->idle[self->idle_count++] = handle;
        handle = NULL;
    }
    pthread_mutex_unlock(&self->lock);
    agentmail_handle_destroy(&handle);
}

static void failed(agentmail_result_t *result, agentmail_verdict_t verdict, const char *why)
{
    *result = (agentmail_result_t){.verdict = verdict};
    snprintf(result->text, sizeof result->text, "post: %s", why);
}

static bool is_id(const char *id)
{
    size_t size = strlen(id);
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)id[i] <= 0x20 || (unsigned char)id[i] >= 0x7F) {
            return false;
        }
    }
    return size > 0 && size <= WEBHOOK_ID_MAX;
}

static void send_with(webhook_t *self, agentmail_handle_t *handle, const char *const *headers,
                      const char *json, size_t size, agentmail_result_t *result)
{
    mailbus_buf_t body = MAILBUS_BUF_INIT;
    agentmail_answer_t answer;
    const agentmail_transfer_t transfer = {
        .method = "POST",
        .url = self->url,
        .reach = self->reach,
        .headers = headers,
        .json = json,
        .json_size = size,
        .limit = ANSWER_MAX,
        .cut = true,
        .timeout_ms = self->timeout_ms,
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .stall_s = STALL_S,
        .user_agent = self->user_agent,
    };
    agentmail_handle_run(handle, &transfer, &body, &answer);
    if (answer.status == 0) {
        failed(result, answer.refused ? AGENTMAIL_REJECT : AGENTMAIL_RETRY, answer.failure);
        result->maybe_done = answer.sent;
    } else {
        webhook_judge(answer.status, body.data == NULL ? "" : body.data, body.size, result);
        result->retry_after = result->verdict == AGENTMAIL_RETRY ? answer.retry_after : 0;
    }
    mailbus_buf_free(&body);
}

void webhook_post(webhook_t *self, const char *id, const char *json, size_t size, int64_t now_s,
                  agentmail_result_t *result)
{
    char timestamp[24], id_line[WEBHOOK_ID_MAX + 16], time_line[48];
    mailbus_buf_t signature = MAILBUS_BUF_INIT;
    if (!is_id(id)) {
        failed(result, AGENTMAIL_REJECT, "not an id that a header can carry");
        return;
    }
    snprintf(timestamp, sizeof timestamp, "%" PRId64, now_s);
    snprintf(id_line, sizeof id_line, "webhook-id: %s", id);
    snprintf(time_line, sizeof time_line, "webhook-timestamp: %s", timestamp);
    mailbus_buf_text(&signature, "webhook-signature: ");
    mailbus_code_t code =
        webhook_sign(self->keys, self->key_count, id, timestamp, json, size, &signature);
    agentmail_handle_t *handle = code == MAILBUS_OK && !signature.failed ? take(self) : NULL;
    if (handle == NULL) {
        failed(result, AGENTMAIL_RETRY, "out of memory");
    } else {
        const char *const headers[] = {id_line, time_line,
                                       self->key_count > 0 ? signature.data : NULL, NULL};
        send_with(self, handle, headers, json, size, result);
        give(self, handle);
    }
    mailbus_buf_free(&signature);
}
