/* Answers of the replay dialogue other than EVENT: END, TRIMMED, ERROR (PROTOCOL.md §Replay). */
#include <stdlib.h>
#include <string.h>

#include "heads_read.h"
#include "mailbus/replay.h"
#include "request_id.h"

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
        mailbus_buf_printf(json, ",\"code\":%d,\"message\":", answer->code);
        mailbus_json_write_string(json, answer->message,
                                  strnlen(answer->message, sizeof answer->message));
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

static mailbus_code_t read_number(const cJSON *tree, const char *key, uint64_t *ret_value,
                                  mailbus_error_t *error)
{
    const char *text = mailbus_json_string(tree, key);
    if (text == NULL || mailbus_sequence_parse(text, ret_value) != MAILBUS_OK) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"%s\" is not a decimal number in a string",
                            key);
    }
    return MAILBUS_OK;
}

static mailbus_code_t read_end(const cJSON *tree, mailbus_answer_t *answer, mailbus_error_t *error)
{
    mailbus_code_t code = read_number(tree, "next", &answer->next, error);
    if (code == MAILBUS_OK) {
        code = read_number(tree, "oldest", &answer->oldest, error);
    }
    if (code == MAILBUS_OK) {
        code = mailbus_heads_read(mailbus_json_string(tree, "stream"),
                                  mailbus_json_string(tree, "head"),
                                  mailbus_json_item(tree, "heads"), &answer->heads, error);
    }
    return code;
}

static mailbus_code_t read_error(const cJSON *tree, mailbus_answer_t *answer,
                                 mailbus_error_t *error)
{
    const cJSON *number = mailbus_json_item(tree, "code");
    const char *message = mailbus_json_string(tree, "message");
    if (!cJSON_IsNumber(number) || !(number->valuedouble >= 400 && number->valuedouble <= 599)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"code\" is not a number from 400 to 599");
    }
    if (message == NULL) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"message\" is not a string");
    }
    answer->code = (int)number->valuedouble;
    size_t size = strlen(message);
    size = size < sizeof answer->message ? size : sizeof answer->message - 1;
    memcpy(answer->message, message, size);
    return MAILBUS_OK;
}

static bool read_kind(const void *verb, size_t size, mailbus_replay_kind_t *ret_kind)
{
    static const mailbus_replay_kind_t kinds[] = {MAILBUS_REPLAY_END, MAILBUS_REPLAY_TRIMMED,
                                                  MAILBUS_REPLAY_ERROR};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const char *name = mailbus_replay_verb(kinds[i]);
        if (size == strlen(name) && memcmp(verb, name, size) == 0) {
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
    cJSON *tree = NULL;
    mailbus_code_t code = mailbus_json_parse_object(json, json_size, &tree, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    mailbus_answer_t *answer = calloc(1, sizeof *answer);
    if (answer == NULL) {
        cJSON_Delete(tree);
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for an answer");
    }
    answer->kind = kind;
    code = mailbus_request_id_read(tree, answer->request, error);
    if (code == MAILBUS_OK) {
        code = kind == MAILBUS_REPLAY_END ? read_end(tree, answer, error)
               : kind == MAILBUS_REPLAY_TRIMMED
                   ? read_number(tree, "oldest", &answer->oldest, error)
                   : read_error(tree, answer, error);
    }
    cJSON_Delete(tree);
    if (code != MAILBUS_OK) {
        mailbus_answer_free(&answer);
        return code;
    }
    *ret_answer = answer;
    return MAILBUS_OK;
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
