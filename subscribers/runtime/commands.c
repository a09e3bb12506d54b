#include "commands.h"

#include <string.h>

#include "mailbus/json.h"

const mailbus_command_t *commands_find(const mailbus_command_t *commands, const char *name)
{
    for (; commands != NULL && commands->name != NULL; commands++) {
        if (strcmp(commands->name, name) == 0) {
            return commands;
        }
    }
    return NULL;
}

/* Whether SQLite's last failure was the disk's, and not a constraint or a wrong statement. */
static bool disk_failed(sqlite3 *db)
{
    switch (sqlite3_errcode(db) & 0xff) {
    case SQLITE_IOERR:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
        return true;
    default:
        return false;
    }
}

/* What the command left behind that would reach the next user of the store. */
static mailbus_code_t check_end(store_t *store, const commands_call_t *call, mailbus_error_t *error)
{
    sqlite3 *db = store_db(store);
    for (sqlite3_stmt *at = sqlite3_next_stmt(db, NULL); at != NULL;
         at = sqlite3_next_stmt(db, at)) {
        if (sqlite3_stmt_busy(at) != 0) {
            sqlite3_reset(at);
        }
    }
    if (!store_is_open(store)) {
        return mailbus_fail(error, MAILBUS_EACCESS,
                            "%s ended the transaction, which is not its own", call->command->name);
    }
    if (call->answer->failed) {
        return mailbus_fail(error, MAILBUS_ETOOBIG, "the answer is too long: ask for less");
    }
    return MAILBUS_OK;
}

mailbus_code_t commands_run(store_t *store, void *arg, mailbus_error_t *error)
{
    commands_call_t *call = arg;
    cJSON *request = NULL;
    mailbus_error_t own = {0};
    mailbus_code_t code = mailbus_json_parse_object(call->request, call->size, &request, &own);
    cJSON_Delete(request);
    if (code != MAILBUS_OK) {
        mailbus_fail(&call->why, code, "the request is no JSON object: %.180s", own.text);
    } else {
        code = call->command->run(store_db(store), call->request, call->size, call->now_ms,
                                  call->answer, &call->why);
    }
    bool disk = code == MAILBUS_EIO && disk_failed(store_db(store));
    if (code == MAILBUS_OK) {
        code = check_end(store, call, &call->why);
    }
    call->code = code;
    if (code != MAILBUS_OK) {
        mailbus_buf_clear(call->answer);
        code = code == MAILBUS_EIO && !disk ? MAILBUS_EINVAL : code;
        return mailbus_fail(error, code, "%s",
                            call->why.text[0] != '\0' ? call->why.text : "no reason was given");
    }
    return MAILBUS_OK;
}
