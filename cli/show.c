#include "show.h"

#include <cjson/cJSON.h>
#include <string.h>

#include "agentmail/text.h"
#include "encoding.h"
#include "mailbus/json.h"
#include "mailbus/replay.h"
#include "summary.h"

#define DIM   "\x1b[2m"
#define PLAIN "\x1b[0m"

enum { TOPIC_WIDTH = 22 }; /* the usual ones stand in a column */

/* The colour of a topic: what came, what went, what went wrong. */
static const char *topic_colour(const char *topic)
{
    static const struct {
        const char *topic;
        const char *colour;
    } colours[] = {
        {"message.received", "\x1b[32m"}, {"message.received.", "\x1b[33m"},
        {"message.sent", "\x1b[36m"},     {"message.delivered", "\x1b[36m"},
        {"message.bounced", "\x1b[31m"},  {"message.complained", "\x1b[31m"},
        {"message.rejected", "\x1b[31m"},
    };
    for (size_t i = 0; i < sizeof colours / sizeof *colours; i++) {
        size_t size = strlen(colours[i].topic);
        bool prefix = colours[i].topic[size - 1] == '.';
        if (prefix ? strncmp(topic, colours[i].topic, size) == 0
                   : strcmp(topic, colours[i].topic) == 0) {
            return colours[i].colour;
        }
    }
    return "\x1b[35m";
}

/* "2026-10-12 09:31:04Z" from RFC 3339 text, whatever its offset. */
static void show_time(const char *time, mailbus_buf_t *out)
{
    int64_t ms;
    char text[MAILBUS_TIME_SIZE];
    if (mailbus_time_parse(time, &ms) != MAILBUS_OK) {
        agentmail_text_line(time, strlen(time), MAILBUS_TIME_SIZE, out);
        return;
    }
    mailbus_time_format(ms, text);
    mailbus_buf_printf(out, "%.10s %.8sZ", text, text + 11);
}

static void show_line(const mailbus_event_t *event, bool colour, mailbus_buf_t *out)
{
    mailbus_buf_text(out, colour ? DIM : "");
    show_time(event->time, out);
    mailbus_buf_printf(out, " #%llu%s ", (unsigned long long)event->sequence, colour ? PLAIN : "");
    mailbus_buf_printf(out, "%s%-*s%s ", colour ? topic_colour(event->topic) : "", TOPIC_WIDTH,
                       event->topic, colour ? PLAIN : "");
    summary_append(event, out);
    mailbus_buf_char(out, '\n');
}

/* One character of UTF-8 that a terminal could act on, or that hides what it shows: its code point,
 * else 0. ret_size: its bytes. */
static unsigned unsafe_character(const unsigned char *at, size_t left, size_t *ret_size)
{
    if (at[0] == 0x7f) { /* DEL */
        *ret_size = 1;
        return 0x7f;
    }
    if (left >= 2 && at[0] == 0xc2 && at[1] < 0xa0) { /* C1 controls */
        *ret_size = 2;
        return at[1];
    }
    if (left >= 2 && at[0] == 0xd8 && at[1] == 0x9c) { /* Arabic letter mark */
        *ret_size = 2;
        return 0x61c;
    }
    if (left >= 3 && at[0] == 0xe2) {
        unsigned code = 0x2000U | (unsigned)(at[1] & 0x3f) << 6 | (unsigned)(at[2] & 0x3f);
        *ret_size = 3;
        if (code == 0x200e || code == 0x200f || (code >= 0x2028 && code <= 0x202e) ||
            (code >= 0x2066 && code <= 0x2069)) {
            return code; /* direction marks, line and paragraph separators */
        }
    }
    return 0;
}

/* Copy JSON text; what is unsafe can only stand inside strings, where \u means the same. */
static void append_safe(const char *text, size_t size, mailbus_buf_t *out)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t from = 0;
    for (size_t i = 0; i < size;) {
        size_t width = 1;
        unsigned code = unsafe_character(at + i, size - i, &width);
        if (code == 0) {
            i++;
            continue;
        }
        mailbus_buf_append(out, text + from, i - from);
        mailbus_buf_printf(out, "\\u%04x", code);
        i += width;
        from = i;
    }
    mailbus_buf_append(out, text + from, size - from);
}

void show_json(const char *json, size_t size, mailbus_buf_t *out)
{
    mailbus_buf_t copy = MAILBUS_BUF_INIT;
    mailbus_buf_append(&copy, json, size);
    if (copy.failed || copy.data == NULL) {
        out->failed = true;
    } else {
        cJSON_Minify(copy.data);
        append_safe(copy.data, strlen(copy.data), out);
    }
    mailbus_buf_free(&copy);
}

static cJSON *parse(const void *body, size_t size)
{
    cJSON *tree = NULL;
    return mailbus_json_parse(body, size, &tree, NULL) == MAILBUS_OK ? tree : NULL;
}

static void show_object(const mailbus_event_t *event, const void *header, size_t header_size,
                        mailbus_buf_t *out)
{
    mailbus_buf_text(out, "{\"header\":");
    show_json(header, header_size, out);
    cJSON *tree = parse(event->body, event->body_size);
    if (tree != NULL) {
        mailbus_buf_text(out, ",\"body\":");
        show_json(event->body, event->body_size, out);
    } else { /* whatever it is, the bytes come through */
        mailbus_buf_text(out, ",\"body_base64\":\"");
        mb_base64_encode(event->body, event->body_size, out);
        mailbus_buf_char(out, '"');
    }
    cJSON_Delete(tree);
    mailbus_buf_text(out, "}\n");
}

void show_body(const void *body, size_t size, mailbus_buf_t *out)
{
    cJSON *tree = parse(body, size);
    char *text = tree != NULL ? cJSON_Print(tree) : NULL;
    cJSON_Delete(tree);
    if (text == NULL) {
        mailbus_buf_printf(out, "    (%zu bytes that are no JSON; --json gives them)\n", size);
        return;
    }
    /* cJSON indents with tabs, and puts one behind each colon; inside strings they are \t. */
    for (const char *line = text; *line != '\0';) {
        size_t depth = strspn(line, "\t");
        line += depth;
        size_t key = strcspn(line, "\t\n");
        mailbus_buf_printf(out, "%*s", (int)(4 + 2 * depth), "");
        append_safe(line, key, out);
        line += key;
        if (*line == '\t') {
            size_t value = strcspn(++line, "\n");
            mailbus_buf_char(out, ' ');
            append_safe(line, value, out);
            line += value;
        }
        mailbus_buf_char(out, '\n');
        line += *line == '\n';
    }
    cJSON_free(text);
}

void show_event(const show_options_t *options, const mailbus_event_t *event, const void *header,
                size_t header_size, mailbus_buf_t *out)
{
    if (options->form == SHOW_JSON) {
        show_object(event, header, header_size, out);
        return;
    }
    show_line(event, options->colour, out);
    if (options->form == SHOW_BODY) {
        show_body(event->body, event->body_size, out);
    }
}
