#include "mailbus/heads.h"

#include <stdlib.h>
#include <string.h>

#include "field.h"
#include "json_keys.h"

mailbus_code_t mailbus_heads_encode_body(const mailbus_heads_t *heads, mailbus_buf_t *body,
                                         mailbus_error_t *error)
{
    if (heads->count > MAILBUS_HEADS_MAX_TOPICS) {
        return mailbus_fail(error, MAILBUS_ETOOBIG, "more than %d topics",
                            MAILBUS_HEADS_MAX_TOPICS);
    }
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

static mailbus_code_t read_head(const cJSON *item, uint64_t most, mailbus_head_t *head,
                                mailbus_error_t *error)
{
    const size_t size = strlen(item->string);
    if (mailbus_topic_check(item->string, size, NULL) != MAILBUS_OK) {
        return mailbus_fail(error, MAILBUS_EINVAL, "the heads name something that is no topic");
    }
    /* A topic's alphabet is harmless in an error's text. */
    if (!cJSON_IsString(item) ||
        mailbus_sequence_parse(item->valuestring, &head->sequence) != MAILBUS_OK) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "the head of \"%s\" is not a decimal number in a string", item->string);
    }
    if (head->sequence == 0 || head->sequence > most) {
        return mailbus_fail(error, MAILBUS_EINVAL, "the head of \"%s\" is %s", item->string,
                            head->sequence == 0 ? "0" : "above the journal's");
    }
    memcpy(head->topic, item->string, size + 1);
    return MAILBUS_OK;
}

mailbus_code_t proto_field_heads(const cJSON *topics, const char *stream, uint64_t sequence,
                                 mailbus_heads_t **ret_heads, mailbus_error_t *error)
{
    if (!cJSON_IsObject(topics)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "the heads are not an object");
    }
    mailbus_code_t code =
        proto_json_keys_check(topics, MAILBUS_HEADS_MAX_TOPICS, "the object of heads", error);
    if (code != MAILBUS_OK) {
        return code;
    }
    size_t count = (size_t)cJSON_GetArraySize(topics);
    mailbus_heads_t *heads = calloc(1, sizeof *heads);
    if (heads == NULL ||
        (count > 0 && (heads->topics = calloc(count, sizeof *heads->topics)) == NULL)) {
        code = mailbus_fail(error, MAILBUS_ENOMEM, "no memory for the heads");
        goto out;
    }
    memcpy(heads->stream, stream, MAILBUS_UUID_SIZE);
    heads->sequence = sequence;
    for (const cJSON *item = topics->child; item != NULL; item = item->next) {
        code = read_head(item, sequence, &heads->topics[heads->count], error);
        if (code != MAILBUS_OK) {
            goto out;
        }
        heads->count++;
    }
    *ret_heads = heads;
    heads = NULL;
out:
    mailbus_heads_free(&heads);
    return code;
}

mailbus_code_t mailbus_heads_decode(const void *header, size_t header_size, const void *body,
                                    size_t body_size, mailbus_heads_t **ret_heads,
                                    mailbus_error_t *error)
{
    if (header_size > MAILBUS_HEADER_MAX) {
        return mailbus_fail(error, MAILBUS_ETOOBIG, "the header has more than %d bytes",
                            MAILBUS_HEADER_MAX);
    }
    if (body_size > MAILBUS_HEADS_MAX_SIZE) {
        return mailbus_fail(error, MAILBUS_ETOOBIG, "the heads have more than %zu bytes",
                            MAILBUS_HEADS_MAX_SIZE);
    }
    cJSON *top = NULL;
    cJSON *topics = NULL;
    const char *stream = NULL;
    uint64_t sequence = 0;
    mailbus_code_t code = mailbus_json_parse_object(header, header_size, &top, error);
    if (code == MAILBUS_OK) {
        code = proto_field_uuid(top, "stream", &stream, error);
    }
    if (code == MAILBUS_OK) {
        code = proto_field_sequence(top, "sequence", 0, &sequence, error);
    }
    if (code == MAILBUS_OK) {
        code = mailbus_json_parse(body, body_size, &topics, error);
    }
    if (code == MAILBUS_OK) {
        code = proto_field_heads(topics, stream, sequence, ret_heads, error);
    }
    cJSON_Delete(top);
    cJSON_Delete(topics);
    return code;
}

void mailbus_heads_free(mailbus_heads_t **heads_p)
{
    mailbus_heads_t *heads = *heads_p;
    *heads_p = NULL;
    if (heads != NULL) {
        free(heads->topics);
        free(heads);
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
