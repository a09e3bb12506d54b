/* The API's calls. Two handles: the one with the key never meets a host from an answer. */
#include "agentmail/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentmail/guard.h"
#include "agentmail/transfer.h"
#include "encoding.h"
#include "mailbus/json.h"

enum {
    CONNECT_TIMEOUT_MS = 10000,
    TIMEOUT_MS = 30000,
    STALL_S = 15,
    DOWNLOAD_FACTOR = 10, /* an attachment may be a thousand times an answer */
    SECRET_MAX = 1024,    /* bytes of an API key: one header line */
    SEGMENT_MAX = 1024,   /* bytes of an id in a path: a message id fits a line of 998 */
};

struct agentmail_client {
    char *base_url; /* without a slash at its end */
    char *authorization;
    char *user_agent;
    bool is_local; /* the base is plain http on this machine: the stand-in */
    long connect_timeout_ms, timeout_ms, stall_s;
    const atomic_bool *stopped;
    agentmail_handle_t *api;
    agentmail_handle_t *download;
};

static bool is_header_text(const char *text, size_t max)
{
    size_t size = strlen(text);
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)text[i] <= 0x20 || (unsigned char)text[i] >= 0x7F) {
            return false;
        }
    }
    return size > 0 && size <= max;
}

static mailbus_code_t check_options(const agentmail_options_t *options, bool *ret_local,
                                    mailbus_error_t *error)
{
    agentmail_url_t url;
    mailbus_error_t why = {0};
    if (agentmail_url_check(options->base_url, &url, &why) != MAILBUS_OK) {
        return mailbus_fail(error, MAILBUS_EINVAL, "the API's address: %s", why.text);
    }
    if (strchr(options->base_url, '?') != NULL) {
        return mailbus_fail(error, MAILBUS_EINVAL, "the API's address must have no query");
    }
    if (!url.https && !url.loopback) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "the API's address must begin with https://: over http the API key "
                            "could be read on the way (http is taken for loopback addresses)");
    }
    if (!is_header_text(options->api_key, SECRET_MAX)) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            options->api_key[0] == '\0' ? "the API key is missing"
                                                        : "the API key holds blanks or characters "
                                                          "that no key has");
    }
    *ret_local = !url.https;
    return MAILBUS_OK;
}

mailbus_code_t agentmail_client_new(const agentmail_options_t *options,
                                    agentmail_client_t **ret_self, mailbus_error_t *error)
{
    bool is_local = false;
    mailbus_code_t code = check_options(options, &is_local, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    agentmail_client_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    self->is_local = is_local;
    self->stopped = options->stopped;
    self->connect_timeout_ms =
        options->connect_timeout_ms > 0 ? options->connect_timeout_ms : CONNECT_TIMEOUT_MS;
    self->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : TIMEOUT_MS;
    self->stall_s = options->stall_s > 0 ? options->stall_s : STALL_S;
    self->base_url = strdup(options->base_url);
    if (asprintf(&self->authorization, "Authorization: Bearer %s", options->api_key) < 0) {
        self->authorization = NULL;
    }
    self->user_agent = strdup(options->user_agent);
    self->api = agentmail_handle_new();
    self->download = agentmail_handle_new();
    if (self->base_url == NULL || self->authorization == NULL || self->user_agent == NULL ||
        self->api == NULL || self->download == NULL) {
        agentmail_client_destroy(&self);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    size_t size = strlen(self->base_url);
    while (size > 0 && self->base_url[size - 1] == '/') {
        self->base_url[--size] = '\0';
    }
    *ret_self = self;
    return MAILBUS_OK;
}

void agentmail_client_destroy(agentmail_client_t **self_p)
{
    agentmail_client_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    agentmail_handle_destroy(&self->api);
    agentmail_handle_destroy(&self->download);
    free(self->base_url);
    if (self->authorization != NULL) {
        explicit_bzero(self->authorization, strlen(self->authorization));
    }
    free(self->authorization);
    free(self->user_agent);
    free(self);
    *self_p = NULL;
}

/* --- one call -----------------------------------------------------------------------------------
 */

/* What a call is made of. */
typedef struct {
    const char *doing; /* begins every text about it */
    const char *method;
    const char *path[8]; /* segments, encoded here; ends with NULL */
    const char *key;     /* Idempotency-Key, or NULL */
    const char *json;
    size_t size;
    const char *expected; /* agentmail_result_judge */
} call_t;

static void refuse(agentmail_result_t *result, agentmail_verdict_t verdict, const char *doing,
                   const char *why)
{
    *result = (agentmail_result_t){.verdict = verdict};
    snprintf(result->text, sizeof result->text, "%s: %s", doing, why);
}

/* A segment that servers resolve, or none at all, would name another thing than was meant. */
static bool is_segment(const char *text)
{
    return text[0] != '\0' && strlen(text) <= SEGMENT_MAX && strcmp(text, ".") != 0 &&
           strcmp(text, "..") != 0;
}

static bool append_path(const call_t *call, mailbus_buf_t *url)
{
    for (size_t i = 0; call->path[i] != NULL; i++) {
        if (!is_segment(call->path[i])) {
            return false;
        }
        mailbus_buf_char(url, '/');
        mb_url_encode(call->path[i], url);
    }
    return true;
}

static bool is_key(const char *key)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789-._~";
    size_t size = strlen(key);
    return size > 0 && size <= AGENTMAIL_KEY_MAX && strspn(key, allowed) == size;
}

/* No answer: where nothing was sent it can't have been carried out. */
static void judge_failure(const char *doing, const agentmail_answer_t *answer,
                          agentmail_result_t *result)
{
    refuse(result, answer->refused ? AGENTMAIL_REJECT : AGENTMAIL_RETRY, doing, answer->failure);
    result->maybe_done = answer->sent;
}

static void run(agentmail_client_t *self, const call_t *call, agentmail_result_t *result)
{
    mailbus_buf_t url = MAILBUS_BUF_INIT;
    mailbus_buf_t body = MAILBUS_BUF_INIT;
    char key_line[AGENTMAIL_KEY_MAX + 32];
    agentmail_answer_t answer;
    mailbus_buf_text(&url, self->base_url);
    if (call->key != NULL && !is_key(call->key)) {
        refuse(result, AGENTMAIL_REJECT, call->doing, "not an idempotency key");
        goto out;
    }
    if (!append_path(call, &url)) {
        refuse(result, AGENTMAIL_REJECT, call->doing, "an id is empty, a dot or too long");
        goto out;
    }
    if (url.failed) {
        refuse(result, AGENTMAIL_RETRY, call->doing, "out of memory");
        goto out;
    }
    snprintf(key_line, sizeof key_line, "Idempotency-Key: %s", call->key != NULL ? call->key : "");
    const agentmail_transfer_t transfer = {
        .method = call->method,
        .url = url.data,
        .reach = self->is_local ? AGENTMAIL_REACH_LOOPBACK : AGENTMAIL_REACH_ANY,
        .authorization = self->authorization,
        .key = call->key == NULL ? NULL : key_line,
        .json = call->json,
        .json_size = call->size,
        .limit = AGENTMAIL_ANSWER_MAX,
        .timeout_ms = self->timeout_ms,
        .connect_timeout_ms = self->connect_timeout_ms,
        .stall_s = self->stall_s,
        .user_agent = self->user_agent,
        .stopped = self->stopped,
    };
    agentmail_handle_run(self->api, &transfer, &body, &answer);
    if (answer.status == 0) {
        judge_failure(call->doing, &answer, result);
    } else {
        agentmail_result_judge(call->doing, answer.status, body.data, body.size, call->expected,
                               result);
        result->retry_after = result->verdict == AGENTMAIL_RETRY ? answer.retry_after : 0;
    }
    if (strcmp(call->method, "GET") == 0) {
        result->maybe_done = false; /* nothing changes by reading */
    }
out:
    mailbus_buf_free(&url);
    mailbus_buf_free(&body);
}

/* --- bytes behind a download_url ----------------------------------------------------------------
 */

/* https to the public internet. The stand-in on this machine hands out its own plain http: itself,
 * and nothing else that listens here. */
static bool choose_reach(const agentmail_client_t *self, const char *url, agentmail_reach_t *ret)
{
    agentmail_url_t checked;
    if (agentmail_url_check(url, &checked, NULL) != MAILBUS_OK) {
        return false;
    }
    bool local = self->is_local && agentmail_url_same_origin(url, self->base_url);
    *ret = local ? AGENTMAIL_REACH_LOOPBACK : AGENTMAIL_REACH_PUBLIC;
    return local || checked.https;
}

/* The API's own word on the size, before anything is asked for. */
static bool is_announced_too_long(const cJSON *json, size_t limit)
{
    const cJSON *size = mailbus_json_item(json, "size");
    return cJSON_IsNumber(size) && size->valuedouble > (double)limit;
}

static void refuse_too_long(agentmail_result_t *result, const char *doing, size_t limit)
{
    refuse(result, AGENTMAIL_REJECT, doing, "");
    snprintf(result->text, sizeof result->text, "%s: more than %zu bytes", doing, limit);
    result->too_long = true;
}

/* `cut`: what is beyond the limit is left where it is, that is no failure. */
static void download(agentmail_client_t *self, const char *doing, const agentmail_bounds_t *bounds,
                     bool cut, mailbus_buf_t *out, agentmail_result_t *result)
{
    agentmail_reach_t reach = AGENTMAIL_REACH_PUBLIC;
    agentmail_answer_t answer;
    cJSON *json = result->json;
    const char *url = mailbus_json_string(json, "download_url");
    size_t before = out->size;
    result->json = NULL;
    if (url == NULL || !choose_reach(self, url, &reach)) {
        refuse(result, AGENTMAIL_REJECT, doing, "download_url is not an https address");
        result->refused = true;
        goto out;
    }
    if (!cut && is_announced_too_long(json, bounds->limit)) {
        refuse_too_long(result, doing, bounds->limit);
        goto out;
    }
    const agentmail_transfer_t transfer = {
        .method = "GET",
        .url = url,
        .reach = reach,
        .limit = bounds->limit,
        .cut = cut,
        .timeout_ms =
            bounds->timeout_ms > 0 ? bounds->timeout_ms : self->timeout_ms * DOWNLOAD_FACTOR,
        .least_rate = bounds->least_rate,
        .connect_timeout_ms = self->connect_timeout_ms,
        .stall_s = self->stall_s,
        .user_agent = self->user_agent,
        .stopped = self->stopped,
    };
    agentmail_handle_run(self->download, &transfer, out, &answer);
    if (answer.status == 0) {
        judge_failure(doing, &answer, result);
        result->refused = answer.refused;
        if (answer.too_long) {
            refuse_too_long(result, doing, bounds->limit);
        }
        result->maybe_done = false;
    } else {
        agentmail_result_judge(doing, answer.status, NULL, 0, NULL, result);
        result->retry_after = result->verdict == AGENTMAIL_RETRY ? answer.retry_after : 0;
        if (result->verdict == AGENTMAIL_REJECT || result->operator_error) {
            result->verdict =
                AGENTMAIL_RETRY; /* the address ran out: the next try gets a new one */
            result->operator_error = false;
        }
        result->maybe_done = false;
    }
out:
    if (result->verdict != AGENTMAIL_DONE && out->data != NULL) {
        out->size = before;
        out->data[before] = '\0';
    }
    cJSON_Delete(json);
}

/* --- the calls ----------------------------------------------------------------------------------
 */

void agentmail_send(agentmail_client_t *self, const char *inbox, const char *key, const char *json,
                    size_t size, agentmail_result_t *result)
{
    run(self,
        &(call_t){.doing = "send",
                  .method = "POST",
                  .path = {"inboxes", inbox, "messages", "send"},
                  .key = key,
                  .json = json,
                  .size = size,
                  .expected = "message_id"},
        result);
}

/* POST …/messages/{id}/<doing>. */
static void post_message(agentmail_client_t *self, const char *doing, const char *inbox,
                         const char *message_id, const char *key, const char *json, size_t size,
                         agentmail_result_t *result)
{
    run(self,
        &(call_t){.doing = doing,
                  .method = "POST",
                  .path = {"inboxes", inbox, "messages", message_id, doing},
                  .key = key,
                  .json = json,
                  .size = size,
                  .expected = "message_id"},
        result);
}

void agentmail_reply(agentmail_client_t *self, const char *inbox, const char *message_id,
                     const char *key, const char *json, size_t size, agentmail_result_t *result)
{
    post_message(self, "reply", inbox, message_id, key, json, size, result);
}

void agentmail_forward(agentmail_client_t *self, const char *inbox, const char *message_id,
                       const char *key, const char *json, size_t size, agentmail_result_t *result)
{
    post_message(self, "forward", inbox, message_id, key, json, size, result);
}

void agentmail_get_message(agentmail_client_t *self, const char *inbox, const char *message_id,
                           agentmail_result_t *result)
{
    run(self,
        &(call_t){.doing = "get message",
                  .method = "GET",
                  .path = {"inboxes", inbox, "messages", message_id},
                  .expected = "message_id"},
        result);
}

void agentmail_get_raw(agentmail_client_t *self, const char *inbox, const char *message_id,
                       size_t limit, mailbus_buf_t *out, agentmail_result_t *result)
{
    static const char doing[] = "get raw message";
    run(self,
        &(call_t){.doing = doing,
                  .method = "GET",
                  .path = {"inboxes", inbox, "messages", message_id, "raw"},
                  .expected = "download_url"},
        result);
    if (result->verdict == AGENTMAIL_DONE) {
        download(self, doing, &(agentmail_bounds_t){.limit = limit}, true, out, result);
    }
}

void agentmail_get_attachment(agentmail_client_t *self, const char *inbox, const char *message_id,
                              const char *attachment_id, const agentmail_bounds_t *bounds,
                              mailbus_buf_t *out, agentmail_result_t *result)
{
    static const char doing[] = "get attachment";
    run(self,
        &(call_t){.doing = doing,
                  .method = "GET",
                  .path = {"inboxes", inbox, "messages", message_id, "attachments", attachment_id},
                  .expected = "download_url"},
        result);
    if (result->verdict == AGENTMAIL_DONE) {
        download(self, doing, bounds, false, out, result);
    }
}

static void write_member(mailbus_buf_t *out, const char *key, const char *text)
{
    mailbus_json_write_string(out, key, strlen(key));
    mailbus_buf_char(out, ':');
    mailbus_json_write_string(out, text, strlen(text));
}

void agentmail_webhook_create(agentmail_client_t *self, const char *url,
                              const char *const *event_types, const char *client_id,
                              agentmail_result_t *result)
{
    static const char doing[] = "create webhook";
    mailbus_buf_t json = MAILBUS_BUF_INIT;
    if (!mailbus_utf8_valid(url, strlen(url)) || event_types[0] == NULL) {
        refuse(result, AGENTMAIL_REJECT, doing, "needs an address and at least one event type");
        return;
    }
    mailbus_buf_char(&json, '{');
    write_member(&json, "url", url);
    mailbus_buf_text(&json, ",\"event_types\":[");
    for (size_t i = 0; event_types[i] != NULL; i++) {
        mailbus_buf_text(&json, i == 0 ? "" : ",");
        mailbus_json_write_string(&json, event_types[i], strlen(event_types[i]));
    }
    mailbus_buf_char(&json, ']');
    if (client_id != NULL) {
        mailbus_buf_char(&json, ',');
        write_member(&json, "client_id", client_id);
    }
    mailbus_buf_char(&json, '}');
    if (json.failed) {
        refuse(result, AGENTMAIL_RETRY, doing, "out of memory");
    } else {
        run(self,
            &(call_t){.doing = doing,
                      .method = "POST",
                      .path = {"webhooks"},
                      .json = json.data,
                      .size = json.size,
                      .expected = "webhook_id"},
            result);
    }
    mailbus_buf_free(&json);
}

void agentmail_webhook_list(agentmail_client_t *self, agentmail_result_t *result)
{
    run(self,
        &(call_t){.doing = "list webhooks", .method = "GET", .path = {"webhooks"}, .expected = ""},
        result);
}

void agentmail_webhook_delete(agentmail_client_t *self, const char *webhook_id,
                              agentmail_result_t *result)
{
    run(self,
        &(call_t){.doing = "delete webhook", .method = "DELETE", .path = {"webhooks", webhook_id}},
        result);
}

void agentmail_block_create(agentmail_client_t *self, const char *entry, const char *reason,
                            agentmail_result_t *result)
{
    static const char doing[] = "block an address";
    mailbus_buf_t json = MAILBUS_BUF_INIT;
    if (!mailbus_utf8_valid(entry, strlen(entry)) || !mailbus_utf8_valid(reason, strlen(reason))) {
        refuse(result, AGENTMAIL_REJECT, doing, "not UTF-8");
        return;
    }
    mailbus_buf_char(&json, '{');
    write_member(&json, "entry", entry);
    mailbus_buf_char(&json, ',');
    write_member(&json, "reason", reason);
    mailbus_buf_char(&json, '}');
    if (json.failed) {
        refuse(result, AGENTMAIL_RETRY, doing, "out of memory");
    } else {
        run(self,
            &(call_t){.doing = doing,
                      .method = "POST",
                      .path = {"lists", "send", "block"},
                      .json = json.data,
                      .size = json.size,
                      .expected = "entry"},
            result);
    }
    mailbus_buf_free(&json);
}

void agentmail_block_delete(agentmail_client_t *self, const char *entry, agentmail_result_t *result)
{
    run(self,
        &(call_t){.doing = "unblock an address",
                  .method = "DELETE",
                  .path = {"lists", "send", "block", entry}},
        result);
}
