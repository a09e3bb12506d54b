/* One event in a handler's hands: the public functions on mailbus_task_t. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoding.h"
#include "mailbus/json.h"
#include "runtime_internal.h"

const mailbus_event_t *mailbus_task_event(const mailbus_task_t *task)
{
    return task->item->row.event;
}

unsigned mailbus_task_attempts(const mailbus_task_t *task)
{
    return task->item->row.attempts;
}

mailbus_runtime_t *mailbus_task_runtime(mailbus_task_t *task)
{
    return task->runtime;
}

bool mailbus_task_stopping(const mailbus_task_t *task)
{
    return atomic_load(&task->runtime->stopping);
}

/* What is no UTF-8 becomes question marks: a mail's own bytes, or a letter that was cut. */
static void make_utf8(char *text)
{
    size_t left = strlen(text);
    while (left > 0) {
        size_t size = 1;
        while (size <= 4 && size <= left && !mailbus_utf8_valid(text, size)) {
            size++;
        }
        if (size > 4 || size > left) {
            *text = '?';
            size = 1;
        }
        text += size;
        left -= size;
    }
}

void mailbus_task_reason(mailbus_task_t *task, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(task->reason, sizeof task->reason, format, arguments);
    va_end(arguments);
    make_utf8(task->reason);
}

void mailbus_task_retry_after(mailbus_task_t *task, double seconds)
{
    /* A header of a stranger's may say anything; the bound to retry.max_pause comes later. */
    enum { DAY_SECONDS = 86400 };
    if (!(seconds > 0)) { /* not a number, too */
        seconds = 0;
    }
    seconds = seconds > 366.0 * DAY_SECONDS ? 366.0 * DAY_SECONDS : seconds;
    task->retry_after_ms = (int64_t)(seconds * 1000);
}

static bool fits_key(const char *text)
{
    return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~") ==
           strlen(text);
}

const char *mailbus_task_key(mailbus_task_t *task, const char *part)
{
    const char *name = task->runtime->subscriber->name;
    const char *id = task->item->row.event->id;
    mailbus_buf_t key = MAILBUS_BUF_INIT;
    mailbus_buf_printf(&key, "%s-%s", name, id);
    if (part != NULL) {
        mailbus_buf_printf(&key, "~%s", part);
    }
    if (!key.failed && key.size < sizeof task->key && fits_key(key.data)) {
        memcpy(task->key, key.data, key.size + 1);
    } else if (!key.failed) {
        /* Hashed as a whole, so that what was cut or escaped can never be another event's key. */
        uint8_t digest[MB_SHA256_SIZE];
        mb_sha256(key.data, key.size, digest);
        mailbus_buf_t hex = MAILBUS_BUF_INIT;
        mb_hex_encode(digest, sizeof digest, &hex);
        snprintf(task->key, sizeof task->key, "%s%s",
                 fits_key(name) && strlen(name) < 100 ? name : "mailbus", "-sha256-");
        if (hex.failed) {
            abort();
        }
        memcpy(task->key + strlen(task->key), hex.data, hex.size + 1);
        mailbus_buf_free(&hex);
    } else {
        abort(); /* no memory for 300 bytes; a wrong key would be worse */
    }
    mailbus_buf_free(&key);
    return task->key;
}

sqlite3 *mailbus_task_store(mailbus_task_t *task)
{
    if (task->store == NULL) {
        mailbus_error_t error = {0};
        if (inbox_store_begin(task->runtime->inbox, &task->store, &error) != MAILBUS_OK) {
            mailbus_task_reason(task, "the store: %s", error.text);
            task->store = NULL;
        }
    }
    return task->store;
}

mailbus_code_t mailbus_task_commit(mailbus_task_t *task)
{
    if (task->store == NULL) {
        return MAILBUS_OK;
    }
    mailbus_error_t error = {0};
    task->store = NULL;
    mailbus_code_t code = inbox_store_commit(task->runtime->inbox, NULL, &error);
    if (code != MAILBUS_OK) {
        mailbus_task_reason(task, "the store: %s", error.text);
    }
    return code;
}
