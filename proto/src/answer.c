/* Answers of the replay dialogue other than EVENT: END, TRIMMED, ERROR (PROTOCOL.md §Replay). */
#include <stdlib.h>
#include <string.h>

#include "field.h"
#include "mailbus/replay.h"
#include "utf8.h"
#include "verb.h"

/* Bytes of an answer's JSON: END's heads, and its other fields. */
#define ANSWER_MAX_SIZE (MAILBUS_HEADS_MAX_SIZE + MAILBUS_HEADER_MAX)

static void write_number(mailbus_buf_t *json, const char *key, uint64_t value)
{
    mailbus_buf_printf(json, ",\"%s\":\"", key);
    mailbus_buf_u64(json, value);
    mailbus_buf_char(json, '"');
}

mailbus_code_t mailbus_answer_encode(const mailbus_answer_t *answer, mailbus_buf_t *json,
                                     mailbus_error_t *error)
{
    mailbus_buf_text(json, "{\"request\":");
    mailbus_json_write_string(json, answer->request, strlen(answer->request));
    if (answer->kind == MAILBUS_REPLAY_ERROR) {
        /* A text that was cut to fit may end in the middle of a character. */
        const size_t size = strnlen(answer->message, sizeof answer->message);
        mailbus_buf_printf(json, ",\"code\":%d,\"message\":", answer->code);
        mailbus_json_write_string(json, answer->message, proto_utf8_prefix(answer->message, size));
    } else if (answer->kind == MAILBUS_REPLAY_TRIMMED) {
        write_number(json, "oldest", answer->oldest);
    } else {
        mailbus_buf_text(json, ",\"stream\":");
        mailbus_json_write_string(json, answer->heads->stream, strlen(answer->heads->stream));
        write_number(json, "next", answer->next);
        write_number(json, "head", answer->heads->sequence);
        mailbus_buf_text(json, ",\"heads\":");
        mailbus_code_t code = mailbus_heads_encode_body(answer->heads, json, error);
        if (code != MAILBUS_OK) {
            return code;
        }
        write_number(json, "oldest", answer->oldest);
    }
    mailbus_buf_char(json, '}');
    return json->failed ? mailbus_fail(error, MAILBUS_ENOMEM, "no memory for an answer")
                        : MAILBUS_OK;
}

static mailbus_code_t read_end(const cJSON *tree, mailbus_answer_t *answer, mailbus_error_t *error)
{
    const char *stream = NULL;
    uint64_t head = 0;
    mailbus_code_t code = proto_field_uuid(tree, "stream", &stream, error);
    if (code == MAILBUS_OK) {
        code = proto_field_sequence(tree, "next", 1, &answer->next, error);
    }
    if (code == MAILBUS_OK) {
        code = proto_field_sequence(tree, "head", 0, &head, error);
    }
    if (code == MAILBUS_OK) {
        code = proto_field_sequence(tree, "oldest", 0, &answer->oldest, error);
    }
    if (code == MAILBUS_OK) {
        code = proto_field_heads(mailbus_json_item(tree, "heads"), stream, head, &answer->heads,
                                 error);
    }
    return code;
}

/* For a terminal or a log: what does not fit is left out, control characters become blanks. */
static void copy_message(const char *message, char copy[MAILBUS_ANSWER_MESSAGE_SIZE])
{
    const size_t size =
        proto_utf8_prefix(message, strnlen(message, MAILBUS_ANSWER_MESSAGE_SIZE - 1));
    memcpy(copy, message, size);
    for (size_t i = 0; i < size; i++) {
        const unsigned char c = (unsigned char)copy[i];
        if (c < 0x20 || c == 0x7f) {
            copy[i] = ' ';
        }
    }
    copy[size] = '\0';
}

static mailbus_code_t read_error(const cJSON *tree, mailbus_answer_t *answer,
                                 mailbus_error_t *error)
{
    const cJSON *number = mailbus_json_item(tree, "code");
    if (!cJSON_IsNumber(number) || !(number->valuedouble >= 400 && number->valuedouble <= 599) ||
        number->valuedouble != (int)number->valuedouble) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"code\" is not a number from 400 to 599");
    }
    const char *message = mailbus_json_string(tree, "message");
    if (message == NULL) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"message\" is not a string");
    }
    answer->code = (int)number->valuedouble;
    copy_message(message, answer->message);
    return MAILBUS_OK;
}

static mailbus_code_t read_answer(const cJSON *tree, mailbus_answer_t *answer,
                                  mailbus_error_t *error)
{
    mailbus_code_t code =
        proto_field_request(tree, answer->kind == MAILBUS_REPLAY_ERROR, answer->request, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    switch (answer->kind) {
    case MAILBUS_REPLAY_END:
        return read_end(tree, answer, error);
    case MAILBUS_REPLAY_TRIMMED:
        return proto_field_sequence(tree, "oldest", 1, &answer->oldest, error);
    default:
        return read_error(tree, answer, error);
    }
}

static bool read_kind(const void *verb, size_t size, mailbus_replay_kind_t *ret_kind)
{
    static const mailbus_replay_kind_t kinds[] = {MAILBUS_REPLAY_END, MAILBUS_REPLAY_TRIMMED,
                                                  MAILBUS_REPLAY_ERROR};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (proto_verb_is(verb, size, kinds[i])) {
            *ret_kind = kinds[i];
            return true;
        }
    }
    return false;
}

mailbus_code_t mailbus_answer_decode(const void *verb, size_t verb_size, const void *json,
                                     size_t json_size, mailbus_answer_t **ret_answer,
                                     mailbus_error_t *error)
{
    mailbus_replay_kind_t kind;
    if (!read_kind(verb, verb_size, &kind)) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "the first frame is none of END, TRIMMED and ERROR");
    }
    if (json_size > ANSWER_MAX_SIZE) {
        return mailbus_fail(error, MAILBUS_ETOOBIG, "the answer has more than %zu bytes",
                            ANSWER_MAX_SIZE);
    }
    cJSON *tree = NULL;
    mailbus_code_t code = mailbus_json_parse_object(json, json_size, &tree, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    mailbus_answer_t *answer = calloc(1, sizeof *answer);
    if (answer == NULL) {
        code = mailbus_fail(error, MAILBUS_ENOMEM, "no memory for an answer");
        goto out;
    }
    answer->kind = kind;
    code = read_answer(tree, answer, error);
    if (code != MAILBUS_OK) {
        goto out;
    }
    *ret_answer = answer;
    answer = NULL;
out:
    mailbus_answer_free(&answer);
    cJSON_Delete(tree);
    return code;
}

void mailbus_answer_free(mailbus_answer_t **answer_p)
{
    mailbus_answer_t *answer = *answer_p;
    *answer_p = NULL;
    if (answer != NULL) {
        mailbus_heads_free(&answer->heads);
        free(answer);
    }
}
