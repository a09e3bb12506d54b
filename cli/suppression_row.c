#include "suppression_row.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "agentmail/text.h"
#include "mailbus/event.h"
#include "mailbus/json.h"
#include "mailbus/replay.h"
#include "suppression_file.h"

bool suppression_file_time(const char *value, char *text, size_t size)
{
    int64_t ms = 0;
    char *end = NULL;
    if (size < MAILBUS_TIME_SIZE) {
        return false;
    }
    if (mailbus_time_parse(value, &ms) != MAILBUS_OK) {
        double seconds = strtod(value, &end);
        bool plain = value[0] >= '0' && value[0] <= '9' && *end == '\0' &&
                     value[strspn(value, "0123456789.")] == '\0';
        if (plain && seconds < 253402300800.0) { /* the year 10000 */
            ms = (int64_t)(seconds * 1000);
        } else {
            time_t parsed = plain ? -1 : curl_getdate(value, NULL);
            if (parsed < 0) {
                return false;
            }
            ms = (int64_t)parsed * 1000;
        }
    }
    mailbus_time_format(ms, text);
    return true;
}

static mailbus_code_t add_time(cJSON *row, const char *name, const char *value,
                               mailbus_error_t *error)
{
    char text[MAILBUS_TIME_SIZE];
    if (!suppression_file_time(value, text, sizeof text)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"%.60s\" is no time", value);
    }
    cJSON_AddStringToObject(row, name, text);
    return MAILBUS_OK;
}

static mailbus_code_t add_count(cJSON *row, const char *value, mailbus_error_t *error)
{
    enum { DIGITS_MAX = 12 };
    size_t digits = strspn(value, "0123456789");
    if (digits == 0 || digits > DIGITS_MAX || value[digits] != '\0') {
        return mailbus_fail(error, MAILBUS_EINVAL, "the count \"%.40s\" is no number", value);
    }
    cJSON_AddNumberToObject(row, "count", strtod(value, NULL));
    return MAILBUS_OK;
}

static mailbus_code_t add_ambiguous(cJSON *row, const char *value, mailbus_error_t *error)
{
    bool yes = agentmail_text_equal(value, "true") || agentmail_text_equal(value, "yes");
    if (!yes && !agentmail_text_equal(value, "false") && !agentmail_text_equal(value, "no")) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"ambiguous\" is true or false");
    }
    if (yes) {
        cJSON_AddTrueToObject(row, "ambiguous");
    }
    return MAILBUS_OK;
}

/* The reason in the words of the list: SES writes BOUNCE. */
static void add_reason(cJSON *row, const char *value)
{
    mailbus_buf_t lower = MAILBUS_BUF_INIT;
    for (; *value != '\0'; value++) {
        mailbus_buf_char(&lower, agentmail_text_lower(*value));
    }
    cJSON_AddStringToObject(row, "reason", lower.data != NULL ? lower.data : "");
    mailbus_buf_free(&lower);
}

/* Mailgun's "550" and "No such mailbox" are one note; a note of ours goes before them. */
static void add_note(cJSON *row, const char *const values[FIELDS])
{
    mailbus_buf_t note = MAILBUS_BUF_INIT;
    const field_t parts[] = {FIELD_NOTE, FIELD_CODE, FIELD_ERROR};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const char *value = values[parts[i]];
        if (value[0] != '\0') {
            mailbus_buf_text(&note, note.size > 0 ? " " : "");
            mailbus_buf_text(&note, value);
        }
    }
    if (note.size > 0) {
        cJSON_AddStringToObject(row, "note", note.data);
    }
    mailbus_buf_free(&note);
}

static mailbus_code_t check_tags(const char *tags, mailbus_error_t *error)
{
    return tags[0] == '\0' || strcmp(tags, "*") == 0 || strcmp(tags, "[\"*\"]") == 0
               ? MAILBUS_OK
               : mailbus_fail(error, MAILBUS_EINVAL,
                              "unsubscribed from \"%.60s\" alone, not from everything", tags);
}

static mailbus_code_t fill_row(const char *const values[FIELDS], size_t line, const char *assumed,
                               cJSON *row, mailbus_error_t *error)
{
    static const struct {
        field_t field;
        const char *name;
    } texts[] = {{FIELD_EVENT, "event_id"}, {FIELD_MESSAGE, "message_id"}},
      times[] = {{FIELD_FIRST, "first"}, {FIELD_CREATED, "first"}, {FIELD_LAST, "last"}};
    mailbus_code_t code = values[FIELD_ADDRESS][0] != '\0'
                              ? check_tags(values[FIELD_TAGS], error)
                              : mailbus_fail(error, MAILBUS_EINVAL, "no address");
    cJSON_AddNumberToObject(row, "line", (double)line);
    cJSON_AddStringToObject(row, "address", values[FIELD_ADDRESS]);
    add_reason(row, values[FIELD_REASON][0] != '\0' ? values[FIELD_REASON] : assumed);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (values[texts[i].field][0] != '\0') {
            cJSON_AddStringToObject(row, texts[i].name, values[texts[i].field]);
        }
    }
    for (size_t i = 0; code == MAILBUS_OK && i < sizeof times / sizeof times[0]; i++) {
        if (values[times[i].field][0] != '\0' && mailbus_json_item(row, times[i].name) == NULL) {
            code = add_time(row, times[i].name, values[times[i].field], error);
        }
    }
    if (code == MAILBUS_OK && values[FIELD_COUNT][0] != '\0') {
        code = add_count(row, values[FIELD_COUNT], error);
    }
    if (code == MAILBUS_OK && values[FIELD_AMBIGUOUS][0] != '\0') {
        code = add_ambiguous(row, values[FIELD_AMBIGUOUS], error);
    }
    add_note(row, values);
    return code;
}

mailbus_code_t suppression_row(const char *const values[FIELDS], size_t line, const char *assumed,
                               cJSON **ret_row, mailbus_error_t *error)
{
    cJSON *row = cJSON_CreateObject();
    mailbus_code_t code = row != NULL ? fill_row(values, line, assumed, row, error)
                                      : mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    if (code != MAILBUS_OK) {
        cJSON_Delete(row);
        return code;
    }
    *ret_row = row;
    return MAILBUS_OK;
}
