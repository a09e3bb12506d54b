/* …/messages/send, /reply, /reply-all and /forward: the calls that an Idempotency-Key makes safe to
 * repeat. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "encoding.h"
#include "event.h"
#include "mailbus/json.h"
#include "outgoing.h"

#define REQUEST_MAX (6 * 1000 * 1000) /* bytes of a call, attachments included: the service's */

/* What makes two calls the same: method, path and body. */
static void digest_request(const call_t *call, uint8_t digest[MB_SHA256_SIZE])
{
    size_t size = 0;
    const char *body = mb_http_body(call->request, &size);
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    mailbus_buf_printf(&text, "%s\n%s\n", mb_http_method(call->request),
                       mb_http_path(call->request));
    mailbus_buf_append(&text, body, size);
    mb_sha256(text.data, text.size, digest);
    mailbus_buf_free(&text);
}

/* True where the key decides the answer already. */
static bool answer_by_key(call_t *call, const char *key, const uint8_t digest[MB_SHA256_SIZE])
{
    bool same = false;
    if (!idempotency_key_valid(key)) {
        call_error(call, 400, "invalid_idempotency_key",
                   "Idempotency-Key must have 1 to %d of A-Z a-z 0-9 - . _ ~", IDEMPOTENCY_KEY_MAX);
        return true;
    }
    const char *answer = idempotency_find(call->sim->idempotency, key, digest, call->now_ms, &same);
    if (answer == NULL) {
        return false;
    }
    mb_log(call->sim->log, MB_INFO, "outgoing", same ? "answered again" : "key of another request",
           MB_S("key", key));
    if (same) {
        call_answer_text(call, 200, "application/json", answer);
    } else {
        call_error(call, 409, "idempotency_key_reused",
                   "this Idempotency-Key was used for another request");
    }
    return true;
}

static bool fill_mail(call_t *call, const char *inbox_id, const message_t *original,
                      outgoing_kind_t kind, mail_t *mail)
{
    mailbus_error_t error;
    cJSON *request = call_json(call);
    if (request == NULL) {
        return false;
    }
    bool all = kind == CALL_REPLY_ALL || cJSON_IsTrue(mailbus_json_item(request, "reply_all"));
    mailbus_code_t code = mail_read_json(request, false, mail, &error);
    cJSON_Delete(request);
    if (code != MAILBUS_OK) {
        call_error(call, 400, NULL, "%s", error.text);
        return false;
    }
    if (kind == CALL_FORWARD) {
        outgoing_forward(mail, original);
    } else if (kind != CALL_SEND) {
        outgoing_answer(mail, original, inbox_id, all);
    }
    return true;
}

/* May it go out? If not, the reason is answered. */
static bool check_recipients(call_t *call, const mail_t *mail, outgoing_kind_t kind)
{
    cJSON *recipients = outgoing_recipients(mail);
    int count = cJSON_GetArraySize(recipients);
    const cJSON *entry =
        call->sim->reject_blocked ? outgoing_blocked(call->sim, recipients, kind) : NULL;
    bool good = false;
    if (count == 0) {
        call_error(call, 422, "missing_recipient", "the mail has no recipient: give to, cc or bcc");
    } else if (count > OUTGOING_RECIPIENTS_MAX) {
        call_error(call, 400, NULL, "%d recipients are more than %d", count,
                   OUTGOING_RECIPIENTS_MAX);
    } else if (entry != NULL) {
        const char *reason = mailbus_json_string(entry, "reason");
        call_error(call, 403, "message_rejected", "%s is on the %s block list%s%s",
                   mailbus_json_string(entry, "entry"), mailbus_json_string(entry, "direction"),
                   reason != NULL ? ": " : "", reason != NULL ? reason : "");
    } else {
        good = true;
    }
    cJSON_Delete(recipients);
    return good;
}

/* Every mail of a call makes up to four events, and one for each inbox of ours it goes to. */
static bool check_room(call_t *call, const mail_t *mail)
{
    size_t body = 0;
    mb_http_body(call->request, &body);
    size_t events = 4 + (size_t)cJSON_GetArraySize(mail->to) +
                    (size_t)cJSON_GetArraySize(mail->cc) + (size_t)cJSON_GetArraySize(mail->bcc);
    if (event_has_room(call->sim, events, 2 * body + 4096)) {
        return true;
    }
    call_error(call, 503, NULL, "too many deliveries wait: the receiver of the webhooks is behind");
    call_header(call, "Retry-After", "1");
    return false;
}

static void send_mail(call_t *call, outgoing_kind_t kind)
{
    const char *inbox_id = call_inbox(call);
    const message_t *original = NULL;
    const char *key = mb_http_header(call->request, "Idempotency-Key");
    uint8_t digest[MB_SHA256_SIZE];
    size_t size = 0;
    if (inbox_id == NULL) {
        return;
    }
    if (kind != CALL_SEND && (original = call_message(call, inbox_id)) == NULL) {
        return;
    }
    mb_http_body(call->request, &size);
    if (size > REQUEST_MAX) {
        call_error(call, 413, NULL, "%zu bytes are more than %d", size, REQUEST_MAX);
        return;
    }
    digest_request(call, digest);
    if (key != NULL && answer_by_key(call, key, digest)) {
        return;
    }
    mail_t mail;
    mail_init(&mail);
    if (fill_mail(call, inbox_id, original, kind, &mail) && check_recipients(call, &mail, kind) &&
        check_room(call, &mail)) {
        const message_t *message =
            outgoing_send(call->sim, inbox_id, &mail, kind, key, call->now_ms);
        cJSON *tree = cJSON_CreateObject();
        cJSON_AddStringToObject(tree, "message_id", message->mail.message_id);
        cJSON_AddStringToObject(tree, "thread_id", message->thread->id);
        call_answer(call, 200, tree);
        if (key != NULL) {
            idempotency_put(call->sim->idempotency, key, digest, call->response->body.data,
                            call->now_ms);
        }
    }
    mail_clear(&mail);
}

void api_send(call_t *call)
{
    send_mail(call, CALL_SEND);
}

void api_reply(call_t *call)
{
    send_mail(call, CALL_REPLY);
}

void api_reply_all(call_t *call)
{
    send_mail(call, CALL_REPLY_ALL);
}

void api_forward(call_t *call)
{
    send_mail(call, CALL_FORWARD);
}
