#include "answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentmail/address.h"
#include "agentmail/text.h"
#include "db_live.h"
#include "ledger.h"
#include "mailbus/replay.h"

struct answer {
    char *path;
    mb_db_live_t *live; /* NULL: to be opened */
    ledger_lookup_t *lookup;
};

static void close_file(answer_t *self)
{
    ledger_lookup_destroy(&self->lookup);
    mb_db_live_close(&self->live);
}

static mailbus_code_t open_file(answer_t *self, mailbus_error_t *error)
{
    sqlite3 *db = NULL;
    mailbus_code_t code = mb_db_live_open(self->path, &self->live, error);
    if (code == MAILBUS_OK) {
        code = mb_db_live_begin(self->live, &db, error);
    }
    if (code == MAILBUS_OK) {
        code = ledger_lookup_new(db, &self->lookup, error);
    }
    if (code != MAILBUS_OK) {
        close_file(self);
    }
    return code;
}

mailbus_code_t answer_new(const char *path, answer_t **ret_self, mailbus_error_t *error)
{
    answer_t *self = calloc(1, sizeof *self);
    if (self == NULL || (self->path = strdup(path)) == NULL) {
        answer_destroy(&self);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    mailbus_code_t code = open_file(self, error);
    if (code == MAILBUS_OK) {
        *ret_self = self;
    } else {
        answer_destroy(&self);
    }
    return code;
}

void answer_destroy(answer_t **self_p)
{
    answer_t *self = *self_p;
    *self_p = NULL;
    if (self != NULL) {
        close_file(self);
        free(self->path);
        free(self);
    }
}

/* "dead since 2026-10-12T09:32:04Z: 5.1.1 Permanent/General", cut to `size`. */
static mailbus_code_t write_reason(answer_t *self, const char *key,
                                   const machine_verdict_t *verdict, char *reason, size_t size,
                                   mailbus_error_t *error)
{
    bool dead = verdict->state == MACHINE_DEAD;
    char since[MAILBUS_TIME_SIZE];
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    mailbus_buf_t line = MAILBUS_BUF_INIT;
    mailbus_time_format(verdict->since_ms, since);
    if (dead) {
        mailbus_buf_printf(&text, "mail to it bounced for good at %s: ", since);
    } else {
        mailbus_buf_printf(&text, "%lld soft bounces, the last at %s: ", (long long)verdict->soft,
                           since);
    }
    mailbus_code_t code =
        ledger_reason(self->lookup, key, dead ? FACT_HARD : FACT_SOFT, &text, error);
    if (code == MAILBUS_OK && !text.failed) {
        agentmail_text_line(text.data, text.size, size - 1, &line);
    }
    if (code == MAILBUS_OK && (text.failed || line.failed)) {
        code = mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    if (code == MAILBUS_OK) {
        snprintf(reason, size, "%s", line.data == NULL ? "" : line.data);
    }
    mailbus_buf_free(&text);
    mailbus_buf_free(&line);
    return code;
}

/* All of it in one snapshot of the file. */
static mailbus_code_t judge(answer_t *self, const char *key, const machine_limits_t *limits,
                            int64_t now_ms, char *reason, size_t size,
                            machine_verdict_t *ret_verdict, mailbus_error_t *error)
{
    sqlite3 *db = NULL;
    machine_facts_t facts;
    mailbus_code_t code = mb_db_live_begin(self->live, &db, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    code = mb_db_exec(db, "BEGIN", error);
    if (code == MAILBUS_OK) {
        code = ledger_facts(self->lookup, key, &facts, error);
    }
    if (code == MAILBUS_OK) {
        machine_judge(&facts, limits, now_ms, ret_verdict);
    }
    if (code == MAILBUS_OK && ret_verdict->state != MACHINE_OK) {
        code = write_reason(self, key, ret_verdict, reason, size, error);
    }
    if (sqlite3_get_autocommit(db) == 0) {
        (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL); /* nothing was written */
    }
    mb_db_live_end(self->live);
    return code;
}

answer_verdict_t answer_ask(answer_t *self, const char *address, const machine_limits_t *limits,
                            int64_t now_ms, char *reason, size_t size, int64_t *ret_until_ms,
                            mailbus_error_t *error)
{
    machine_verdict_t verdict = {.state = MACHINE_OK};
    mailbus_buf_t key = MAILBUS_BUF_INIT;
    mailbus_code_t code = self->live != NULL ? MAILBUS_OK : open_file(self, error);
    agentmail_address_key(address, &key);
    if (code == MAILBUS_OK && (key.failed || key.size == 0)) {
        code = mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    if (code == MAILBUS_OK) {
        code = judge(self, key.data, limits, now_ms, reason, size, &verdict, error);
    }
    mailbus_buf_free(&key);
    if (code != MAILBUS_OK) {
        close_file(self);
        return ANSWER_SILENT;
    }
    *ret_until_ms = verdict.until_ms;
    return verdict.state == MACHINE_OK ? ANSWER_YES : ANSWER_NO;
}
