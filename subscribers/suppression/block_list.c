#include "block_list.h"

#include <stdio.h>
#include <stdlib.h>

#include "agentmail/client.h"
#include "backoff.h"
#include "outbox.h"
#include "test_point.h"

enum {
    CALL_TIMEOUT_MS = 10000, /* two short JSON objects */
    IDLE_MS = 60000,         /* nothing waits */
    BROKEN_MS = 5000,        /* the file can't be read or written */
};

struct block_list {
    mailbus_runtime_t *runtime;
    agentmail_client_t *client;
    unsigned failures;     /* in a row, of whatever entry: the service is in trouble */
    int64_t not_before_ms; /* until then it is left alone */
};

mailbus_code_t block_list_new(mailbus_runtime_t *runtime, const atomic_bool *stopped,
                              block_list_t **ret_self, mailbus_error_t *error)
{
    const agentmail_options_t options = {
        .base_url = mailbus_setting_text(runtime, "api.base_url"),
        .api_key = mailbus_setting_text(runtime, "api.key"),
        .user_agent = "mailbus-suppression/" MAILBUS_VERSION,
        .timeout_ms = CALL_TIMEOUT_MS,
        .stopped = stopped,
    };
    if (!mailbus_setting_boolean(runtime, "block_list.write")) {
        *ret_self = NULL;
        return MAILBUS_OK;
    }
    if (options.api_key[0] == '\0') {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "block_list.write is on and api.key is not set: put the key into "
                            "AGENTMAIL_API_KEY or MAILBUS_API_KEY_FILE");
    }
    block_list_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    self->runtime = runtime;
    mailbus_code_t code = agentmail_client_new(&options, &self->client, error);
    if (code != MAILBUS_OK) {
        block_list_destroy(&self);
        return code;
    }
    *ret_self = self;
    return MAILBUS_OK;
}

void block_list_destroy(block_list_t **self_p)
{
    block_list_t *self = *self_p;
    *self_p = NULL;
    if (self != NULL) {
        agentmail_client_destroy(&self->client);
        free(self);
    }
}

/* --- the notes around a call --------------------------------------------------------------------
 */

typedef struct {
    const outbox_task_t *task;
    bool go;
    outbox_end_t end;
    int64_t due_ms;
    const char *note;
} note_t;

static mailbus_code_t note_begin(sqlite3 *db, void *arg, mailbus_error_t *error)
{
    note_t *note = arg;
    return outbox_begin(db, note->task, &note->go, error);
}

static mailbus_code_t note_end(sqlite3 *db, void *arg, mailbus_error_t *error)
{
    const note_t *note = arg;
    return outbox_end(db, note->task, note->end, note->due_ms, note->note, error);
}

static int64_t broken(block_list_t *self, const mailbus_error_t *error)
{
    mailbus_runtime_log(self->runtime, "error", "the block list's outbox: %s", error->text);
    return BROKEN_MS;
}

static void count(block_list_t *self, const char *labels)
{
    mailbus_count(self->runtime, "block_list_calls", labels,
                  "Calls to AgentMail's block list, by how they ended", 1);
}

/* --- one call -----------------------------------------------------------------------------------
 */

static void call(block_list_t *self, const outbox_task_t *task, agentmail_result_t *result)
{
    if (task->wanted) {
        agentmail_block_create(self->client, task->entry, task->reason, result);
    } else {
        agentmail_block_delete(self->client, task->entry, result);
    }
}

/* When this entry is tried again, and how long the service is left alone meanwhile. */
static void schedule(block_list_t *self, const outbox_task_t *task,
                     const agentmail_result_t *result, int64_t now_ms, int64_t *ret_due_ms)
{
    const backoff_policy_t policy = {
        .base_ms = mailbus_setting_integer(self->runtime, "retry.first_pause"),
        .max_pause_ms = mailbus_setting_integer(self->runtime, "retry.max_pause"),
    };
    int64_t retry_after_ms = (int64_t)(result->retry_after * 1000);
    unsigned attempts = task->attempts < 1000 ? (unsigned)task->attempts + 1 : 1000;
    char unused[64];
    self->failures += self->failures < 1000;
    (void)backoff_again(&policy, attempts, now_ms, now_ms, retry_after_ms, task->key, ret_due_ms,
                        unused, sizeof unused); /* without limits there is always a next time */
    (void)backoff_again(&policy, self->failures, now_ms, now_ms, retry_after_ms, task->key,
                        &self->not_before_ms, unused, sizeof unused);
}

static void tell(block_list_t *self, const outbox_task_t *task, outbox_end_t end,
                 const agentmail_result_t *result)
{
    const char *what = task->wanted ? "put on" : "taken off";
    switch (end) {
    case OUTBOX_DONE:
        count(self,
              task->wanted ? "call=\"create\",result=\"done\"" : "call=\"delete\",result=\"done\"");
        mailbus_runtime_log(self->runtime, "info", "%s is %s AgentMail's block list", task->entry,
                            what);
        break;
    case OUTBOX_REFUSED:
        count(self, task->wanted ? "call=\"create\",result=\"refused\""
                                 : "call=\"delete\",result=\"refused\"");
        mailbus_runtime_log(self->runtime, "error",
                            "%s can't be %s AgentMail's block list, and is not tried again: %s",
                            task->entry, what, result->text);
        break;
    case OUTBOX_LATER:
        count(self, task->wanted ? "call=\"create\",result=\"later\""
                                 : "call=\"delete\",result=\"later\"");
        mailbus_runtime_log(self->runtime, result->operator_error ? "error" : "warn",
                            "%s is not yet %s AgentMail's block list: %s", task->entry, what,
                            result->text);
        break;
    }
}

static int64_t carry_out(block_list_t *self, const outbox_task_t *task, int64_t now_ms)
{
    mailbus_error_t error = {0};
    agentmail_result_t result = {.verdict = AGENTMAIL_RETRY};
    note_t note = {.task = task, .note = ""};
    char why[560];
    if (mailbus_with_store(self->runtime, note_begin, &note, &error) != MAILBUS_OK) {
        return broken(self, &error);
    }
    if (!note.go) {
        return 0;
    }
    mb_test_point("block_list_before_call");
    call(self, task, &result);
    mb_test_point("block_list_after_call");
    note.end = outbox_judge(task->wanted, &result);
    if (note.end == OUTBOX_LATER) {
        schedule(self, task, &result, now_ms, &note.due_ms);
    } else {
        self->failures = 0;
    }
    if (note.end != OUTBOX_DONE) {
        snprintf(why, sizeof why, "%s%s", note.end == OUTBOX_REFUSED ? "refused: " : "",
                 result.text);
        note.note = why;
    }
    tell(self, task, note.end, &result);
    agentmail_result_free(&result);
    return mailbus_with_store(self->runtime, note_end, &note, &error) == MAILBUS_OK
               ? 0
               : broken(self, &error);
}

/* What the block list can't hold is settled without a call. */
static int64_t settle(block_list_t *self, const outbox_task_t *task)
{
    mailbus_error_t error = {0};
    note_t note = {.task = task,
                   .end = task->wanted ? OUTBOX_REFUSED : OUTBOX_DONE,
                   .note = "AgentMail's block list has no such entries"};
    mailbus_runtime_log(self->runtime, "warn",
                        "%s holds here alone: AgentMail's block list has no such entries",
                        task->key + 2);
    return mailbus_with_store(self->runtime, note_end, &note, &error) == MAILBUS_OK
               ? 0
               : broken(self, &error);
}

int64_t block_list_work(block_list_t *self, sqlite3 *reader, int64_t now_ms)
{
    outbox_task_t task = {.key = NULL};
    mailbus_error_t error = {0};
    int64_t due_ms = INT64_MAX;
    if (now_ms < self->not_before_ms) {
        return self->not_before_ms - now_ms;
    }
    if (outbox_next(reader, now_ms, &task, &due_ms, &error) != MAILBUS_OK) {
        return broken(self, &error);
    }
    int64_t pause_ms = 0;
    if (task.key == NULL) {
        pause_ms = due_ms - now_ms > IDLE_MS ? IDLE_MS : due_ms - now_ms;
    } else if (task.entry == NULL) {
        pause_ms = settle(self, &task);
    } else {
        pause_ms = carry_out(self, &task, now_ms);
    }
    outbox_task_free(&task);
    return pause_ms;
}
