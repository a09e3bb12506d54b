/* mailbus-recorder: writes every event that it gets into its own store, in the event's transaction.
 *
 * A test subscriber: what stands in `recorded` was handled to its end, so a sequence that is
 * missing was lost and one that stands there twice was handled twice. On request it misbehaves, in
 * a way that depends on the event's id alone and so is the same after a restart.
 *
 *     recorded(number, stream, sequence, topic, id, sha256, attempts, at)
 *     calls(number, id, attempts)      with record.calls=yes: every call of the handler, committed
 *                                      before the handler goes on
 *
 * Commands: count {} answers {"recorded":N}; forget {"id":"…"} removes an event's rows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/sha.h>

#include "mailbus/json.h"
#include "mailbus/subscriber.h"

/* Not unique on purpose: a second row is what a test looks for. */
static const char schema[] =
    "CREATE TABLE IF NOT EXISTS recorded(number INTEGER PRIMARY KEY, stream TEXT NOT NULL,"
    " sequence INTEGER NOT NULL, topic TEXT NOT NULL, id TEXT NOT NULL, sha256 TEXT NOT NULL,"
    " attempts INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;"
    "CREATE TABLE IF NOT EXISTS calls(number INTEGER PRIMARY KEY, id TEXT NOT NULL,"
    " attempts INTEGER NOT NULL) STRICT;";

static const mailbus_setting_t settings[] = {
    {"record.topics", "text", "*", "Topics, blank-separated; message.* is a prefix, * everything",
     false, NULL},
    {"record.store", "boolean", "yes", "Write into the store; no: handle and forget", false, NULL},
    {"record.calls", "boolean", "no", "Note every call before anything else", false, NULL},
    {"record.slow", "duration", "0", "Time that each event takes", true, NULL},
    {"record.retry", "integer", "0",
     "Answer the first tries of every such event with RETRY: 3 is "
     "every third id",
     true, NULL},
    {"record.retries", "integer", "1", "How many tries that are", true, NULL},
    {"record.retry_after", "duration", "0", "Say Retry-After with it", true, NULL},
    {"record.reject", "integer", "0", "Answer every such event with REJECT", true, NULL},
    {"record.abort", "integer", "0", "Abort the process in the middle of every such event", true,
     NULL},
    {NULL, NULL, NULL, NULL, false, NULL},
};

static mailbus_runtime_t *running(mailbus_task_t *task)
{
    return mailbus_task_runtime(task);
}

/* Every n-th id, by its hash: which ones is the same in every run. */
static bool every(mailbus_task_t *task, const char *key)
{
    int64_t n = mailbus_setting_integer(running(task), key);
    if (n <= 0) {
        return false;
    }
    unsigned char digest[SHA256_DIGEST_LENGTH];
    const char *id = mailbus_task_event(task)->id;
    SHA256((const unsigned char *)id, strlen(id), digest);
    unsigned number = (unsigned)digest[0] << 16 | (unsigned)digest[1] << 8 | digest[2];
    return number % (uint64_t)n == 0;
}

static bool run(sqlite3 *db, const char *sql, const mailbus_event_t *event, const char *sha256,
                unsigned attempts)
{
    sqlite3_stmt *insert = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &insert, NULL) != SQLITE_OK) {
        return false;
    }
    sqlite3_bind_text(insert, 1, event->id, -1, SQLITE_STATIC);
    sqlite3_bind_int64(insert, 2, attempts);
    if (sqlite3_bind_parameter_count(insert) > 2) {
        sqlite3_bind_text(insert, 3, event->stream, -1, SQLITE_STATIC);
        sqlite3_bind_int64(insert, 4, (int64_t)event->sequence);
        sqlite3_bind_text(insert, 5, event->topic, -1, SQLITE_STATIC);
        sqlite3_bind_text(insert, 6, sha256, -1, SQLITE_STATIC);
        sqlite3_bind_int64(insert, 7, (int64_t)time(NULL));
    }
    bool done = sqlite3_step(insert) == SQLITE_DONE;
    sqlite3_finalize(insert);
    return done;
}

static void hex_digest(const mailbus_event_t *event, char text[2 * SHA256_DIGEST_LENGTH + 1])
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256(event->body, event->body_size, digest);
    for (int i = 0; i < SHA256_DIGEST_LENGTH; i++) {
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    }
}

static mailbus_verdict_t store_failed(mailbus_task_t *task)
{
    mailbus_task_reason(task, "the store can't be written");
    return MAILBUS_RETRY;
}

static mailbus_verdict_t record(mailbus_task_t *task)
{
    const mailbus_event_t *event = mailbus_task_event(task);
    char sha256[2 * SHA256_DIGEST_LENGTH + 1];
    hex_digest(event, sha256);
    sqlite3 *db = mailbus_task_store(task);
    if (db == NULL || !run(db,
                           "INSERT INTO recorded(id,attempts,stream,sequence,topic,sha256,at)"
                           " VALUES(?1,?2,?3,?4,?5,?6,?7)",
                           event, sha256, mailbus_task_attempts(task))) {
        return store_failed(task);
    }
    return MAILBUS_DONE;
}

static mailbus_verdict_t handle(void *self, mailbus_task_t *task)
{
    (void)self;
    mailbus_runtime_t *runtime = running(task);
    const mailbus_event_t *event = mailbus_task_event(task);
    unsigned attempts = mailbus_task_attempts(task);
    if (mailbus_setting_boolean(runtime, "record.calls")) {
        sqlite3 *db = mailbus_task_store(task);
        if (db == NULL ||
            !run(db, "INSERT INTO calls(id,attempts) VALUES(?1,?2)", event, NULL, attempts) ||
            mailbus_task_commit(task) != MAILBUS_OK) {
            return store_failed(task);
        }
    }
    int64_t slow_ms = mailbus_setting_integer(runtime, "record.slow");
    if (slow_ms > 0) {
        nanosleep(&(struct timespec){slow_ms / 1000, slow_ms % 1000 * 1000000}, NULL);
    }
    mailbus_verdict_t verdict =
        mailbus_setting_boolean(runtime, "record.store") ? record(task) : MAILBUS_DONE;
    /* After the write, so that it must be undone. */
    if (every(task, "record.abort")) {
        abort();
    }
    if (every(task, "record.reject")) {
        mailbus_task_reason(task, "rejected on request");
        return MAILBUS_REJECT;
    }
    if (every(task, "record.retry") &&
        attempts < mailbus_setting_integer(runtime, "record.retries")) {
        mailbus_task_reason(task, "try %u fails on request", attempts + 1);
        mailbus_task_retry_after(
            task, (double)mailbus_setting_integer(runtime, "record.retry_after") / 1000);
        return MAILBUS_RETRY;
    }
    return verdict;
}

/* A mailbus_command_t's run. */
static mailbus_code_t count(sqlite3 *db, const char *request, size_t size, int64_t now_ms,
                            mailbus_buf_t *answer, mailbus_error_t *error)
{
    (void)request;
    (void)size;
    (void)now_ms;
    sqlite3_stmt *select = NULL;
    mailbus_code_t code = MAILBUS_OK;
    if (sqlite3_prepare_v2(db, "SELECT count(*) FROM recorded", -1, &select, NULL) == SQLITE_OK &&
        sqlite3_step(select) == SQLITE_ROW) {
        mailbus_buf_printf(answer, "{\"recorded\":%lld}", sqlite3_column_int64(select, 0));
    } else {
        code = mailbus_fail(error, MAILBUS_EIO, "can't count: %s", sqlite3_errmsg(db));
    }
    sqlite3_finalize(select);
    return code;
}

/* A mailbus_command_t's run. */
static mailbus_code_t forget(sqlite3 *db, const char *request, size_t size, int64_t now_ms,
                             mailbus_buf_t *answer, mailbus_error_t *error)
{
    (void)now_ms;
    cJSON *tree = NULL;
    sqlite3_stmt *delete = NULL;
    mailbus_code_t code = mailbus_json_parse_object(request, size, &tree, error);
    const char *id = mailbus_json_string(tree, "id");
    if (code == MAILBUS_OK && id == NULL) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "\"id\" is missing: an event's id");
    } else if (code == MAILBUS_OK) {
        bool done = sqlite3_prepare_v2(db, "DELETE FROM recorded WHERE id=?1", -1, &delete, NULL) ==
                        SQLITE_OK &&
                    sqlite3_bind_text(delete, 1, id, -1, SQLITE_STATIC) == SQLITE_OK &&
                    sqlite3_step(delete) == SQLITE_DONE;
        if (!done) {
            code = mailbus_fail(error, MAILBUS_EIO, "can't remove: %s", sqlite3_errmsg(db));
        } else if (sqlite3_changes(db) == 0) {
            code = mailbus_fail(error, MAILBUS_ENOTFOUND, "no such event was recorded");
        }
    }
    mailbus_buf_text(answer, "{}");
    sqlite3_finalize(delete);
    cJSON_Delete(tree);
    return code;
}

int main(int argc, char **argv)
{
    static const mailbus_command_t commands[] = {
        {"count", count}, {"forget", forget}, {NULL, NULL}};
    static const mailbus_subscriber_t recorder = {
        .name = "recorder",
        .summary = "Record every event: a subscriber for tests",
        .topics_key = "record.topics",
        .settings = settings,
        .schema = schema,
        .handle = handle,
        .commands = commands,
    };
    return mailbus_subscriber_main(argc, argv, &recorder);
}
