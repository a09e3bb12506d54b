#include "limits.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "db.h"

#define DAY_MS INT64_C(86400000)

#define NUMBER(key, value, field)                                                                  \
    {                                                                                              \
        key, NULL, value, offsetof(limits_t, field)                                                \
    }
#define TEXT(key, value, field)                                                                    \
    {                                                                                              \
        key, value, 0, offsetof(limits_t, field)                                                   \
    }

const limits_row_t limits_rows[] = {
    NUMBER("bounces.soft_count", 3, machine.soft_count),
    NUMBER("bounces.soft_window", 7 * DAY_MS, machine.soft_window_ms),
    NUMBER("bounces.first_pause", 7 * DAY_MS, machine.first_pause_ms),
    NUMBER("bounces.later_pause", 30 * DAY_MS, machine.later_pause_ms),
    NUMBER("rates.window", 7 * DAY_MS, rates.window_ms),
    NUMBER("rates.healthy", 2, rates.healthy_percent),
    NUMBER("rates.limit", 4, rates.limit_percent),
    NUMBER("rates.least_sent", 50, rates.least_sent),
    TEXT("bounces.dead_codes", CLASSIFY_DEAD, dead_codes),
    TEXT("bounces.soft_codes", CLASSIFY_SOFT, soft_codes),
    TEXT("bounces.sender_codes", CLASSIFY_SENDER, sender_codes),
    TEXT("bounces.known_sub_types", CLASSIFY_KNOWN, known),
    TEXT("bounces.notices", CLASSIFY_NOTICES, notices),
    {NULL, NULL, 0, 0},
};

int64_t *limits_number(limits_t *limits, const limits_row_t *row)
{
    return (int64_t *)(void *)((char *)limits + row->offset);
}

char **limits_text(limits_t *limits, const limits_row_t *row)
{
    return (char **)(void *)((char *)limits + row->offset);
}

void limits_free(limits_t *limits)
{
    for (const limits_row_t *row = limits_rows; row->key != NULL; row++) {
        if (row->text != NULL) {
            free(*limits_text(limits, row));
        }
    }
    *limits = (limits_t)LIMITS_INIT;
}

static mailbus_code_t check_numbers(const limits_t *limits, mailbus_error_t *error)
{
    const machine_limits_t *machine = &limits->machine;
    const rates_limits_t *rates = &limits->rates;
    const char *wrong =
        machine->soft_count < 1 || machine->soft_count > MACHINE_SOFT_MAX
            ? "bounces.soft_count: 1 to 100"
        : machine->soft_window_ms < 1000 ? "bounces.soft_window: at least 1s"
        : machine->first_pause_ms < 1000 ? "bounces.first_pause: at least 1s"
        : machine->later_pause_ms < 1000 ? "bounces.later_pause: at least 1s"
        : rates->window_ms < RATES_HOUR_MS || rates->window_ms > RATES_KEEP_MS
            ? "rates.window: 1h to 90d"
        : rates->healthy_percent < 0 || rates->limit_percent < rates->healthy_percent
            ? "rates.healthy is at least 0, and rates.limit at least rates.healthy"
        : rates->least_sent < 1 ? "rates.least_sent: at least 1"
                                : NULL;
    return wrong == NULL ? MAILBUS_OK : mailbus_fail(error, MAILBUS_EINVAL, "%s", wrong);
}

static mailbus_code_t read_codes(const char *key, const char *text, classify_codes_t *codes,
                                 mailbus_error_t *error)
{
    mailbus_error_t why = {0};
    mailbus_code_t code = classify_codes_parse(text, codes, &why);
    return code == MAILBUS_OK ? code : mailbus_fail(error, code, "%s: %s", key, why.text);
}

mailbus_code_t limits_check(limits_t *limits, mailbus_error_t *error)
{
    classify_rules_t *rules = &limits->rules;
    mailbus_code_t code = check_numbers(limits, error);
    if (code == MAILBUS_OK) {
        code = read_codes("bounces.dead_codes", limits->dead_codes, &rules->dead, error);
    }
    if (code == MAILBUS_OK) {
        code = read_codes("bounces.soft_codes", limits->soft_codes, &rules->soft, error);
    }
    if (code == MAILBUS_OK) {
        code = read_codes("bounces.sender_codes", limits->sender_codes, &rules->sender, error);
    }
    rules->known = limits->known;
    rules->notices = limits->notices;
    return code;
}

/* What the table says of one row, or its default. */
static mailbus_code_t load_row(sqlite3_stmt *query, limits_t *limits, const limits_row_t *row,
                               mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    sqlite3_bind_text(query, 1, row->key, -1, SQLITE_STATIC);
    int step = sqlite3_step(query);
    const char *text = step == SQLITE_ROW ? (const char *)sqlite3_column_text(query, 0) : NULL;
    if (step != SQLITE_ROW && step != SQLITE_DONE) {
        code = mb_db_fail(sqlite3_db_handle(query), error, "reading the settings");
    } else if (row->text != NULL) {
        char *copy = strdup(text != NULL ? text : row->text);
        *limits_text(limits, row) = copy;
        code = copy != NULL ? code : mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    } else {
        *limits_number(limits, row) = text != NULL ? strtoll(text, NULL, 10) : row->number;
    }
    sqlite3_reset(query);
    return code;
}

mailbus_code_t limits_load(sqlite3 *db, limits_t *ret_limits, mailbus_error_t *error)
{
    limits_t limits = LIMITS_INIT;
    sqlite3_stmt *query = NULL;
    mailbus_code_t code =
        mb_db_prepare(db, "SELECT value FROM settings WHERE key = ?1", &query, error);
    for (const limits_row_t *row = limits_rows; code == MAILBUS_OK && row->key != NULL; row++) {
        code = load_row(query, &limits, row, error);
    }
    sqlite3_finalize(query);
    if (code == MAILBUS_OK) {
        code = limits_check(&limits, error);
    }
    if (code != MAILBUS_OK) {
        limits_free(&limits);
        return code;
    }
    *ret_limits = limits;
    return MAILBUS_OK;
}

mailbus_code_t limits_save(sqlite3 *db, limits_t *limits, mailbus_error_t *error)
{
    sqlite3_stmt *put = NULL;
    mailbus_code_t code = mb_db_prepare(db,
                                        "INSERT INTO settings (key, value) VALUES (?1, ?2)"
                                        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                                        &put, error);
    for (const limits_row_t *row = limits_rows; code == MAILBUS_OK && row->key != NULL; row++) {
        mailbus_buf_t number = MAILBUS_BUF_INIT;
        mailbus_buf_u64(&number, row->text == NULL ? (uint64_t)*limits_number(limits, row) : 0);
        sqlite3_bind_text(put, 1, row->key, -1, SQLITE_STATIC);
        sqlite3_bind_text(put, 2, row->text != NULL ? *limits_text(limits, row) : number.data, -1,
                          SQLITE_TRANSIENT);
        code = mb_db_run(put, error);
        mailbus_buf_free(&number);
    }
    sqlite3_finalize(put);
    return code;
}
