/* Rows of a file, as the command line has read it. The same row twice changes nothing. */
#include <stdlib.h>
#include <string.h>

#include "commands_priv.h"
#include "encoding.h"
#include "entry_key.h"
#include "mailbus/json.h"
#include "mailbus/replay.h"
#include "suppression_commands.h"

#define COUNT_MAX 1e12 /* nobody was ever written to so often */

enum { ID_BYTES = 16 }; /* of a digest: rows that are different have different ids */

/* One row, read. */
typedef struct {
    command_target_t target;
    char *note, *event_id, *message_id;
    char id[sizeof "import-" + 2 * ID_BYTES];
    fact_t fact;
} row_t;

static void row_free(row_t *row)
{
    command_target_free(&row->target);
    free(row->note);
    free(row->event_id);
    free(row->message_id);
}

static const char *text_of(const cJSON *item, const char *name)
{
    const char *text = mailbus_json_string(item, name);
    return text != NULL ? text : "";
}

/* What the row says, before anything is filled in: a row without a time is the same one tomorrow.
 */
static mailbus_code_t make_id(row_t *row, const cJSON *item, mailbus_error_t *error)
{
    static const char *const names[] = {"reason",    "first",    "last",       "count",
                                        "ambiguous", "event_id", "message_id", "note"};
    uint8_t digest[MB_SHA256_SIZE];
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    mailbus_buf_t hex = MAILBUS_BUF_INIT;
    mailbus_buf_text(&text, row->target.key);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const cJSON *value = mailbus_json_item(item, names[i]);
        char *json = value != NULL ? cJSON_PrintUnformatted(value) : NULL;
        mailbus_buf_char(&text, '\n');
        mailbus_buf_text(&text, json != NULL ? json : "");
        text.failed = text.failed || (value != NULL && json == NULL);
        cJSON_free(json);
    }
    mailbus_code_t code = MAILBUS_OK;
    if (!text.failed) {
        mb_sha256(text.data, text.size, digest);
        mb_hex_encode(digest, ID_BYTES, &hex);
    }
    if (text.failed || hex.failed) {
        code = mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    } else {
        memcpy(row->id, "import-", sizeof "import-" - 1);
        memcpy(row->id + sizeof "import-" - 1, hex.data, hex.size + 1);
    }
    mailbus_buf_free(&text);
    mailbus_buf_free(&hex);
    return code;
}

/* Nothing lies in the future, or it would outlive what people do. */
static mailbus_code_t read_time(const cJSON *item, const char *name, int64_t otherwise,
                                int64_t now_ms, int64_t *ret_ms, mailbus_error_t *error)
{
    const char *text = text_of(item, name);
    int64_t ms = otherwise;
    if (text[0] != '\0' && mailbus_time_parse(text, &ms) != MAILBUS_OK) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"%s\" is no time", name);
    }
    *ret_ms = ms > now_ms ? now_ms : ms;
    return MAILBUS_OK;
}

static mailbus_code_t read_numbers(const cJSON *item, int64_t now_ms, fact_t *fact,
                                   mailbus_error_t *error)
{
    const cJSON *count = mailbus_json_item(item, "count");
    double number = count == NULL ? 1 : cJSON_IsNumber(count) ? count->valuedouble : 0;
    int64_t first_ms = 0;
    fact->reason = reason_of(text_of(item, "reason"));
    if (fact->reason == REASON_NONE) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "the reason is none of complaint, manual, unsubscribe, bounce and "
                            "rejected");
    }
    if (!(number >= 1) || number > COUNT_MAX) {
        return mailbus_fail(error, MAILBUS_EINVAL, "the count is no number from 1 on");
    }
    mailbus_code_t code = read_time(item, "first", INT64_MIN, now_ms, &first_ms, error);
    if (code == MAILBUS_OK) {
        code = read_time(item, "last", first_ms == INT64_MIN ? now_ms : first_ms, now_ms,
                         &fact->time_ms, error);
    }
    if (code != MAILBUS_OK) {
        return code;
    }
    fact->first_ms = first_ms == INT64_MIN ? fact->time_ms : first_ms;
    if (fact->first_ms > fact->time_ms) {
        return mailbus_fail(error, MAILBUS_EINVAL, "the first time is later than the last");
    }
    fact->count = (int64_t)number;
    fact->candidates = cJSON_IsTrue(mailbus_json_item(item, "ambiguous")) ? 2 : 1;
    return MAILBUS_OK;
}

static mailbus_code_t row_read(const cJSON *item, int64_t now_ms, row_t *row,
                               mailbus_error_t *error)
{
    mailbus_code_t code = command_target(item, &row->target, error);
    if (code == MAILBUS_OK) {
        code = make_id(row, item, error);
    }
    if (code == MAILBUS_OK) {
        code = read_numbers(item, now_ms, &row->fact, error);
    }
    if (code != MAILBUS_OK) {
        return code;
    }
    row->note = command_line(text_of(item, "note"));
    row->event_id = command_line(text_of(item, "event_id"));
    row->message_id = command_line(text_of(item, "message_id"));
    if (row->note == NULL || row->event_id == NULL || row->message_id == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    row->fact.said = SAID_IMPORT;
    row->fact.id = row->id;
    row->fact.address = row->target.shown;
    row->fact.event_id = row->event_id;
    row->fact.message_id = row->message_id;
    row->fact.note = row->note;
    row->fact.inbox = row->fact.type = row->fact.sub_type = row->fact.status = "";
    return MAILBUS_OK;
}

/* --- the answer ---------------------------------------------------------------------------------
 */

typedef struct {
    int64_t added, counted, known;
    cJSON *skipped;
} result_t;

static void skip(result_t *result, const cJSON *item, const char *why, bool removed)
{
    cJSON *row = cJSON_CreateObject();
    const cJSON *line = mailbus_json_item(item, "line");
    cJSON_AddNumberToObject(row, "line", cJSON_IsNumber(line) ? line->valuedouble : 0);
    cJSON_AddStringToObject(row, "why", why);
    cJSON_AddBoolToObject(row, "removed", removed);
    cJSON_AddItemToArray(result->skipped, row);
}

static void tally(result_t *result, const cJSON *item, const list_change_t *change)
{
    if (change->reason == REASON_NONE) {
        skip(result, item, "a person has taken it off the list since then", true);
    } else if (change->known || change->step == STEP_OLD) {
        result->known++;
    } else if (change->step == STEP_SUPPRESSED) {
        result->added++;
    } else {
        result->counted++;
    }
}

/* A bad row is told and stops nothing; a file that can't be written stops all. */
static mailbus_code_t import_row(sqlite3 *db, const cJSON *item, int64_t now_ms, result_t *result,
                                 mailbus_error_t *error)
{
    static const policy_t any = {.bounces = true, .rejects = true, .candidates = true};
    row_t row = {.note = NULL};
    list_change_t change = {.known = false};
    mailbus_error_t why = {0};
    mailbus_code_t code = row_read(item, now_ms, &row, &why);
    if (code == MAILBUS_OK) {
        code = list_take(db, row.target.key, &row.fact, &any, now_ms, &change, error);
        if (code == MAILBUS_OK) {
            tally(result, item, &change);
        }
    } else if (code == MAILBUS_EINVAL || code == MAILBUS_ETOOBIG) {
        skip(result, item, why.text, false);
        code = MAILBUS_OK;
    } else {
        code = mailbus_fail(error, code, "%s", why.text);
    }
    row_free(&row);
    return code;
}

mailbus_code_t command_import(sqlite3 *db, const cJSON *request, int64_t now_ms,
                              mailbus_buf_t *answer, mailbus_error_t *error)
{
    cJSON *object = cJSON_CreateObject();
    result_t result = {.skipped = cJSON_CreateArray()};
    mailbus_code_t code = MAILBUS_OK;
    const cJSON *rows = mailbus_json_item(request, "rows");
    if (!cJSON_IsArray(rows) || cJSON_GetArraySize(rows) > SUPPRESSION_IMPORT_MAX) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "\"rows\" is an array of at most %d rows",
                            SUPPRESSION_IMPORT_MAX);
    }
    for (const cJSON *item = code == MAILBUS_OK ? rows->child : NULL;
         code == MAILBUS_OK && item != NULL; item = item->next) {
        code = import_row(db, item, now_ms, &result, error);
    }
    if (code == MAILBUS_OK) {
        cJSON_AddNumberToObject(object, "added", (double)result.added);
        cJSON_AddNumberToObject(object, "counted", (double)result.counted);
        cJSON_AddNumberToObject(object, "known", (double)result.known);
        cJSON_AddItemToObject(object, "skipped", result.skipped);
        result.skipped = NULL;
        code = mb_command_answer(&object, answer, error);
    }
    cJSON_Delete(result.skipped);
    cJSON_Delete(object);
    return code;
}
