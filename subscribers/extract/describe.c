#include "describe.h"

#include <inttypes.h>
#include <string.h>

#include "agentmail/text.h"
#include "mailbus/event.h"
#include "mailbus/json.h"
#include "mailbus/replay.h"

enum { LINE_MAX_BYTES = 998 }; /* of one value out of a mail: a line of RFC 5322 §2.1.1 */

size_t describe_cut(const char *text, size_t size, size_t max)
{
    if (size <= max) {
        return size;
    }
    while (max > 0 && ((unsigned char)text[max] & 0xC0) == 0x80) {
        max--;
    }
    return max;
}

/* ,"key":"value" in one line; nothing where there is no value. */
static void write_line(mailbus_buf_t *out, const char *key, const char *value)
{
    mailbus_buf_t line = MAILBUS_BUF_INIT;
    if (value == NULL) {
        return;
    }
    mailbus_buf_text(&line, "");
    agentmail_text_line(value, strlen(value), LINE_MAX_BYTES, &line);
    mailbus_buf_printf(out, ",\"%s\":", key);
    mailbus_json_write_string(out, line.failed ? "" : line.data, line.size);
    out->failed = out->failed || line.failed;
    mailbus_buf_free(&line);
}

/* Ids go as they came: they are keys. */
static void write_id(mailbus_buf_t *out, const char *key, const char *value)
{
    if (value != NULL) {
        mailbus_buf_printf(out, ",\"%s\":", key);
        mailbus_json_write_string(out, value, strlen(value));
    }
}

static void write_document(const describe_t *self, mailbus_buf_t *out)
{
    const extraction_t *extraction = &self->document->extraction;
    const char *text = extraction->text.data == NULL ? "" : extraction->text.data;
    size_t size = describe_cut(text, extraction->text.size, self->max_text);
    write_id(out, "type", extraction->type[0] == '\0' ? NULL : extraction->type);
    write_id(out, "engine", extraction->engine[0] == '\0' ? NULL : extraction->engine);
    write_id(out, "engine_version", extraction->version[0] == '\0' ? NULL : extraction->version);
    if (extraction->pages > 0) {
        mailbus_buf_printf(out, ",\"pages\":%d", extraction->pages);
    }
    mailbus_buf_printf(out,
                       ",\"text_size\":%zu,\"text_truncated\":%s,\"text\":", extraction->text.size,
                       size < extraction->text.size ? "true" : "false");
    mailbus_json_write_string(out, text, size);
}

void describe(const describe_t *self, mailbus_buf_t *out)
{
    char time[MAILBUS_TIME_SIZE];
    mailbus_time_format(self->file->time_ms, time);
    mailbus_buf_text(out, "{\"type\":\"event\",\"event_type\":\"" DESCRIBE_TOPIC "\"");
    write_id(out, "event_id", self->id);
    mailbus_buf_printf(out, ",\"attachment\":{\"timestamp\":\"%s\",\"number\":%d", time,
                       self->place);
    write_id(out, "inbox_id", self->message->inbox_id);
    write_id(out, "message_id", self->message->message_id);
    write_id(out, "thread_id", self->message->thread_id);
    write_id(out, "source_event_id", self->source_event);
    write_id(out, "attachment_id", self->attachment->id);
    write_line(out, "filename", self->claim->filename);
    write_line(out, "content_type", self->claim->type);
    mailbus_buf_printf(out, ",\"status\":\"%s\"", extract_status_name(self->file->status));
    write_line(out, "detail", self->file->detail[0] == '\0' ? NULL : self->file->detail);
    if (self->document != NULL) {
        mailbus_buf_printf(out, ",\"size\":%" PRId64 ",\"sha256\":\"%s\"", self->document->size,
                           self->document->sha256);
        write_document(self, out);
    }
    mailbus_buf_text(out, "}}");
}
