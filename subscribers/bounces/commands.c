#include "commands.h"

#include <stdlib.h>
#include <string.h>

#include "agentmail/address.h"
#include "agentmail/text.h"
#include "command.h"
#include "db_query.h"
#include "mailbus/json.h"
#include "request.h"
#include "view.h"

enum {
    LOOKED_AT = 5000, /* addresses that one request looks at: meanwhile nothing else is written */
    FILTERED = 12, /* of open_list, behind VIEW_COLUMNS: domain and inbox are as they should be */
};

/* --- list ---------------------------------------------------------------------------------------
 */

typedef struct {
    const char *only; /* "bounced", "ok", "paused", "dead", "all" */
    const char *domain, *inbox, *after;
    int64_t limit;
} filter_t;

static mailbus_code_t read_filter(const cJSON *request, filter_t *filter, mailbus_error_t *error)
{
    static const char *const kinds[] = {"bounced", "ok", "paused", "dead", "all"};
    bool known = false;
    mailbus_code_t code = request_text(request, "only", &filter->only, error);
    if (code == MAILBUS_OK) {
        code = request_text(request, "domain", &filter->domain, error);
    }
    if (code == MAILBUS_OK) {
        code = request_text(request, "inbox", &filter->inbox, error);
    }
    if (code == MAILBUS_OK) {
        code = request_text(request, "after", &filter->after, error);
    }
    if (code == MAILBUS_OK) {
        code = request_limit(request, &filter->limit, error);
    }
    filter->only = filter->only == NULL ? "bounced" : filter->only;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        known = known || strcmp(kinds[i], filter->only) == 0;
    }
    if (code == MAILBUS_OK && !known) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "\"only\" is bounced, ok, paused, dead or all");
    }
    return code;
}

#define SELECT                                                                                     \
    "SELECT " VIEW_COLUMNS ", (?2 IS NULL OR substr(key, -length(?2)) = ?2) AND (?3 IS NULL OR"    \
    " EXISTS (SELECT 1 FROM history WHERE history.key = addresses.key AND inbox = ?3))"            \
    " FROM addresses WHERE key > ?1"
#define ORDER          " ORDER BY key LIMIT ?4"
#define SELECT_ALL     SELECT ORDER
#define SELECT_BOUNCED SELECT " AND soft + hard + sender + known > 0" ORDER /* has an index */

/* *ret_query stands before the addresses that may pass, behind `after`. */
static mailbus_code_t open_list(sqlite3 *db, const filter_t *filter, mailbus_buf_t *scratch,
                                sqlite3_stmt **ret_query, mailbus_error_t *error)
{
    bool any = strcmp(filter->only, "all") == 0 || strcmp(filter->only, "ok") == 0;
    mailbus_buf_text(scratch, "@");
    if (filter->domain != NULL) {
        agentmail_domain_key(filter->domain + (filter->domain[0] == '@'), scratch);
    }
    size_t inbox = scratch->size + 1;
    mailbus_buf_char(scratch, '\0');
    if (filter->inbox != NULL) {
        agentmail_address_key(filter->inbox, scratch);
    }
    if (scratch->failed) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    const mb_db_value_t values[] = {
        MB_TEXT_VALUE(filter->after == NULL ? "" : filter->after),
        MB_TEXT_VALUE(filter->domain == NULL ? NULL : scratch->data),
        MB_TEXT_VALUE(filter->inbox == NULL ? NULL : scratch->data + inbox),
        MB_NUMBER_VALUE(LOOKED_AT),
    };
    /* The rows that are passed over are looked at here, so that the limit bounds the work. */
    return mb_db_query(db, any ? SELECT_ALL : SELECT_BOUNCED, values, 4, ret_query, error);
}

static bool passes(const filter_t *filter, const machine_verdict_t *verdict)
{
    return strcmp(filter->only, "all") == 0 || strcmp(filter->only, "bounced") == 0 ||
           strcmp(filter->only, machine_state_name(verdict->state)) == 0;
}

/* The rows of one answer. `last` gets the key of the last one that was looked at, and stays empty
 * where there are no more behind it. */
static mailbus_code_t list_rows(const view_t *view, const filter_t *filter, sqlite3_stmt *query,
                                mailbus_buf_t *answer, mailbus_buf_t *last, mailbus_error_t *error)
{
    int64_t looked_at = 0;
    int64_t rows = 0;
    mailbus_code_t code = MAILBUS_OK;
    while (code == MAILBUS_OK && rows < filter->limit && mb_db_next(query, &code, error)) {
        machine_verdict_t verdict;
        const char *key = mb_db_text(query, 0);
        looked_at++;
        bool meant = sqlite3_column_int(query, FILTERED) != 0;
        if (meant) {
            code = view_judge(view, key, &verdict, error);
        }
        if (code == MAILBUS_OK && meant && passes(filter, &verdict)) {
            mailbus_buf_text(answer, rows++ == 0 ? "{" : ",{");
            code = view_row(view, query, &verdict, answer, error);
            mailbus_buf_char(answer, '}');
        }
        mailbus_buf_clear(last);
        mailbus_buf_text(last, key);
    }
    if (rows < filter->limit && looked_at < LOOKED_AT) {
        mailbus_buf_clear(last);
    }
    return code;
}

static mailbus_code_t list(sqlite3 *db, const cJSON *request, int64_t now_ms, mailbus_buf_t *answer,
                           mailbus_error_t *error)
{
    filter_t filter = {.only = NULL};
    view_t view;
    mailbus_buf_t last = MAILBUS_BUF_INIT;
    mailbus_buf_t scratch = MAILBUS_BUF_INIT;
    sqlite3_stmt *query = NULL;
    mailbus_code_t code = read_filter(request, &filter, error);
    if (code == MAILBUS_OK) {
        code = view_open(db, now_ms, &view, error);
    }
    if (code != MAILBUS_OK) {
        return code;
    }
    code = open_list(db, &filter, &scratch, &query, error);
    if (code == MAILBUS_OK) {
        mailbus_buf_text(answer, "{\"rows\":[");
        code = list_rows(&view, &filter, query, answer, &last, error);
        mailbus_buf_text(answer, "]");
        mb_command_write_text(answer, "next", last.size > 0 ? last.data : NULL);
        mailbus_buf_char(answer, '}');
    }
    sqlite3_finalize(query);
    view_close(&view);
    mailbus_buf_free(&last);
    mailbus_buf_free(&scratch);
    return code;
}

/* --- show, clear --------------------------------------------------------------------------------
 */

static mailbus_code_t show_key(sqlite3 *db, const char *key, int64_t now_ms, mailbus_buf_t *answer,
                               mailbus_error_t *error)
{
    view_t view;
    machine_verdict_t verdict;
    sqlite3_stmt *row = NULL;
    mailbus_code_t code = view_open(db, now_ms, &view, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    code = mb_db_query(db, "SELECT " VIEW_COLUMNS " FROM addresses WHERE key = ?",
                       (mb_db_value_t[]){MB_TEXT_VALUE(key)}, 1, &row, error);
    if (code == MAILBUS_OK && !mb_db_next(row, &code, error) && code == MAILBUS_OK) {
        code = mailbus_fail(error, MAILBUS_ENOTFOUND, "nothing is known about %.200s", key);
    }
    if (code == MAILBUS_OK) {
        code = view_judge(&view, key, &verdict, error);
    }
    if (code == MAILBUS_OK) {
        mailbus_buf_char(answer, '{');
        code = view_row(&view, row, &verdict, answer, error);
    }
    if (code == MAILBUS_OK) {
        mailbus_buf_text(answer, ",\"history\":[");
        code = view_history(db, key, answer, error);
        mailbus_buf_text(answer, "]}");
    }
    sqlite3_finalize(row);
    view_close(&view);
    return code;
}

static mailbus_code_t show(sqlite3 *db, const cJSON *request, int64_t now_ms, mailbus_buf_t *answer,
                           mailbus_error_t *error)
{
    char *key = NULL;
    mailbus_code_t code = request_address(request, &key, error);
    if (code == MAILBUS_OK) {
        code = show_key(db, key, now_ms, answer, error);
    }
    free(key);
    return code;
}

static mailbus_code_t clear(sqlite3 *db, const cJSON *request, int64_t now_ms,
                            mailbus_buf_t *answer, mailbus_error_t *error)
{
    char *key = NULL;
    const char *text = NULL;
    mailbus_buf_t reason = MAILBUS_BUF_INIT;
    mailbus_code_t code = request_address(request, &key, error);
    if (code == MAILBUS_OK) {
        code = request_text(request, "reason", &text, error);
    }
    if (code == MAILBUS_OK && text != NULL) {
        agentmail_text_line(text, strlen(text), REPORT_REASON_MAX, &reason);
    }
    if (code == MAILBUS_OK && reason.failed) {
        code = mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    } else if (code == MAILBUS_OK && reason.size == 0) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "say why: it is kept in the history");
    }
    if (code == MAILBUS_OK) {
        code = ledger_clear(db, key, reason.data, now_ms, error);
    }
    if (code == MAILBUS_OK) {
        code = show_key(db, key, now_ms, answer, error);
    }
    mailbus_buf_free(&reason);
    free(key);
    return code;
}

/* --- the table ----------------------------------------------------------------------------------
 */

MB_COMMAND(list)
MB_COMMAND(show)
MB_COMMAND(clear)
MB_COMMAND(bounces_rates)

const mailbus_command_t bounces_commands[] = {
    {"list", run_list},           {"show", run_show}, {"clear", run_clear},
    {"rates", run_bounces_rates}, {NULL, NULL},
};
