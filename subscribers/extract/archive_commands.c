#include "archive_commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive.h"
#include "command.h"
#include "db_query.h"
#include "mailbus/event.h"
#include "mailbus/json.h"
#include "mailbus/replay.h"
#include "outgoing/history.h"
#include "outgoing/outgoing.h"

enum {
    ROWS_USUAL = 100,
    WORD_MAX = 200,      /* bytes of one word of a search */
    DIGEST_LEAST = 6,    /* digits of the beginning of a digest */
    SNIPPET_TOKENS = 12, /* words around what was found */
};

#define T          MB_TEXT_VALUE
#define N          MB_NUMBER_VALUE
#define COUNT(all) (sizeof(all) / sizeof((all)[0]))

char *archive_schema(void)
{
    char *schema = NULL;
    return asprintf(&schema, "%s%s", archive_tables, outgoing_schema) < 0 ? NULL : schema;
}

/* --- requests -----------------------------------------------------------------------------------
 */

typedef struct {
    int64_t after, limit;
} page_t;

static mailbus_code_t read_page(const cJSON *request, page_t *ret_page, mailbus_error_t *error)
{
    static const mb_command_bounds_t after = {0, MB_COMMAND_NUMBER_MAX, MB_COMMAND_NUMBER_MAX};
    static const mb_command_bounds_t limit = {1, ARCHIVE_ROWS_MAX, ROWS_USUAL};
    mailbus_code_t code = mb_command_number(request, "after", after, &ret_page->after, error);
    return code == MAILBUS_OK ? mb_command_number(request, "limit", limit, &ret_page->limit, error)
                              : code;
}

mailbus_code_t archive_match(const cJSON *words, mailbus_buf_t *out, mailbus_error_t *error)
{
    const cJSON *word = NULL;
    int count = 0;
    cJSON_ArrayForEach(word, words)
    {
        const char *text = cJSON_GetStringValue(word);
        size_t size = text == NULL ? 0 : strlen(text);
        bool star = size > 1 && text[size - 1] == '*';
        if (size == 0 || size > WORD_MAX || ++count > ARCHIVE_WORDS_MAX) {
            count = 0;
            break;
        }
        mailbus_buf_text(out, count > 1 ? " AND \"" : "\"");
        for (size_t i = 0; i < size - star; i++) {
            mailbus_buf_text(out, text[i] == '"' ? "\"" : "");
            mailbus_buf_char(out, text[i]);
        }
        mailbus_buf_text(out, star ? "\"*" : "\"");
    }
    if (!cJSON_IsArray(words) || count == 0) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "\"words\" are 1 to %d texts of at most %d bytes", ARCHIVE_WORDS_MAX,
                            WORD_MAX);
    }
    return out->failed ? mailbus_fail(error, MAILBUS_ENOMEM, "out of memory") : MAILBUS_OK;
}

/* --- rows ---------------------------------------------------------------------------------------
 */

/* The columns that every answer has, in the order of FILE_COLUMNS. */
static const char *const file_keys[] = {
    "number", "time",       "event_id", "attachment", "status",   "type",
    "engine", "version",    "pages",    "size",       "filename", "sender",
    "inbox",  "message_id", "subject",  "sha256",     "detail",
};

#define FILE_COLUMNS                                                                               \
    "files.number, files.time_ms, files.event_id, files.place, coalesce(files.status, "            \
    "'waiting'), documents.type, documents.engine, documents.version, nullif(documents.pages, "    \
    "0), files.size, files.filename, mails.sender, mails.inbox, mails.message_id, "                \
    "mails.subject, files.sha256, nullif(files.detail, '')"

#define JOINED                                                                                     \
    " LEFT JOIN mails ON mails.event_id = files.event_id"                                          \
    " LEFT JOIN documents ON documents.sha256 = files.sha256"

enum { TIME_COLUMN = 1 };

static void add_column(cJSON *row, const char *key, sqlite3_stmt *stmt, int column)
{
    char time[MAILBUS_TIME_SIZE];
    if (column == TIME_COLUMN && sqlite3_column_type(stmt, column) == SQLITE_INTEGER) {
        mailbus_time_format(sqlite3_column_int64(stmt, column), time);
        cJSON_AddStringToObject(row, key, time);
        return;
    }
    switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_INTEGER:
        cJSON_AddNumberToObject(row, key, (double)sqlite3_column_int64(stmt, column));
        break;
    case SQLITE_TEXT:
        cJSON_AddStringToObject(row, key, mb_db_text(stmt, column));
        break;
    default:
        cJSON_AddNullToObject(row, key);
    }
}

static cJSON *read_row(sqlite3_stmt *stmt)
{
    cJSON *row = cJSON_CreateObject();
    for (size_t i = 0; i < COUNT(file_keys); i++) {
        add_column(row, file_keys[i], stmt, (int)i);
    }
    return row;
}

/* --- list and search ----------------------------------------------------------------------------
 */

/* Run a query whose columns are FILE_COLUMNS, the number that pages go by, and in a search the
 * snippet. */
static mailbus_code_t answer_rows(sqlite3 *db, const char *sql, const mb_db_value_t *values,
                                  size_t count, const page_t *page, mailbus_buf_t *answer,
                                  mailbus_error_t *error)
{
    const int by = (int)COUNT(file_keys);
    sqlite3_stmt *stmt = NULL;
    int64_t found = 0;
    int64_t last = 0;
    mailbus_code_t code = mb_db_query(db, sql, values, count, &stmt, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    cJSON *tree = cJSON_CreateObject();
    cJSON *rows = cJSON_AddArrayToObject(tree, "rows");
    while (mb_db_next(stmt, &code, error)) {
        cJSON *row = read_row(stmt);
        if (sqlite3_column_count(stmt) > by + 1) {
            add_column(row, "snippet", stmt, by + 1);
        }
        cJSON_AddItemToArray(rows, row);
        last = sqlite3_column_int64(stmt, by);
        found++;
    }
    sqlite3_finalize(stmt);
    if (code != MAILBUS_OK) {
        cJSON_Delete(tree);
        return code;
    }
    if (found == page->limit) {
        cJSON_AddNumberToObject(tree, "next", (double)last);
    } else {
        cJSON_AddNullToObject(tree, "next");
    }
    return mb_command_answer(&tree, answer, error);
}

static mailbus_code_t list(sqlite3 *db, const cJSON *request, int64_t now_ms, mailbus_buf_t *answer,
                           mailbus_error_t *error)
{
#define LIST_END " ORDER BY files.number DESC LIMIT ?2"
    page_t page;
    const char *status = mailbus_json_string(request, "status");
    bool waiting = status != NULL && strcmp(status, "waiting") == 0;
    (void)now_ms;
    mailbus_code_t code = read_page(request, &page, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    const mb_db_value_t values[] = {N(page.after), N(page.limit), T(status)};
    if (status == NULL || waiting) {
        return answer_rows(db,
                           waiting ? "SELECT " FILE_COLUMNS ", files.number FROM files" JOINED
                                     " WHERE files.number < ?1 AND files.status IS NULL" LIST_END
                                   : "SELECT " FILE_COLUMNS ", files.number FROM files" JOINED
                                     " WHERE files.number < ?1" LIST_END,
                           values, 2, &page, answer, error);
    }
    return answer_rows(db,
                       "SELECT " FILE_COLUMNS ", files.number FROM files" JOINED
                       " WHERE files.number < ?1 AND files.status = ?3" LIST_END,
                       values, 3, &page, answer, error);
}

/* Newest first, and by no other rank: for that every text that holds a common word would have to be
 * looked at, and meanwhile nothing could be written. */
static mailbus_code_t search(sqlite3 *db, const cJSON *request, int64_t now_ms,
                             mailbus_buf_t *answer, mailbus_error_t *error)
{
    page_t page;
    mailbus_buf_t match = MAILBUS_BUF_INIT;
    (void)now_ms;
    mailbus_code_t code = read_page(request, &page, error);
    if (code == MAILBUS_OK) {
        code = archive_match(mailbus_json_item(request, "words"), &match, error);
    }
    if (code == MAILBUS_OK) {
        const mb_db_value_t values[] = {T(match.data), N(page.after), N(page.limit),
                                        N(SNIPPET_TOKENS)};
        code = answer_rows(db,
                           "SELECT " FILE_COLUMNS ", words.rowid,"
                           " snippet(words, 0, '[', ']', '…', ?4) FROM words"
                           " JOIN documents ON documents.number = words.rowid"
                           " LEFT JOIN files ON files.number = (SELECT max(number) FROM files"
                           " AS same WHERE same.sha256 = documents.sha256)"
                           " LEFT JOIN mails ON mails.event_id = files.event_id"
                           " WHERE words MATCH ?1 AND words.rowid < ?2"
                           " ORDER BY words.rowid DESC LIMIT ?3",
                           values, COUNT(values), &page, answer, error);
    }
    mailbus_buf_free(&match);
    return code;
}

/* --- show ---------------------------------------------------------------------------------------
 */

static mailbus_code_t add_effects(sqlite3 *db, cJSON *row, mailbus_error_t *error)
{
    const mb_db_value_t values[] = {
        T(mailbus_json_string(row, "event_id")),
        N((int64_t)cJSON_GetNumberValue(mailbus_json_item(row, "attachment"))),
    };
    sqlite3_stmt *stmt = NULL;
    mailbus_code_t code = mb_db_query(db,
                                      "SELECT effect, state, detail FROM effects"
                                      " WHERE event_id = ?1 AND place IN (?2, 0) ORDER BY effect",
                                      values, COUNT(values), &stmt, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    cJSON *effects = cJSON_AddArrayToObject(row, "effects");
    while (mb_db_next(stmt, &code, error)) {
        cJSON *effect = cJSON_CreateObject();
        cJSON_AddStringToObject(effect, "effect", mb_db_text(stmt, 0));
        cJSON_AddStringToObject(effect, "state", mb_db_text(stmt, 1));
        cJSON_AddStringToObject(effect, "detail", mb_db_text(stmt, 2));
        cJSON_AddItemToArray(effects, effect);
    }
    sqlite3_finalize(stmt);
    return code;
}

static mailbus_code_t add_text(sqlite3 *db, cJSON *row, mailbus_error_t *error)
{
    const char *sha256 = mailbus_json_string(row, "sha256");
    document_t document = {.size = 0};
    mailbus_code_t code =
        sha256 == NULL ? MAILBUS_ENOTFOUND : archive_find_document(db, sha256, &document, error);
    if (code == MAILBUS_OK) {
        cJSON_AddStringToObject(row, "text", document.extraction.text.data);
    } else if (code == MAILBUS_ENOTFOUND) {
        cJSON_AddNullToObject(row, "text");
        code = MAILBUS_OK;
    }
    document_free(&document);
    return code;
}

/* The beginning of a digest in hex, lower-cased, as a GLOB. EINVAL where it is none. */
static mailbus_code_t read_digest(const char *text, char glob[ARCHIVE_SHA256_SIZE + 1],
                                  mailbus_error_t *error)
{
    size_t size = text == NULL ? 0 : strlen(text);
    if (size < DIGEST_LEAST || size >= ARCHIVE_SHA256_SIZE ||
        text[strspn(text, "0123456789abcdefABCDEF")] != '\0') {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "\"file\" is a number as list shows it, or \"sha256\" at least %d "
                            "digits of a digest",
                            DIGEST_LEAST);
    }
    for (size_t i = 0; i < size; i++) {
        glob[i] = (char)(text[i] >= 'A' && text[i] <= 'F' ? text[i] - 'A' + 'a' : text[i]);
    }
    memcpy(glob + size, "*", 2);
    return MAILBUS_OK;
}

static mailbus_code_t show(sqlite3 *db, const cJSON *request, int64_t now_ms, mailbus_buf_t *answer,
                           mailbus_error_t *error)
{
    static const mb_command_bounds_t file = {1, MB_COMMAND_NUMBER_MAX, 0};
    char glob[ARCHIVE_SHA256_SIZE + 1] = "";
    int64_t number = 0;
    sqlite3_stmt *stmt = NULL;
    cJSON *row = NULL;
    (void)now_ms;
    mailbus_code_t code = mb_command_number(request, "file", file, &number, error);
    if (code == MAILBUS_OK && number == 0) {
        code = read_digest(mailbus_json_string(request, "sha256"), glob, error);
    }
    const mb_db_value_t values[] = {number > 0 ? N(number) : T(glob)};
    if (code == MAILBUS_OK) {
        code = mb_db_query(
            db,
            number > 0 ? "SELECT " FILE_COLUMNS " FROM files" JOINED " WHERE files.number = ?1"
                       : "SELECT " FILE_COLUMNS " FROM files" JOINED " WHERE files.sha256 GLOB ?1"
                         " ORDER BY files.number DESC LIMIT 1",
            values, COUNT(values), &stmt, error);
    }
    if (code == MAILBUS_OK && mb_db_next(stmt, &code, error)) {
        row = read_row(stmt);
    } else if (code == MAILBUS_OK) {
        code = mailbus_fail(error, MAILBUS_ENOTFOUND, "there is no such file");
    }
    sqlite3_finalize(stmt);
    if (code == MAILBUS_OK) {
        code = add_effects(db, row, error);
    }
    if (code == MAILBUS_OK) {
        code = add_text(db, row, error);
    }
    if (code == MAILBUS_OK) {
        return mb_command_answer(&row, answer, error);
    }
    cJSON_Delete(row);
    return code;
}

/* --- the table ----------------------------------------------------------------------------------
 */

MB_COMMAND(list)
MB_COMMAND(search)
MB_COMMAND(show)

const mailbus_command_t archive_commands[] = {
    {"list", run_list}, {"search", run_search}, {"show", run_show}, OUTGOING_HISTORY, {NULL, NULL},
};
