#include "listed.h"

#include <inttypes.h>
#include <stdlib.h>

#include "agentmail/text.h"
#include "db_live.h"
#include "entry_key.h"
#include "list.h"
#include "mailbus/event.h"
#include "mailbus/replay.h"

struct listed {
    mb_db_live_t *live;
};

mailbus_code_t listed_new(const char *path, listed_t **ret_self, mailbus_error_t *error)
{
    listed_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    mailbus_code_t code = mb_db_live_open(path, &self->live, error);
    if (code != MAILBUS_OK) {
        listed_destroy(&self);
        return code;
    }
    *ret_self = self;
    return MAILBUS_OK;
}

void listed_destroy(listed_t **self_p)
{
    listed_t *self = *self_p;
    *self_p = NULL;
    if (self != NULL) {
        mb_db_live_close(&self->live);
        free(self);
    }
}

/* "complaint of 2026-10-12T11:00:00.000Z", with what more is known. */
static void write_text(const list_entry_t *entry, mailbus_buf_t *out)
{
    char time[MAILBUS_TIME_SIZE];
    mailbus_time_format(entry->first_ms, time);
    if (entry->key[0] != 'a') {
        mailbus_buf_printf(out, "%s: ", entry->address);
    }
    mailbus_buf_printf(out, "%s%s of %s", entry->certain ? "" : "possible ",
                       reason_name(entry->reason), time);
    if (entry->count > 1) {
        mailbus_buf_printf(out, ", %" PRId64 " in all", entry->count);
    }
    if (entry->note[0] != '\0') {
        mailbus_buf_printf(out, ": %s", entry->note);
    }
}

static mailbus_code_t write_reason(const list_entry_t *entry, char *reason, size_t size,
                                   mailbus_error_t *error)
{
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    mailbus_buf_t line = MAILBUS_BUF_INIT;
    write_text(entry, &text);
    if (!text.failed) {
        agentmail_text_line(text.data, text.size, size - 1, &line);
    }
    bool good = !text.failed && !line.failed;
    for (size_t i = 0; good && i <= line.size; i++) {
        reason[i] = line.data[i];
    }
    mailbus_buf_free(&text);
    mailbus_buf_free(&line);
    return good ? MAILBUS_OK : mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
}

static mailbus_code_t look(sqlite3 *db, char *const *keys, size_t count, char *reason, size_t size,
                           listed_verdict_t *ret_verdict, mailbus_error_t *error)
{
    listed_verdict_t verdict = LISTED_NOT;
    mailbus_code_t code = MAILBUS_OK;
    for (size_t i = 0; code == MAILBUS_OK && verdict == LISTED_NOT && i < count; i++) {
        list_entry_t entry = {.key = NULL};
        code = list_find(db, keys[i], &entry, error);
        if (code == MAILBUS_OK) {
            verdict = LISTED;
            code = write_reason(&entry, reason, size, error);
        } else if (code == MAILBUS_ENOTFOUND) {
            code = MAILBUS_OK;
        }
        list_entry_free(&entry);
    }
    *ret_verdict = verdict;
    return code;
}

listed_verdict_t listed_ask(listed_t *self, const char *address, char *reason, size_t size,
                            mailbus_error_t *error)
{
    char *keys[KEYS_MAX] = {NULL};
    size_t count = 0;
    sqlite3 *db = NULL;
    listed_verdict_t verdict = LISTED_SILENT;
    mailbus_code_t code = keys_covering(address, keys, &count, error);
    if (code == MAILBUS_OK) {
        code = mb_db_live_begin(self->live, &db, error);
    }
    if (code == MAILBUS_OK) {
        code = look(db, keys, count, reason, size, &verdict, error);
        mb_db_live_end(self->live);
    }
    keys_free(keys, count);
    return code == MAILBUS_OK ? verdict : LISTED_SILENT;
}
