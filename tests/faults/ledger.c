#include "ledger.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

static void remark(ledger_t *ledger, size_t *count, const char *what, const char *id,
                   uint64_t number)
{
    (*count)++;
    if (ledger->first[0] == '\0') {
        snprintf(ledger->first, sizeof ledger->first, "%s: %s, %llu", what, id,
                 (unsigned long long)number);
    }
}

/* The first column of the first row; -1 where there is none. */
static int64_t number_of(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    int64_t number = -1;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW) {
        number = sqlite3_column_int64(stmt, 0);
    }
    sqlite3_finalize(stmt);
    return number;
}

static bool is_sound(sqlite3 *db)
{
    sqlite3_stmt *stmt = NULL;
    const bool sound =
        sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW &&
        strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") == 0;
    sqlite3_finalize(stmt);
    return sound;
}

/* Each answer of 200: the id is there, under the number that was told, with the body that was sent.
 */
static void check_answers(sqlite3 *db, journal_desk_t *desk, ledger_t *ledger)
{
    sqlite3_stmt *stmt = NULL;
    const journal_answer_t *answers = NULL;
    const size_t count = journal_desk_answers(desk, &answers);
    if (sqlite3_prepare_v2(db,
                           "SELECT e.event_id, e.sha256, b.body FROM events AS e"
                           " JOIN bodies AS b USING(sequence) WHERE sequence = ?1",
                           -1, &stmt, NULL) != SQLITE_OK) {
        remark(ledger, &ledger->damaged, "no tables", "", 0);
    }
    for (size_t i = 0; i < count; i++) {
        const journal_answer_t *answer = &answers[i];
        if (answer->times == 0 || answer->result.outcome == JOURNAL_FAILED) {
            continue;
        }
        ledger->acknowledged++;
        uint8_t digest[MB_SHA256_SIZE];
        sqlite3_bind_int64(stmt, 1, (int64_t)answer->result.sequence);
        if (sqlite3_step(stmt) != SQLITE_ROW ||
            strcmp((const char *)sqlite3_column_text(stmt, 0), answer->id) != 0) {
            remark(ledger, &ledger->lost, "acknowledged and lost", answer->id,
                   answer->result.sequence);
        } else {
            mb_sha256(sqlite3_column_blob(stmt, 2), (size_t)sqlite3_column_bytes(stmt, 2), digest);
            if (memcmp(digest, answer->sha256, sizeof digest) != 0 ||
                memcmp(digest, sqlite3_column_blob(stmt, 1), sizeof digest) != 0) {
                remark(ledger, &ledger->changed, "another body", answer->id,
                       answer->result.sequence);
            }
        }
        sqlite3_reset(stmt);
    }
    sqlite3_finalize(stmt);
}

static void check_published(sqlite3 *db, journal_desk_t *desk, ledger_t *ledger)
{
    sqlite3_stmt *stmt = NULL;
    const journal_published_t *published = NULL;
    const size_t count = journal_desk_published(desk, &published);
    sqlite3_prepare_v2(db, "SELECT event_id, previous FROM events WHERE sequence = ?1", -1, &stmt,
                       NULL);
    for (size_t i = 0; i < count; i++) {
        sqlite3_bind_int64(stmt, 1, (int64_t)published[i].sequence);
        if (sqlite3_step(stmt) != SQLITE_ROW ||
            strcmp((const char *)sqlite3_column_text(stmt, 0), published[i].id) != 0 ||
            sqlite3_column_int64(stmt, 1) != (int64_t)published[i].previous) {
            remark(ledger, &ledger->renumbered, "published under this number", published[i].id,
                   published[i].sequence);
        }
        sqlite3_reset(stmt);
    }
    sqlite3_finalize(stmt);
}

/* Numbers: from 1, dense, previous as the topic says, heads as the events say. */
static void check_numbers(sqlite3 *db, ledger_t *ledger)
{
    const int64_t count = number_of(db, "SELECT count(*) FROM events");
    const int64_t bodies = number_of(db, "SELECT count(*) FROM bodies JOIN events USING(sequence)");
    const int64_t last = number_of(db, "SELECT ifnull(max(sequence), 0) FROM events");
    const int64_t head = number_of(db, "SELECT ifnull(max(head), 0) FROM topics");
    const int64_t broken =
        number_of(db, "SELECT count(*) FROM (SELECT previous, lag(sequence, 1, 0) OVER"
                      " (PARTITION BY topic ORDER BY sequence) AS before FROM events)"
                      " WHERE previous <> before");
    const int64_t heads =
        number_of(db, "SELECT count(*) FROM topics AS t WHERE head <>"
                      " (SELECT max(sequence) FROM events AS e WHERE e.topic = t.id)");
    const int64_t twice =
        number_of(db, "SELECT count(*) FROM (SELECT event_id FROM events GROUP BY event_id"
                      " HAVING count(*) > 1)");
    if (count != last || count != bodies) {
        remark(ledger, &ledger->gaps, "numbers are not dense", "", (uint64_t)last);
    }
    if (broken != 0) {
        remark(ledger, &ledger->gaps, "previous is not the one before", "", (uint64_t)broken);
    }
    if (twice != 0) {
        remark(ledger, &ledger->twice, "ids more than once", "", (uint64_t)twice);
    }
    if (head != last || heads != 0) {
        remark(ledger, &ledger->damaged, "heads differ from the events", "", (uint64_t)head);
    }
}

void ledger_check(const char *path, const char *vfs, journal_desk_t *desk, ledger_t *ret_ledger)
{
    sqlite3 *db = NULL;
    *ret_ledger = (ledger_t){0};
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, vfs) != SQLITE_OK || !is_sound(db)) {
        remark(ret_ledger, &ret_ledger->damaged, "integrity_check", sqlite3_errmsg(db), 0);
    }
    check_answers(db, desk, ret_ledger);
    check_published(db, desk, ret_ledger);
    check_numbers(db, ret_ledger);
    sqlite3_close(db);
}

bool ledger_balanced(const ledger_t *ledger)
{
    return ledger->lost == 0 && ledger->changed == 0 && ledger->twice == 0 &&
           ledger->renumbered == 0 && ledger->gaps == 0 && ledger->damaged == 0;
}
