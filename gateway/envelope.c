#include "envelope.h"

#include <stdlib.h>
#include <string.h>

#include "mailbus/json.h"
#include "mailbus/replay.h"

#define TIME_TEXT_MAX 64 /* bytes: RFC 3339 with an offset and more decimals than any clock has */

/* The keys under which AgentMail's event types carry what happened. */
static const char *const body_keys[] = {
    "message",   "send",   "delivery", "delivered", "bounce",
    "complaint", "reject", "open",     "domain",    "calendar_event",
};

/* The object that says what happened: one with a known key, else the first that is not the thread
 * (an event type that we don't know yet); NULL where there is none. */
static const cJSON *find_body(const cJSON *envelope)
{
    for (size_t i = 0; i < sizeof body_keys / sizeof body_keys[0]; i++) {
        const cJSON *item = mailbus_json_item(envelope, body_keys[i]);
        if (cJSON_IsObject(item)) {
            return item;
        }
    }
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, envelope)
    {
        if (cJSON_IsObject(item) && strcmp(item->string, "thread") != 0) {
            return item;
        }
    }
    return NULL;
}

static bool has_control(const char *text)
{
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c < 0x20 || c == 0x7f) {
            return true;
        }
    }
    return false;
}

/* The string under `key`, where it is not empty, at most `max` bytes and free of control
 * characters. */
static const char *usable_string(const cJSON *object, const char *key, size_t max)
{
    const char *text = object != NULL ? mailbus_json_string(object, key) : NULL;
    if (text == NULL || *text == '\0' || strnlen(text, max + 1) > max || has_control(text)) {
        return NULL;
    }
    return text;
}

static bool is_printable_ascii(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < ' ' || *text > '~') {
            return false;
        }
    }
    return true;
}

static mailbus_code_t read_topic(const cJSON *envelope, const char **ret_topic,
                                 mailbus_error_t *error)
{
    const cJSON *item = mailbus_json_item(envelope, "event_type");
    if (item == NULL) {
        return mailbus_fail(error, MAILBUS_EINVAL, "event_type is missing");
    }
    if (!cJSON_IsString(item)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "event_type is not a string");
    }
    mailbus_error_t why;
    const mailbus_code_t code =
        mailbus_topic_check(item->valuestring, strlen(item->valuestring), &why);
    if (code != MAILBUS_OK) {
        return mailbus_fail(error, code, "event_type: %s", why.text);
    }
    *ret_topic = item->valuestring;
    return MAILBUS_OK;
}

/* `ret_id` NULL: the envelope has none. */
static mailbus_code_t read_id(const cJSON *envelope, const char **ret_id, mailbus_error_t *error)
{
    const cJSON *item = mailbus_json_item(envelope, "event_id");
    if (item == NULL) {
        *ret_id = NULL;
        return MAILBUS_OK;
    }
    if (!cJSON_IsString(item)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "event_id is not a string");
    }
    const size_t size = strlen(item->valuestring);
    if (size == 0 || size > MAILBUS_ID_MAX || !is_printable_ascii(item->valuestring)) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "event_id is not 1 to %d printable ASCII characters", MAILBUS_ID_MAX);
    }
    *ret_id = item->valuestring;
    return MAILBUS_OK;
}

static char *digest_id(const uint8_t digest[MB_SHA256_SIZE])
{
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    mailbus_buf_text(&text, "sha256-");
    mb_hex_encode(digest, MB_SHA256_SIZE, &text);
    char *id = mailbus_buf_take(&text, NULL);
    mailbus_buf_free(&text);
    return id;
}

/* strdup, where there is something to copy; `ok` becomes false without memory. */
static char *copy(const char *text, bool *ok)
{
    char *result = text != NULL ? strdup(text) : NULL;
    *ok = *ok && (text == NULL || result != NULL);
    return result;
}

/* Fill the event's strings. `topic` and `id` (NULL: none) are checked. False without memory. */
static bool fill(event_t *event, const cJSON *envelope, const char *topic, const char *id,
                 const char *webhook_id)
{
    const cJSON *body = find_body(envelope);
    const char *inbox = usable_string(body, "inbox_id", ENVELOPE_INBOX_MAX);
    if (inbox == NULL) {
        inbox = usable_string(envelope, "inbox_id", ENVELOPE_INBOX_MAX);
    }
    const char *time = usable_string(body, "timestamp", TIME_TEXT_MAX);
    int64_t ignored;
    if (time != NULL && mailbus_time_parse(time, &ignored) != MAILBUS_OK) {
        time = NULL;
    }
    mailbus_buf_t source = MAILBUS_BUF_INIT;
    mailbus_source_encode(inbox, &source);
    event->source = mailbus_buf_take(&source, NULL);
    mailbus_buf_free(&source);

    bool ok = event->source != NULL;
    if (id == NULL) {
        id = webhook_id;
    }
    event->topic = copy(topic, &ok);
    event->id = id != NULL ? copy(id, &ok) : digest_id(event->sha256);
    event->webhook_id = copy(webhook_id, &ok);
    event->subject = copy(usable_string(body, "message_id", MAILBUS_SUBJECT_MAX), &ok);
    event->time = copy(time, &ok);
    return ok && event->id != NULL;
}

mailbus_code_t envelope_read(char **body_p, size_t size, const char *webhook_id,
                             event_t **ret_event, mailbus_error_t *error)
{
    cJSON *envelope = NULL;
    event_t *event = NULL;
    const char *topic = NULL;
    const char *id = NULL;
    mailbus_code_t code =
        mailbus_json_parse_object(*body_p != NULL ? *body_p : "", size, &envelope, error);
    if (code == MAILBUS_OK) {
        code = read_topic(envelope, &topic, error);
    }
    if (code == MAILBUS_OK) {
        code = read_id(envelope, &id, error);
    }
    if (code != MAILBUS_OK) {
        goto out;
    }
    event = event_new();
    if (event == NULL) {
        code = mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
        goto out;
    }
    mb_sha256(*body_p, size, event->sha256);
    if (!fill(event, envelope, topic, id, webhook_id)) {
        code = mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
        goto out;
    }
    event->body = *body_p;
    event->body_size = size;
    *body_p = NULL;
    *ret_event = event;
    event = NULL;
out:
    event_release(&event);
    cJSON_Delete(envelope);
    return code;
}
