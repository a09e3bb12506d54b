/* mailbus-checklist: both sides of the check protocol in a real subscriber, for tests.
 *
 * It answers from a text file, "ADDRESS [until=TIME] [REASON…]" a line, read at every question;
 * without the file it has no answer. And for every mail that comes in it asks send.checks about the
 * sender, and notes what came of it as a subscriber that sends mail would act on it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agentmail/address.h"
#include "agentmail/message.h"
#include "check/client.h"
#include "check/server.h"
#include "mailbus/replay.h"

static const char schema[] = "CREATE TABLE IF NOT EXISTS asked("
                             "number INTEGER PRIMARY KEY, id TEXT NOT NULL, address TEXT NOT NULL,"
                             "verdict TEXT NOT NULL, reason TEXT NOT NULL, until INTEGER NOT NULL)"
                             "STRICT";

static const mailbus_setting_t settings[] = {
    {"list.path", "path", "", "Addresses that must not be written to", false, NULL},
    {"list.slow", "duration", "0", "Pause before every answer", true, NULL},
    CHECK_SERVER_SETTINGS(""),
    CHECK_CLIENT_SETTINGS,
    {NULL, NULL, NULL, NULL, false, NULL},
};

typedef struct {
    mailbus_runtime_t *runtime;
    check_server_t *server;
    check_client_t *client;
} checklist_t;

static void pause_ms(int64_t ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* A check_decide_fn. */
static check_t decide(void *arg, const char *address, char *reason, size_t size,
                      int64_t *ret_until_ms)
{
    const checklist_t *self = arg;
    char line[1024];
    check_t answer = CHECK_YES;
    pause_ms(mailbus_setting_integer(self->runtime, "list.slow"));
    FILE *list = fopen(mailbus_setting_text(self->runtime, "list.path"), "r");
    if (list == NULL) {
        snprintf(reason, size, "there is no list");
        return CHECK_SILENT;
    }
    while (answer == CHECK_YES && fgets(line, sizeof line, list) != NULL) {
        char *rest = line;
        line[strcspn(line, "\n")] = '\0';
        if (!agentmail_address_equal(strsep(&rest, " "), address)) {
            continue;
        }
        answer = CHECK_NO;
        if (rest != NULL && strncmp(rest, "until=", 6) == 0 &&
            mailbus_time_parse(strsep(&rest, " ") + 6, ret_until_ms) != MAILBUS_OK) {
            answer = CHECK_SILENT;
        }
        snprintf(reason, size, "%s", rest != NULL ? rest : "");
    }
    fclose(list);
    return answer;
}

static void stop(void *arg)
{
    checklist_t *self = arg;
    check_server_destroy(&self->server);
    check_client_destroy(&self->client);
    free(self);
}

static int start(mailbus_runtime_t *runtime, void **ret_self, mailbus_error_t *error)
{
    checklist_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return -1;
    }
    self->runtime = runtime;
    if (check_server_new(runtime, decide, self, &self->server, error) != MAILBUS_OK ||
        check_client_new(runtime, &self->client, error) != MAILBUS_OK) {
        stop(self);
        return -1;
    }
    *ret_self = self;
    return 0;
}

static int reload(void *arg, mailbus_runtime_t *runtime, mailbus_error_t *error)
{
    checklist_t *self = arg;
    (void)runtime;
    return check_server_reload(self->server, error) == MAILBUS_OK ? 0 : -1;
}

static bool note(mailbus_task_t *task, const char *address, const check_result_t *result)
{
    sqlite3 *db = mailbus_task_store(task);
    sqlite3_stmt *insert = NULL;
    if (db == NULL ||
        sqlite3_prepare_v2(db,
                           "INSERT INTO asked(id,address,verdict,reason,until) VALUES(?,?,?,?,?)",
                           -1, &insert, NULL) != SQLITE_OK) {
        return false;
    }
    sqlite3_bind_text(insert, 1, mailbus_task_event(task)->id, -1, SQLITE_STATIC);
    sqlite3_bind_text(insert, 2, address, -1, SQLITE_STATIC);
    sqlite3_bind_text(insert, 3, result->verdict == CHECK_ALLOWED ? "allowed" : "refused", -1,
                      SQLITE_STATIC);
    sqlite3_bind_text(insert, 4, result->reason, -1, SQLITE_STATIC);
    sqlite3_bind_int64(insert, 5, result->until_ms);
    bool done = sqlite3_step(insert) == SQLITE_DONE;
    sqlite3_finalize(insert);
    return done;
}

static mailbus_verdict_t ask(checklist_t *self, mailbus_task_t *task, const char *address)
{
    check_result_t result;
    check_client_ask(self->client, address, &result);
    if (result.verdict == CHECK_NOT_NOW) {
        mailbus_task_log(task, "info", "not now: %s", result.reason);
        mailbus_task_reason(task, "%s", result.reason);
        return MAILBUS_RETRY;
    }
    if (!note(task, address, &result)) {
        mailbus_task_reason(task, "the store can't be written");
        return MAILBUS_RETRY;
    }
    return MAILBUS_DONE;
}

static mailbus_verdict_t handle(void *arg, mailbus_task_t *task)
{
    const mailbus_event_t *event = mailbus_task_event(task);
    agentmail_message_t *message = NULL;
    mailbus_error_t error;
    if (agentmail_message_read(event->body, event->body_size, &message, &error) != MAILBUS_OK) {
        mailbus_task_reason(task, "%s", error.text);
        return MAILBUS_REJECT;
    }
    mailbus_verdict_t verdict =
        message->from.count == 1 ? ask(arg, task, message->from.items[0].address) : MAILBUS_DONE;
    agentmail_message_free(&message);
    return verdict;
}

int main(int argc, char **argv)
{
    static const char *const topics[] = {"message.received", NULL};
    static const mailbus_subscriber_t checklist = {
        .name = "checklist",
        .summary = "Answer checks from a text file, and ask them: a subscriber for tests",
        .topics = topics,
        .settings = settings,
        .schema = schema,
        .start = start,
        .handle = handle,
        .reload = reload,
        .stop = stop,
    };
    return mailbus_subscriber_main(argc, argv, &checklist);
}
