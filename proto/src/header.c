/* The header frame of an event: CloudEvents 1.0 context attributes as one JSON object (PROTOCOL.md
 * §Event). */
#include <stdlib.h>
#include <string.h>

#include "field.h"
#include "mailbus/event.h"
#include "mailbus/json.h"

/* Bytes of an attribute whose value can be but one. */
enum { ATTRIBUTE_MAX = 32 };

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

static mailbus_code_t read_fixed(const cJSON *header, mailbus_error_t *error)
{
    const char *specversion = NULL;
    mailbus_code_t code =
        proto_field_string(header, "specversion", ATTRIBUTE_MAX, FIELD_TEXT, &specversion, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    if (strcmp(specversion, "1.0") != 0) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"specversion\" is not \"1.0\"");
    }
    const char *content_type = NULL;
    code = proto_field_optional(header, "datacontenttype", ATTRIBUTE_MAX, FIELD_TEXT, &content_type,
                                error);
    if (code == MAILBUS_OK && content_type != NULL &&
        strcmp(content_type, "application/json") != 0) {
        code =
            mailbus_fail(error, MAILBUS_EINVAL, "\"datacontenttype\" is not \"application/json\"");
    }
    return code;
}

static mailbus_code_t read_sequences(const cJSON *header, mailbus_event_t *event,
                                     mailbus_error_t *error)
{
    mailbus_code_t code = proto_field_sequence(header, "sequence", 1, &event->sequence, error);
    if (code == MAILBUS_OK) {
        code = proto_field_sequence(header, "previous", 0, &event->previous, error);
    }
    if (code == MAILBUS_OK && event->previous >= event->sequence) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "\"previous\" is not below \"sequence\"");
    }
    return code;
}

/* The attributes that are read alike. */
static mailbus_code_t read_strings(const cJSON *header, mailbus_event_t *event,
                                   mailbus_error_t *error)
{
    const struct {
        const char *key;
        const char **ret_value;
        size_t most;
        field_charset_t charset;
        bool optional;
    } fields[] = {
        {"id", &event->id, MAILBUS_ID_MAX, FIELD_PRINTABLE, false},
        {"source", &event->source, MAILBUS_HEADER_MAX, FIELD_GRAPHIC, false},
        {"type", &event->topic, MAILBUS_TOPIC_MAX, FIELD_GRAPHIC, false},
        {"subject", &event->subject, MAILBUS_SUBJECT_MAX, FIELD_TEXT, true},
        {"webhookid", &event->webhook_id, MAILBUS_ID_MAX, FIELD_PRINTABLE, true},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        mailbus_code_t (*read)(const cJSON *, const char *, size_t, field_charset_t, const char **,
                               mailbus_error_t *) =
            fields[i].optional ? proto_field_optional : proto_field_string;
        mailbus_code_t code = read(header, fields[i].key, fields[i].most, fields[i].charset,
                                   fields[i].ret_value, error);
        if (code != MAILBUS_OK) {
            return code;
        }
    }
    return MAILBUS_OK;
}

/* Lend everything from the tree. */
static mailbus_code_t read_header(const cJSON *header, mailbus_event_t *event,
                                  mailbus_error_t *error)
{
    mailbus_code_t code = read_fixed(header, error);
    if (code == MAILBUS_OK) {
        code = read_strings(header, event, error);
    }
    if (code == MAILBUS_OK) {
        code = proto_field_time(header, "time", &event->time, error);
    }
    if (code == MAILBUS_OK) {
        code = read_sequences(header, event, error);
    }
    if (code == MAILBUS_OK) {
        code = proto_field_uuid(header, "stream", &event->stream, error);
    }
    if (code == MAILBUS_OK) {
        code = proto_field_time(header, "recordedtime", &event->recorded_time, error);
    }
    return code;
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
    mailbus_error_t why;
    if (mailbus_topic_check(topic, topic_size, &why) != MAILBUS_OK) {
        return mailbus_fail(error, MAILBUS_EINVAL, "%s", why.text); /* reserved ones as well */
    }
    if (header_size > MAILBUS_HEADER_MAX) {
        return mailbus_fail(error, MAILBUS_ETOOBIG, "the header has more than %d bytes",
                            MAILBUS_HEADER_MAX);
    }
    cJSON *tree = NULL;
    mailbus_code_t code = mailbus_json_parse_object(header, header_size, &tree, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    mailbus_event_t *event = NULL;
    mailbus_event_t lent = {.body = body, .body_size = body_size};
    code = read_header(tree, &lent, error);
    if (code != MAILBUS_OK) {
        goto out;
    }
    if (strlen(lent.topic) != topic_size || memcmp(lent.topic, topic, topic_size) != 0) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "\"type\" differs from the topic frame");
        goto out;
    }
    event = copy_event(&lent);
    if (event == NULL) {
        code =
            mailbus_fail(error, MAILBUS_ENOMEM, "no memory for an event of %zu bytes", body_size);
        goto out;
    }
    *ret_event = event;
out:
    cJSON_Delete(tree);
    return code;
}

void mailbus_event_free(mailbus_event_t **event_p)
{
    free(*event_p);
    *event_p = NULL;
}
