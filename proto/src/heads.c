#include "mailbus/heads.h"

#include <stdlib.h>
#include <string.h>

#include "heads_read.h"

mailbus_code_t mailbus_heads_encode_body(const mailbus_heads_t *heads, mailbus_buf_t *body,
                                         mailbus_error_t *error)
{
    mailbus_buf_char(body, '{');
    for (size_t i = 0; i < heads->count; i++) {
        mailbus_buf_text(body, i == 0 ? "" : ",");
        mailbus_json_write_string(body, heads->topics[i].topic, strlen(heads->topics[i].topic));
        mailbus_buf_text(body, ":\"");
        mailbus_buf_u64(body, heads->topics[i].sequence);
        mailbus_buf_char(body, '"');
    }
    mailbus_buf_char(body, '}');
    return body->failed ? mailbus_fail(error, MAILBUS_ENOMEM, "no memory for the heads")
                        : MAILBUS_OK;
}

mailbus_code_t mailbus_heads_encode(const mailbus_heads_t *heads, mailbus_buf_t *header,
                                    mailbus_buf_t *body, mailbus_error_t *error)
{
    mailbus_buf_text(header, "{\"stream\":");
    mailbus_json_write_string(header, heads->stream, strlen(heads->stream));
    mailbus_buf_text(header, ",\"sequence\":\"");
    mailbus_buf_u64(header, heads->sequence);
    mailbus_buf_text(header, "\"}");
    if (header->failed) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for the heads");
    }
    return mailbus_heads_encode_body(heads, body, error);
}

static bool is_uuid(const char *text)
{
    return strlen(text) == MAILBUS_UUID_SIZE - 1 &&
           strspn(text, "0123456789abcdef-") == MAILBUS_UUID_SIZE - 1;
}

static mailbus_code_t read_topic(const cJSON *item, mailbus_heads_t *heads, mailbus_error_t *error)
{
    mailbus_head_t *head = &heads->topics[heads->count];
    size_t size = strlen(item->string);
    if (mailbus_topic_check(item->string, size, NULL) != MAILBUS_OK) {
        return mailbus_fail(error, MAILBUS_EINVAL, "the heads name something that is no topic");
    }
    if (!cJSON_IsString(item) ||
        mailbus_sequence_parse(item->valuestring, &head->sequence) != MAILBUS_OK ||
        head->sequence > heads->sequence) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "the head of %s is not a decimal number up to the journal's head",
                            item->string);
    }
    memcpy(head->topic, item->string, size + 1);
    heads->count++;
    return MAILBUS_OK;
}

mailbus_code_t mailbus_heads_read(const char *stream, const char *sequence, const cJSON *topics,
                                  mailbus_heads_t **ret_heads, mailbus_error_t *error)
{
    uint64_t head;
    if (stream == NULL || !is_uuid(stream)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"stream\" is missing or not a UUID");
    }
    if (sequence == NULL || mailbus_sequence_parse(sequence, &head) != MAILBUS_OK) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "the journal's head is missing or not a decimal number");
    }
    if (!cJSON_IsObject(topics)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "the heads are not an object");
    }
    size_t count = 0;
    for (const cJSON *item = topics->child; item != NULL; item = item->next) {
        if (++count > MAILBUS_HEADS_MAX_TOPICS) {
            return mailbus_fail(error, MAILBUS_EINVAL, "the heads name more than %d topics",
                                MAILBUS_HEADS_MAX_TOPICS);
        }
    }
    mailbus_heads_t *heads = calloc(1, sizeof *heads);
    if (heads == NULL ||
        (count > 0 && (heads->topics = calloc(count, sizeof *heads->topics)) == NULL)) {
        free(heads);
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for the heads");
    }
    memcpy(heads->stream, stream, MAILBUS_UUID_SIZE);
    heads->sequence = head;
    mailbus_code_t code = MAILBUS_OK;
    for (const cJSON *item = topics->child; item != NULL && code == MAILBUS_OK; item = item->next) {
        code = read_topic(item, heads, error);
    }
    if (code != MAILBUS_OK) {
        mailbus_heads_free(&heads);
        return code;
    }
    *ret_heads = heads;
    return MAILBUS_OK;
}

mailbus_code_t mailbus_heads_decode(const void *header, size_t header_size, const void *body,
                                    size_t body_size, mailbus_heads_t **ret_heads,
                                    mailbus_error_t *error)
{
    if (header_size > MAILBUS_HEADER_MAX) {
        return mailbus_fail(error, MAILBUS_EINVAL, "the header has more than %d bytes",
                            MAILBUS_HEADER_MAX);
    }
    cJSON *top = NULL, *topics = NULL;
    mailbus_code_t code = mailbus_json_parse_object(header, header_size, &top, error);
    if (code == MAILBUS_OK) {
        code = mailbus_json_parse(body, body_size, &topics, error);
    }
    if (code == MAILBUS_OK) {
        code = mailbus_heads_read(mailbus_json_string(top, "stream"),
                                  mailbus_json_string(top, "sequence"), topics, ret_heads, error);
    }
    cJSON_Delete(top);
    cJSON_Delete(topics);
    return code;
}

void mailbus_heads_free(mailbus_heads_t **heads_p)
{
    if (*heads_p != NULL) {
        free((*heads_p)->topics);
        free(*heads_p);
        *heads_p = NULL;
    }
}

uint64_t mailbus_heads_find(const mailbus_heads_t *heads, const char *topic)
{
    for (size_t i = 0; i < heads->count; i++) {
        if (strcmp(heads->topics[i].topic, topic) == 0) {
            return heads->topics[i].sequence;
        }
    }
    return 0;
}
