#include "route/jsonl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mailbus/json.h"

enum {
    CHUNK = 64 * 1024,
    TAIL_MAX = 8 * 1024 * 1024, /* a line of ours is shorter: an event has at most 2 MiB */
};

/* --- writing ------------------------------------------------------------------------------------
 */

static void write_member(mailbus_buf_t *out, const char *key, const char *value, size_t size)
{
    mailbus_buf_printf(out, ",\"%s\":", key);
    if (value == NULL) {
        mailbus_buf_text(out, "null");
    } else {
        mailbus_json_write_string(out, value, size);
    }
}

static void write_text(mailbus_buf_t *out, const char *key, const char *value)
{
    write_member(out, key, value, value == NULL ? 0 : strlen(value));
}

void jsonl_render(const card_t *card, const mailbus_event_t *event,
                  const agentmail_message_t *message, mailbus_buf_t *out)
{
    mailbus_buf_text(out, "{\"id\":");
    mailbus_json_write_string(out, card->mark, strlen(card->mark));
    write_text(out, "time", event->recorded_time);
    write_text(out, "event_id", event->id);
    write_text(out, "rule", card->rule);
    write_text(out, "note", card->note);
    write_text(out, "inbox", card->inbox);
    write_text(out, "message_id", card->message_id);
    write_text(out, "thread_id", message->thread_id);
    write_text(out, "from", card->from);
    write_text(out, "to", card->to);
    write_text(out, "subject", card->subject);
    write_member(out, "text", card->has_text ? card->text : NULL, card->text_size);
    mailbus_buf_text(out, "}\n");
}

/* --- finding ------------------------------------------------------------------------------------
 */

/* Compares each line with a prefix, byte by byte, over the ends of chunks. */
typedef struct {
    const char *prefix;
    size_t size, column;
    bool same, found; /* so far; a whole line was the one */
} matcher_t;

static void match(matcher_t *self, const char *data, size_t size)
{
    for (size_t i = 0; i < size && !self->found; i++) {
        if (data[i] == '\n') {
            self->found = self->same && self->column >= self->size;
            self->column = 0;
            self->same = true;
        } else {
            self->same =
                self->same && (self->column >= self->size || data[i] == self->prefix[self->column]);
            self->column++;
        }
    }
}

static mailbus_code_t read_at(int fd, char *data, size_t size, int64_t at, ssize_t *ret_size,
                              mailbus_error_t *error)
{
    do {
        *ret_size = pread(fd, data, size, at);
    } while (*ret_size < 0 && errno == EINTR);
    return *ret_size >= 0 ? MAILBUS_OK
                          : mailbus_fail(error, MAILBUS_EIO, "read: %s", strerror(errno));
}

mailbus_code_t jsonl_find(int fd, int64_t place, const char *mark, bool *ret_found,
                          mailbus_error_t *error)
{
    char data[CHUNK];
    mailbus_buf_t prefix = MAILBUS_BUF_INIT;
    ssize_t size = 0;
    mailbus_buf_printf(&prefix, "{\"id\":\"%s\",", mark);
    if (prefix.failed) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    matcher_t matcher = {.prefix = prefix.data, .size = prefix.size, .same = true};
    mailbus_code_t code = MAILBUS_OK;
    do {
        code = read_at(fd, data, sizeof data, place, &size, error);
        if (code == MAILBUS_OK) {
            match(&matcher, data, (size_t)size);
            place += size;
        }
    } while (code == MAILBUS_OK && size > 0 && !matcher.found);
    mailbus_buf_free(&prefix);
    if (code == MAILBUS_OK) {
        *ret_found = matcher.found;
    }
    return code;
}

/* --- the end ------------------------------------------------------------------------------------
 */

static bool begins_as_ours(const char *data, size_t size)
{
    static const char begin[] = JSONL_BEGIN;
    size_t length = sizeof begin - 1;
    return memcmp(data, begin, size < length ? size : length) == 0;
}

mailbus_code_t jsonl_end(int fd, int64_t size, jsonl_end_t *ret_end, int64_t *ret_start,
                         mailbus_error_t *error)
{
    char data[CHUNK];
    int64_t start = size; /* of the last line, as far as it is known */
    while (start > 0 && size - start < TAIL_MAX) {
        int64_t from = start > CHUNK ? start - CHUNK : 0;
        ssize_t got = 0;
        mailbus_code_t code = read_at(fd, data, (size_t)(start - from), from, &got, error);
        if (code != MAILBUS_OK || got != start - from) {
            return mailbus_fail(error, MAILBUS_EIO, "the file changes while it is read");
        }
        const char *line_end = memrchr(data, '\n', (size_t)got);
        start = line_end == NULL ? from : from + (line_end - data) + 1;
        if (line_end != NULL) {
            break;
        }
    }
    *ret_start = start;
    *ret_end = JSONL_CLEAN;
    if (start < size) {
        char begin[sizeof JSONL_BEGIN];
        ssize_t got = 0;
        mailbus_code_t code = read_at(fd, begin, sizeof begin - 1, start, &got, error);
        if (code != MAILBUS_OK) {
            return code;
        }
        *ret_end = begins_as_ours(begin, (size_t)got) ? JSONL_TORN : JSONL_FOREIGN;
    }
    return MAILBUS_OK;
}
