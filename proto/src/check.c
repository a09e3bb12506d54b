/* Questions and answers of the check protocol (CHECK.md). */
#include "mailbus/check.h"

#include <stdlib.h>
#include <string.h>

#include "field.h"
#include "mailbus/json.h"
#include "mailbus/replay.h"
#include "utf8.h"

static char *copy_text(const char *text)
{
    const size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    if (copy != NULL) {
        memcpy(copy, text, size);
    }
    return copy;
}

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

/* Append `text` as a JSON string that a strict reader takes. */
static void write_line(const char *text, mailbus_buf_t *out)
{
    mailbus_buf_t line = MAILBUS_BUF_INIT;
    size_t left = strlen(text);
    while (left > 0) {
        size_t taken = proto_utf8_sequence((const unsigned char *)text, left);
        if (line.size + (taken > 0 ? taken : 1) > MAILBUS_CHECK_REASON_MAX) {
            break;
        }
        if (taken == 0) {
            mailbus_buf_char(&line, '?');
            taken = 1;
        } else if (is_control(*text)) {
            mailbus_buf_char(&line, ' ');
        } else {
            mailbus_buf_append(&line, text, taken);
        }
        text += taken;
        left -= taken;
    }
    mailbus_json_write_string(out, line.data != NULL ? line.data : "", line.size);
    mailbus_buf_free(&line);
}

mailbus_code_t mailbus_check_write(const char *address, mailbus_buf_t *out, mailbus_error_t *error)
{
    const size_t size = strnlen(address, MAILBUS_CHECK_ADDRESS_MAX + 1);
    bool control = false;
    for (size_t i = 0; i < size; i++) {
        control = control || is_control(address[i]);
    }
    if (size == 0 || size > MAILBUS_CHECK_ADDRESS_MAX) {
        return mailbus_fail(error, MAILBUS_EINVAL, "the address is %s",
                            size == 0 ? "empty" : "too long");
    }
    if (control || !mailbus_utf8_valid(address, size)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "the address %s",
                            control ? "holds a control character" : "is not UTF-8");
    }
    mailbus_buf_text(out, "{\"check\":\"" MAILBUS_CHECK_MAY_SEND "\",\"address\":");
    mailbus_json_write_string(out, address, size);
    mailbus_buf_char(out, '}');
    return out->failed ? mailbus_fail(error, MAILBUS_ENOMEM, "no memory for a question")
                       : MAILBUS_OK;
}

static mailbus_code_t parse(const void *data, size_t size, const char *what, cJSON **ret_tree,
                            mailbus_error_t *error)
{
    if (size > MAILBUS_CHECK_MAX) {
        return mailbus_fail(error, MAILBUS_ETOOBIG, "the %s has more than %d bytes", what,
                            MAILBUS_CHECK_MAX);
    }
    return mailbus_json_parse_object(data, size, ret_tree, error);
}

mailbus_code_t mailbus_check_read(const void *data, size_t size, mailbus_check_t *ret_check,
                                  mailbus_error_t *error)
{
    cJSON *tree = NULL;
    const char *name = NULL;
    const char *address = "";
    bool known = true;
    mailbus_check_t check = {NULL, NULL};
    mailbus_code_t code = parse(data, size, "request", &tree, error);
    if (code == MAILBUS_OK) {
        code =
            proto_field_string(tree, "check", MAILBUS_CHECK_NAME_MAX, FIELD_GRAPHIC, &name, error);
    }
    if (code == MAILBUS_OK) {
        known = strcmp(name, MAILBUS_CHECK_MAY_SEND) == 0;
    }
    if (code == MAILBUS_OK && known) {
        code = proto_field_string(tree, "address", MAILBUS_CHECK_ADDRESS_MAX, FIELD_TEXT, &address,
                                  error);
    }
    if (code != MAILBUS_OK) {
        goto out;
    }
    check.check = copy_text(name);
    check.address = copy_text(address);
    if (check.check == NULL || check.address == NULL) {
        code = mailbus_fail(error, MAILBUS_ENOMEM, "no memory for a request");
        goto out;
    }
    *ret_check = check;
    check = (mailbus_check_t){NULL, NULL};
    code = known ? MAILBUS_OK
                 : mailbus_fail(error, MAILBUS_ENOTFOUND, "this \"check\" is not known here");
out:
    mailbus_check_free(&check);
    cJSON_Delete(tree);
    return code;
}

void mailbus_check_free(mailbus_check_t *check)
{
    free(check->check);
    free(check->address);
    *check = (mailbus_check_t){NULL, NULL};
}

void mailbus_check_answer_write(mailbus_check_verdict_t verdict, const char *reason,
                                int64_t until_ms, mailbus_buf_t *out)
{
    mailbus_buf_printf(out, "{\"answer\":\"%s\"", verdict == MAILBUS_CHECK_YES ? "yes" : "no");
    if (reason != NULL && reason[0] != '\0') {
        mailbus_buf_text(out, ",\"reason\":");
        write_line(reason, out);
    }
    if (verdict == MAILBUS_CHECK_NO && until_ms > 0) {
        char text[MAILBUS_TIME_SIZE];
        mailbus_time_format(until_ms, text);
        mailbus_buf_printf(out, ",\"until\":\"%s\"", text);
    }
    mailbus_buf_char(out, '}');
}

void mailbus_check_error_write(const char *text, mailbus_buf_t *out)
{
    mailbus_buf_text(out, "{\"error\":");
    write_line(text[0] != '\0' ? text : "error", out);
    mailbus_buf_char(out, '}');
}

/* null is as good as absence. */
static bool is_there(const cJSON *tree, const char *key)
{
    const cJSON *item = mailbus_json_item(tree, key);
    return item != NULL && !cJSON_IsNull(item);
}

/* {"error": "…"} is no answer, and says why: the text is for a log. */
static mailbus_code_t read_error(const cJSON *tree, mailbus_error_t *error)
{
    const char *text = NULL;
    mailbus_code_t code =
        proto_field_string(tree, "error", MAILBUS_CHECK_REASON_MAX, FIELD_TEXT, &text, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    /* Cut to what an error holds, between two characters. */
    char cut[sizeof error->text - sizeof "error: "];
    const size_t size = proto_utf8_prefix(text, strnlen(text, sizeof cut - 1));
    memcpy(cut, text, size);
    cut[size] = '\0';
    return mailbus_fail(error, MAILBUS_EINVAL, "error: %s", cut);
}

static mailbus_code_t read_verdict(const cJSON *tree, mailbus_check_verdict_t *ret_verdict,
                                   mailbus_error_t *error)
{
    const char *answer = NULL;
    mailbus_code_t code =
        proto_field_string(tree, "answer", MAILBUS_CHECK_NAME_MAX, FIELD_GRAPHIC, &answer, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    if (strcmp(answer, "yes") != 0 && strcmp(answer, "no") != 0) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"answer\" is neither yes nor no");
    }
    *ret_verdict = answer[0] == 'y' ? MAILBUS_CHECK_YES : MAILBUS_CHECK_NO;
    return MAILBUS_OK;
}

/* The one string that may be empty. */
static mailbus_code_t read_reason(const cJSON *tree, const char **ret_reason,
                                  mailbus_error_t *error)
{
    const char *text = mailbus_json_string(tree, "reason");
    if (text != NULL && text[0] == '\0') {
        *ret_reason = text;
        return MAILBUS_OK;
    }
    mailbus_code_t code =
        proto_field_optional(tree, "reason", MAILBUS_CHECK_REASON_MAX, FIELD_TEXT, &text, error);
    if (code == MAILBUS_OK) {
        *ret_reason = text != NULL ? text : "";
    }
    return code;
}

static mailbus_code_t read_until(const cJSON *tree, mailbus_check_verdict_t verdict,
                                 int64_t *ret_until_ms, mailbus_error_t *error)
{
    const char *text = NULL;
    if (!is_there(tree, "until")) {
        *ret_until_ms = 0;
        return MAILBUS_OK;
    }
    mailbus_code_t code = proto_field_time(tree, "until", &text, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    if (verdict == MAILBUS_CHECK_YES) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"until\" goes with a no");
    }
    if (mailbus_time_parse(text, ret_until_ms) != MAILBUS_OK || *ret_until_ms <= 0) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"until\" is not after 1970");
    }
    return MAILBUS_OK;
}

mailbus_code_t mailbus_check_answer_read(const void *data, size_t size,
                                         mailbus_check_answer_t *ret_answer, mailbus_error_t *error)
{
    cJSON *tree = NULL;
    const char *reason = "";
    mailbus_check_answer_t answer = {.reason = NULL};
    mailbus_code_t code = parse(data, size, "answer", &tree, error);
    if (code == MAILBUS_OK && is_there(tree, "error")) {
        code = read_error(tree, error);
    }
    if (code == MAILBUS_OK) {
        code = read_verdict(tree, &answer.verdict, error);
    }
    if (code == MAILBUS_OK) {
        code = read_reason(tree, &reason, error);
    }
    if (code == MAILBUS_OK) {
        code = read_until(tree, answer.verdict, &answer.until_ms, error);
    }
    if (code != MAILBUS_OK) {
        goto out;
    }
    answer.reason = copy_text(reason);
    if (answer.reason == NULL) {
        code = mailbus_fail(error, MAILBUS_ENOMEM, "no memory for an answer");
        goto out;
    }
    *ret_answer = answer;
out:
    cJSON_Delete(tree);
    return code;
}

void mailbus_check_answer_free(mailbus_check_answer_t *answer)
{
    free(answer->reason);
    *answer = (mailbus_check_answer_t){.reason = NULL};
}
