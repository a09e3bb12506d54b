#include "log.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "log_escape.h"

/* A line is one write(2): beyond PIPE_BUF writes of several processes into one pipe would mix. */
#define LINE_MAX_SIZE 4096
/* So many bytes of one value are shown: a hostile subject must not push the id off the line. */
#define VALUE_MAX_SIZE 512

struct mb_log {
    const char *program;
    int fd;
    atomic_int least;
    atomic_int format;
};

mb_log_t *mb_log_new(const char *program, int fd)
{
    mb_log_t *self = calloc(1, sizeof *self);
    if (self != NULL) {
        self->program = program;
        self->fd = fd;
        atomic_init(&self->least, MB_INFO);
        atomic_init(&self->format, MB_LOG_TEXT);
    }
    return self;
}

void mb_log_destroy(mb_log_t **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

void mb_log_configure(mb_log_t *self, mb_log_level_t least, mb_log_format_t format)
{
    atomic_store_explicit(&self->least, (int)least, memory_order_relaxed);
    atomic_store_explicit(&self->format, (int)format, memory_order_relaxed);
}

mb_field_t mb_field_int(const char *key, int64_t number)
{
    return (mb_field_t){
        .key = key,
        .number = number < 0 ? 0 - (uint64_t)number : (uint64_t)number,
        .is_number = true,
        .is_negative = number < 0,
    };
}

static const char *const level_names[] = {"debug", "info", "warn", "error"};

/* The line being written, on the caller's stack. */
typedef struct {
    mb_line_t out;
    bool json;
    bool cut; /* a field did not fit: no further ones, so that the order of keys means something */
} line_t;

/* The key with what separates it from the field before. */
static void put_key(line_t *line, const char *key)
{
    bool first = line->out.size <= (line->json ? 1U : 0U);
    if (line->json) {
        mb_line_text(&line->out, first ? "\"" : ",\"");
        mb_line_text(&line->out, key);
        mb_line_text(&line->out, "\":");
    } else {
        mb_line_text(&line->out, first ? "" : " ");
        mb_line_text(&line->out, key);
        mb_line_text(&line->out, "=");
    }
}

static void put_text(line_t *line, const char *key, const char *text)
{
    if (line->cut || text == NULL) {
        return;
    }
    size_t before = line->out.size;
    put_key(line, key);
    size_t size = strlen(text);
    if (line->json || mb_log_needs_quotes(text, size)) {
        mb_line_text(&line->out, "\"");
        mb_log_escape(text, size, VALUE_MAX_SIZE, &line->out);
        mb_line_text(&line->out, "\"");
    } else if (size > VALUE_MAX_SIZE) {
        mb_line_bytes(&line->out, text, VALUE_MAX_SIZE);
        mb_line_text(&line->out, MB_LOG_CUT);
    } else {
        mb_line_bytes(&line->out, text, size);
    }
    if (line->out.full) {
        line->out.size = before;
        line->out.full = false;
        line->cut = true;
    }
}

static void put_number(line_t *line, const mb_field_t *field)
{
    if (line->cut) {
        return;
    }
    char number[32];
    snprintf(number, sizeof number, "%s%llu", field->is_negative ? "-" : "",
             (unsigned long long)field->number);
    size_t before = line->out.size;
    put_key(line, field->key);
    mb_line_text(&line->out, number);
    if (line->out.full) {
        line->out.size = before;
        line->out.full = false;
        line->cut = true;
    }
}

static void format_time(int64_t now_ms, char text[32])
{
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    size_t size = strftime(text, 32, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + size, 32 - size, ".%03dZ", (int)(now_ms % 1000));
}

/* Ends the line; the room for it was kept free from the start. */
static void finish(line_t *line)
{
    line->out.capacity = LINE_MAX_SIZE;
    if (line->cut) {
        mb_line_text(&line->out, line->json ? ",\"cut\":\"yes\"" : " cut=yes");
    }
    mb_line_text(&line->out, line->json ? "}\n" : "\n");
    assert(!line->out.full);
}

void mb_log_write(mb_log_t *self, mb_log_level_t level, const char *stage, const char *message,
                  const mb_field_t *fields)
{
    if (self == NULL || (int)level < atomic_load_explicit(&self->least, memory_order_relaxed)) {
        return;
    }
    assert(level >= MB_DEBUG && level <= MB_ERROR);
    char bytes[LINE_MAX_SIZE];
    line_t line = {
        .out = {.data = bytes, .capacity = LINE_MAX_SIZE - sizeof ",\"cut\":\"yes\"}\n"},
        .json = atomic_load_explicit(&self->format, memory_order_relaxed) == MB_LOG_JSON,
    };
    char time_text[32];
    format_time(mb_clock_wall_ms(), time_text);
    if (line.json) {
        mb_line_text(&line.out, "{");
    }
    put_text(&line, "time", time_text);
    put_text(&line, "level", level_names[level]);
    put_text(&line, "program", self->program);
    put_text(&line, "stage", stage);
    put_text(&line, "message", message);
    for (; fields != NULL && fields->key != NULL; fields++) {
        if (fields->is_number) {
            put_number(&line, fields);
        } else {
            put_text(&line, fields->key, fields->text);
        }
    }
    finish(&line);
    while (write(self->fd, bytes, line.out.size) < 0 && errno == EINTR) {
        /* a log that can't be written has nobody to be told */
    }
}

mailbus_code_t mb_log_level_parse(const char *text, mb_log_level_t *ret_level)
{
    for (int at = MB_DEBUG; at <= MB_ERROR; at++) {
        if (strcmp(text, level_names[at]) == 0) {
            *ret_level = (mb_log_level_t)at;
            return MAILBUS_OK;
        }
    }
    return MAILBUS_EINVAL;
}

mailbus_code_t mb_log_format_parse(const char *text, mb_log_format_t *ret_format)
{
    bool json = strcmp(text, "json") == 0;
    if (!json && strcmp(text, "text") != 0) {
        return MAILBUS_EINVAL;
    }
    *ret_format = json ? MB_LOG_JSON : MB_LOG_TEXT;
    return MAILBUS_OK;
}
