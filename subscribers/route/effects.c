#include "route/effects.h"

#include <stdlib.h>
#include <string.h>

#include "db_query.h"

/* Names of our own: what shares the file (outgoing mail) has a history too. */
const char effects_schema[] =
    "CREATE TABLE IF NOT EXISTS route_effects ("
    " number INTEGER PRIMARY KEY,"
    " event_id TEXT NOT NULL,"
    " rule TEXT NOT NULL,"
    " target TEXT NOT NULL,"
    " mark TEXT NOT NULL,"
    " inbox TEXT NOT NULL,"
    " message_id TEXT NOT NULL,"
    " state TEXT NOT NULL CHECK (state IN ('planned', 'done', 'rejected')),"
    " planned_ms INTEGER NOT NULL,"
    " due_ms INTEGER NOT NULL DEFAULT 0,"
    " has_slot INTEGER NOT NULL DEFAULT 0,"
    " first_unsure_ms INTEGER NOT NULL DEFAULT 0,"
    " last_unsure_ms INTEGER NOT NULL DEFAULT 0,"
    " place INTEGER NOT NULL DEFAULT -1,"
    " inode INTEGER NOT NULL DEFAULT -1,"
    " reason TEXT,"
    " UNIQUE (event_id, rule)"
    ") STRICT;"
    "CREATE INDEX IF NOT EXISTS route_effects_mail ON route_effects (inbox, message_id);"
    "CREATE INDEX IF NOT EXISTS route_effects_planned ON route_effects (planned_ms);"
    "CREATE TABLE IF NOT EXISTS route_paces ("
    " name TEXT PRIMARY KEY,"
    " next_ms INTEGER NOT NULL,"
    " last_ms INTEGER NOT NULL,"
    " closed_ms INTEGER NOT NULL,"
    " strikes INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS route_channels (pace TEXT PRIMARY KEY, id TEXT NOT NULL)"
    " STRICT, WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS route_history ("
    " number INTEGER PRIMARY KEY,"
    " time_ms INTEGER NOT NULL,"
    " event_id TEXT NOT NULL,"
    " inbox TEXT, message_id TEXT, sender TEXT, subject TEXT,"
    " rule TEXT, target TEXT,"
    " action TEXT NOT NULL,"
    " reason TEXT NOT NULL,"
    " reference TEXT"
    ") STRICT;"
    "CREATE INDEX IF NOT EXISTS route_history_time ON route_history (time_ms);"
    "CREATE INDEX IF NOT EXISTS route_history_event ON route_history (event_id);"
    "CREATE INDEX IF NOT EXISTS route_history_rule ON route_history (rule);";

#define T(value)    MB_TEXT_VALUE(value)
#define N(value)    MB_NUMBER_VALUE(value)
#define VALUES(...) ((mb_db_value_t[]){__VA_ARGS__})

static const char *const state_names[] = {
    [EFFECT_PLANNED] = "planned", [EFFECT_DONE] = "done", [EFFECT_REJECTED] = "rejected"};

/* --- effects ------------------------------------------------------------------------------------
 */

static void effect_free(effect_t *effect)
{
    free(effect->rule);
    free(effect->target);
    free(effect->mark);
    free(effect->reason);
}

void effects_free(effects_t *effects)
{
    for (size_t i = 0; i < effects->count; i++) {
        effect_free(&effects->items[i]);
    }
    free(effects->items);
    *effects = (effects_t){.items = NULL};
}

static effect_state_t state_of(const char *name)
{
    return name[0] == 'p' ? EFFECT_PLANNED : name[0] == 'd' ? EFFECT_DONE : EFFECT_REJECTED;
}

static char *copy(const char *text)
{
    return text == NULL ? NULL : strdup(text);
}

static mailbus_code_t add_row(sqlite3_stmt *row, effects_t *effects, mailbus_error_t *error)
{
    effect_t *more = reallocarray(effects->items, effects->count + 1, sizeof *more);
    if (more == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    effects->items = more;
    effect_t effect = {
        .rule = copy(mb_db_text(row, 0)),
        .target = copy(mb_db_text(row, 1)),
        .mark = copy(mb_db_text(row, 2)),
        .due_ms = sqlite3_column_int64(row, 4),
        .has_slot = sqlite3_column_int64(row, 5) != 0,
        .first_unsure_ms = sqlite3_column_int64(row, 6),
        .last_unsure_ms = sqlite3_column_int64(row, 7),
        .place = sqlite3_column_int64(row, 8),
        .inode = sqlite3_column_int64(row, 9),
        .reason = copy(mb_db_text(row, 10)),
    };
    const char *state = mb_db_text(row, 3);
    if (effect.rule == NULL || effect.target == NULL || effect.mark == NULL || state == NULL) {
        effect_free(&effect);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    effect.state = state_of(state);
    effects->items[effects->count++] = effect;
    return MAILBUS_OK;
}

mailbus_code_t effects_load(sqlite3 *db, const char *event_id, effects_t *ret_effects,
                            mailbus_error_t *error)
{
    effects_t effects = {.items = NULL};
    sqlite3_stmt *stmt = NULL;
    mailbus_code_t code =
        mb_db_query(db,
                    "SELECT rule, target, mark, state, due_ms, has_slot, first_unsure_ms,"
                    " last_unsure_ms, place, inode, reason FROM route_effects"
                    " WHERE event_id = ? ORDER BY number",
                    VALUES(T(event_id)), 1, &stmt, error);
    while (code == MAILBUS_OK && mb_db_next(stmt, &code, error)) {
        code = add_row(stmt, &effects, error);
    }
    sqlite3_finalize(stmt);
    if (code == MAILBUS_OK) {
        *ret_effects = effects;
    } else {
        effects_free(&effects);
    }
    return code;
}

mailbus_code_t effects_have_mail(sqlite3 *db, const char *event_id,
                                 const agentmail_message_t *message, const char *rule,
                                 bool *ret_have, mailbus_error_t *error)
{
    int64_t count = 0;
    mailbus_code_t code = mb_db_numbers(
        db,
        "SELECT count(*) FROM route_effects WHERE inbox = ? AND message_id = ? AND rule = ?"
        " AND event_id <> ? AND (state <> 'rejected' OR first_unsure_ms <> 0)",
        VALUES(T(message->inbox_id), T(message->message_id), T(rule), T(event_id)), 4, &count, 1,
        error);
    if (code == MAILBUS_OK) {
        *ret_have = count > 0;
    }
    return code;
}

mailbus_code_t effects_plan(sqlite3 *db, const char *event_id, const agentmail_message_t *message,
                            const char *rule, const char *target, const char *mark, int64_t now_ms,
                            mailbus_error_t *error)
{
    return mb_db_change(db,
                        "INSERT INTO route_effects (event_id, rule, target, mark, inbox,"
                        " message_id, state, planned_ms) VALUES (?, ?, ?, ?, ?, ?, 'planned', ?)"
                        " ON CONFLICT DO NOTHING",
                        VALUES(T(event_id), T(rule), T(target), T(mark), T(message->inbox_id),
                               T(message->message_id), N(now_ms)),
                        7, error);
}

mailbus_code_t effects_save(sqlite3 *db, const char *event_id, const effect_t *effect,
                            mailbus_error_t *error)
{
    return mb_db_change(db,
                        "UPDATE route_effects SET state = ?, due_ms = ?, has_slot = ?,"
                        " first_unsure_ms = ?, last_unsure_ms = ?, place = ?, inode = ?,"
                        " reason = ? WHERE event_id = ? AND rule = ?",
                        VALUES(T(state_names[effect->state]), N(effect->due_ms),
                               N(effect->has_slot), N(effect->first_unsure_ms),
                               N(effect->last_unsure_ms), N(effect->place), N(effect->inode),
                               T(effect->reason), T(event_id), T(effect->rule)),
                        10, error);
}

mailbus_code_t effects_forget_rejected(sqlite3 *db, const char *event_id, bool *ret_any,
                                       mailbus_error_t *error)
{
    mailbus_code_t code = mb_db_change(db,
                                       "DELETE FROM route_effects WHERE event_id = ?"
                                       " AND state = 'rejected' AND first_unsure_ms = 0",
                                       VALUES(T(event_id)), 1, error);
    if (code == MAILBUS_OK) {
        *ret_any = sqlite3_changes(db) > 0;
    }
    return code;
}

/* --- paces and channels -------------------------------------------------------------------------
 */

mailbus_code_t effects_pace(sqlite3 *db, const char *name, pace_t *ret_pace, mailbus_error_t *error)
{
    int64_t numbers[4] = {0};
    mailbus_code_t code = mb_db_numbers(
        db, "SELECT next_ms, last_ms, closed_ms, strikes FROM route_paces WHERE name = ?",
        VALUES(T(name)), 1, numbers, 4, error);
    if (code == MAILBUS_OK || code == MAILBUS_ENOTFOUND) {
        *ret_pace = (pace_t){.next_ms = numbers[0],
                             .last_ms = numbers[1],
                             .closed_ms = numbers[2],
                             .strikes = numbers[3]};
        code = MAILBUS_OK;
    }
    return code;
}

mailbus_code_t effects_save_pace(sqlite3 *db, const char *name, const pace_t *pace,
                                 mailbus_error_t *error)
{
    return mb_db_change(
        db, "INSERT OR REPLACE INTO route_paces VALUES (?, ?, ?, ?, ?)",
        VALUES(T(name), N(pace->next_ms), N(pace->last_ms), N(pace->closed_ms), N(pace->strikes)),
        5, error);
}

mailbus_code_t effects_channel(sqlite3 *db, const char *pace, char **ret_id, mailbus_error_t *error)
{
    char *id = NULL;
    sqlite3_stmt *stmt = NULL;
    mailbus_code_t code = mb_db_query(db, "SELECT id FROM route_channels WHERE pace = ?",
                                      VALUES(T(pace)), 1, &stmt, error);
    if (code == MAILBUS_OK && mb_db_next(stmt, &code, error)) {
        id = copy(mb_db_text(stmt, 0));
    }
    sqlite3_finalize(stmt);
    if (code == MAILBUS_OK) {
        *ret_id = id;
    }
    return code;
}

mailbus_code_t effects_save_channel(sqlite3 *db, const char *pace, const char *id,
                                    mailbus_error_t *error)
{
    return mb_db_change(db, "INSERT OR REPLACE INTO route_channels VALUES (?, ?)",
                        VALUES(T(pace), T(id)), 2, error);
}

/* --- history ------------------------------------------------------------------------------------
 */

mailbus_code_t effects_note(sqlite3 *db, const effects_history_t *line, mailbus_error_t *error)
{
    const int64_t oldest = line->now_ms - EFFECTS_KEEP_MS;
    mailbus_code_t code = mb_db_change(
        db,
        "INSERT INTO route_history (time_ms, event_id, inbox, message_id, sender, subject, rule,"
        " target, action, reason, reference) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        VALUES(N(line->now_ms), T(line->event_id), T(line->inbox), T(line->message_id),
               T(line->sender), T(line->subject), T(line->rule), T(line->target), T(line->action),
               T(line->reason), T(line->reference)),
        11, error);
    if (code == MAILBUS_OK) {
        code = mb_db_change(db, "DELETE FROM route_history WHERE time_ms < ?", VALUES(N(oldest)), 1,
                            error);
    }
    if (code == MAILBUS_OK) {
        code = mb_db_change(db, "DELETE FROM route_effects WHERE planned_ms < ?", VALUES(N(oldest)),
                            1, error);
    }
    return code;
}
