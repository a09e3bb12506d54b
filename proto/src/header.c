/* The header frame of an event: CloudEvents 1.0 context attributes as one JSON object (PROTOCOL.md
 * §Event). */
#include <stdlib.h>
#include <string.h>

#include "mailbus/event.h"
#include "mailbus/json.h"
#include "mailbus/replay.h"

static void write_text(mailbus_buf_t *out, const char *key, const char *value)
{
    if (value != NULL) {
        mailbus_buf_text(out, key);
        mailbus_json_write_string(out, value, strlen(value));
    }
}

static void write_number(mailbus_buf_t *out, const char *key, uint64_t value)
{
    mailbus_buf_text(out, key);
    mailbus_buf_char(out, '"');
    mailbus_buf_u64(out, value);
    mailbus_buf_char(out, '"');
}

mailbus_code_t mailbus_header_encode(const mailbus_event_t *event, mailbus_buf_t *out,
                                     mailbus_error_t *error)
{
    size_t start = out->size;
    mailbus_buf_text(out, "{\"specversion\":\"1.0\"");
    write_text(out, ",\"id\":", event->id);
    write_text(out, ",\"source\":", event->source);
    write_text(out, ",\"type\":", event->topic);
    write_text(out, ",\"subject\":", event->subject);
    write_text(out, ",\"time\":", event->time);
    mailbus_buf_text(out, ",\"datacontenttype\":\"application/json\"");
    write_number(out, ",\"sequence\":", event->sequence);
    write_number(out, ",\"previous\":", event->previous);
    write_text(out, ",\"stream\":", event->stream);
    write_text(out, ",\"webhookid\":", event->webhook_id);
    write_text(out, ",\"recordedtime\":", event->recorded_time);
    mailbus_buf_char(out, '}');
    if (out->failed) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for the header of an event");
    }
    if (out->size - start > MAILBUS_HEADER_MAX) {
        return mailbus_fail(error, MAILBUS_ETOOBIG, "the header has more than %d bytes",
                            MAILBUS_HEADER_MAX);
    }
    return MAILBUS_OK;
}

/* A string attribute of at most `most` bytes; NULL with `error` set where it isn't one. */
static const char *required(const cJSON *header, const char *key, size_t most,
                            mailbus_error_t *error)
{
    const char *value = mailbus_json_string(header, key);
    if (value == NULL) {
        mailbus_fail(error, MAILBUS_EINVAL, "the header has no string \"%s\"", key);
        return NULL;
    }
    if (value[0] == '\0' || strlen(value) > most) {
        mailbus_fail(error, MAILBUS_EINVAL, "\"%s\" is empty or longer than %zu bytes", key, most);
        return NULL;
    }
    return value;
}

static bool optional(const cJSON *header, const char *key, size_t most, const char **ret_value,
                     mailbus_error_t *error)
{
    *ret_value = NULL;
    return mailbus_json_item(header, key) == NULL ||
           (*ret_value = required(header, key, most, error)) != NULL;
}

static bool numbers(const cJSON *header, mailbus_event_t *event, mailbus_error_t *error)
{
    const char *sequence = required(header, "sequence", 20, error);
    const char *previous = sequence == NULL ? NULL : required(header, "previous", 20, error);
    if (previous == NULL) {
        return false;
    }
    if (mailbus_sequence_parse(sequence, &event->sequence) != MAILBUS_OK || event->sequence == 0) {
        mailbus_fail(error, MAILBUS_EINVAL, "\"sequence\" is not a decimal number above 0");
        return false;
    }
    if (mailbus_sequence_parse(previous, &event->previous) != MAILBUS_OK ||
        event->previous >= event->sequence) {
        mailbus_fail(error, MAILBUS_EINVAL,
                     "\"previous\" is not a decimal number below \"sequence\"");
        return false;
    }
    return true;
}

static bool is_uuid(const char *text)
{
    for (size_t i = 0; i < MAILBUS_UUID_SIZE - 1; i++) {
        bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        bool hex = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
        if (hyphen ? text[i] != '-' : !hex) {
            return false;
        }
    }
    return text[MAILBUS_UUID_SIZE - 1] == '\0';
}

/* Lend everything from the tree. */
static bool read_header(const cJSON *header, mailbus_event_t *event, mailbus_error_t *error)
{
    const char *specversion = required(header, "specversion", 8, error);
    if (specversion == NULL) {
        return false;
    }
    if (strcmp(specversion, "1.0") != 0) {
        mailbus_fail(error, MAILBUS_EINVAL, "\"specversion\" is not \"1.0\"");
        return false;
    }
    int64_t ms;
    if ((event->id = required(header, "id", MAILBUS_ID_MAX, error)) == NULL ||
        (event->source = required(header, "source", MAILBUS_HEADER_MAX, error)) == NULL ||
        (event->topic = required(header, "type", MAILBUS_TOPIC_MAX, error)) == NULL ||
        !optional(header, "subject", MAILBUS_SUBJECT_MAX, &event->subject, error) ||
        (event->time = required(header, "time", 64, error)) == NULL ||
        !numbers(header, event, error) ||
        (event->stream = required(header, "stream", MAILBUS_UUID_SIZE - 1, error)) == NULL ||
        !optional(header, "webhookid", MAILBUS_ID_MAX, &event->webhook_id, error) ||
        (event->recorded_time = required(header, "recordedtime", 64, error)) == NULL) {
        return false;
    }
    if (mailbus_time_parse(event->time, &ms) != MAILBUS_OK ||
        mailbus_time_parse(event->recorded_time, &ms) != MAILBUS_OK) {
        mailbus_fail(error, MAILBUS_EINVAL, "\"time\" or \"recordedtime\" is not an RFC 3339 time");
        return false;
    }
    if (strlen(event->stream) != MAILBUS_UUID_SIZE - 1 || !is_uuid(event->stream)) {
        mailbus_fail(error, MAILBUS_EINVAL, "\"stream\" is not a UUID in lower case");
        return false;
    }
    return true;
}

/* An event and all that it points to, in one allocation: `lent` copied. */
static mailbus_event_t *copy_event(const mailbus_event_t *lent)
{
    const char *const strings[] = {lent->topic,      lent->id,           lent->source,
                                   lent->subject,    lent->time,         lent->stream,
                                   lent->webhook_id, lent->recorded_time};
    enum { COUNT = sizeof strings / sizeof *strings };
    size_t total = sizeof(mailbus_event_t) + lent->body_size + 1;
    for (size_t i = 0; i < COUNT; i++) {
        total += strings[i] == NULL ? 0 : strlen(strings[i]) + 1;
    }
    mailbus_event_t *event = malloc(total);
    if (event == NULL) {
        return NULL;
    }
    char *at = (char *)(event + 1);
    const char *copies[COUNT] = {NULL};
    for (size_t i = 0; i < COUNT; i++) {
        if (strings[i] != NULL) {
            size_t size = strlen(strings[i]) + 1;
            copies[i] = memcpy(at, strings[i], size);
            at += size;
        }
    }
    if (lent->body_size > 0) {
        memcpy(at, lent->body, lent->body_size);
    }
    at[lent->body_size] = '\0'; /* so that a body can be read as text */
    *event = (mailbus_event_t){.topic = copies[0],
                               .id = copies[1],
                               .source = copies[2],
                               .subject = copies[3],
                               .time = copies[4],
                               .stream = copies[5],
                               .webhook_id = copies[6],
                               .recorded_time = copies[7],
                               .sequence = lent->sequence,
                               .previous = lent->previous,
                               .body = at,
                               .body_size = lent->body_size};
    return event;
}

mailbus_code_t mailbus_event_decode(const void *topic, size_t topic_size, const void *header,
                                    size_t header_size, const void *body, size_t body_size,
                                    mailbus_event_t **ret_event, mailbus_error_t *error)
{
    mailbus_code_t code = mailbus_topic_check(topic, topic_size, error);
    if (code != MAILBUS_OK) {
        return MAILBUS_EINVAL;
    }
    if (header_size > MAILBUS_HEADER_MAX) {
        return mailbus_fail(error, MAILBUS_EINVAL, "the header has more than %d bytes",
                            MAILBUS_HEADER_MAX);
    }
    cJSON *tree = NULL;
    code = mailbus_json_parse_object(header, header_size, &tree, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    mailbus_event_t lent = {.body = body, .body_size = body_size};
    if (!read_header(tree, &lent, error)) {
        code = MAILBUS_EINVAL;
    } else if (strlen(lent.topic) != topic_size || memcmp(lent.topic, topic, topic_size) != 0) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "\"type\" differs from the topic frame");
    } else {
        mailbus_event_t *event = copy_event(&lent);
        if (event == NULL) {
            code = mailbus_fail(error, MAILBUS_ENOMEM, "no memory for an event of %zu bytes",
                                body_size);
        } else {
            *ret_event = event;
        }
    }
    cJSON_Delete(tree);
    return code;
}

void mailbus_event_free(mailbus_event_t **event_p)
{
    free(*event_p);
    *event_p = NULL;
}
