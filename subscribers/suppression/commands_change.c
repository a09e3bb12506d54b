/* What a person changes: add and remove. */
#include <stdlib.h>
#include <string.h>

#include "commands_priv.h"
#include "mailbus/json.h"

/* The request's address, and the reason that every change asks for. */
typedef struct {
    command_target_t target;
    char *note;
} change_t;

static void change_free(change_t *change)
{
    command_target_free(&change->target);
    free(change->note);
}

static mailbus_code_t change_read(const cJSON *request, change_t *change, mailbus_error_t *error)
{
    mailbus_code_t code = command_target(request, &change->target, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    const char *reason = mailbus_json_string(request, "reason");
    change->note = command_line(reason != NULL ? reason : "");
    if (change->note == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    return change->note[0] != '\0'
               ? MAILBUS_OK
               : mailbus_fail(error, MAILBUS_EINVAL,
                              "\"reason\" is missing: it is what the next one will want to know");
}

mailbus_code_t command_add(sqlite3 *db, const cJSON *request, int64_t now_ms, mailbus_buf_t *answer,
                           mailbus_error_t *error)
{
    change_t change = {.note = NULL};
    list_change_t done = {.known = false};
    cJSON *object = cJSON_CreateObject();
    mailbus_code_t code = change_read(request, &change, error);
    if (code == MAILBUS_OK) {
        code =
            list_add(db, change.target.key, change.target.shown, change.note, now_ms, &done, error);
    }
    if (code == MAILBUS_OK) {
        cJSON_AddStringToObject(object, "address", change.target.printed);
        cJSON_AddBoolToObject(object, "suppressed", true);
        cJSON_AddBoolToObject(object, "already", done.step == STEP_COUNTED);
        cJSON_AddStringToObject(object, "reason", reason_name(done.reason));
        code = mb_command_answer(&object, answer, error);
    }
    cJSON_Delete(object);
    change_free(&change);
    return code;
}

mailbus_code_t command_remove(sqlite3 *db, const cJSON *request, int64_t now_ms,
                              mailbus_buf_t *answer, mailbus_error_t *error)
{
    change_t change = {.note = NULL};
    char *by = NULL;
    cJSON *object = cJSON_CreateObject();
    mailbus_code_t code = change_read(request, &change, error);
    if (code == MAILBUS_OK) {
        code = command_covered_by(db, &change.target, &by, error);
    }
    if (code == MAILBUS_OK) {
        code = list_remove(db, change.target.key, change.note, now_ms, error);
    }
    if (code == MAILBUS_ENOTFOUND) {
        code = mailbus_fail(error, code,
                            by != NULL ? "%.120s is not on the list itself: the entry %.120s "
                                         "suppresses it"
                                       : "%.120s is not suppressed%.0s",
                            change.target.printed, by != NULL ? by : "");
    }
    if (code == MAILBUS_OK) {
        cJSON_AddStringToObject(object, "address", change.target.printed);
        cJSON_AddBoolToObject(object, "suppressed", by != NULL);
        if (by != NULL) {
            cJSON_AddStringToObject(object, "by", by);
        }
        code = mb_command_answer(&object, answer, error);
    }
    free(by);
    cJSON_Delete(object);
    change_free(&change);
    return code;
}
