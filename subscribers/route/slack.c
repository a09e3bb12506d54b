#include "route/slack.h"

#include <stdio.h>
#include <string.h>

#include "agentmail/text.h"
#include "mailbus/json.h"

#define METADATA_TYPE "mailbus_route"

/* --- what is posted -----------------------------------------------------------------------------
 */

size_t slack_escape(const char *text, size_t size, size_t max, mailbus_buf_t *out)
{
    size_t at = 0;
    for (size_t count = 0; at < size;) {
        uint32_t code = 0;
        size_t length = agentmail_text_next(text + at, size - at, &code);
        const char *escaped = code == '&'   ? "&amp;"
                              : code == '<' ? "&lt;"
                              : code == '>' ? "&gt;"
                                            : NULL;
        count += escaped != NULL ? strlen(escaped) : code > 0xFFFF ? 2 : 1;
        if (count > max) {
            break;
        }
        if (escaped != NULL) {
            mailbus_buf_text(out, escaped);
        } else {
            mailbus_buf_append(out, text + at, length);
        }
        at += length;
    }
    return at;
}

static void write_key(mailbus_buf_t *out, const char *key)
{
    mailbus_buf_printf(out, ",\"%s\":", key);
}

/* {"type":"plain_text",…} with the first `max` characters of `text`. */
static size_t write_plain(const char *text, size_t size, size_t max, mailbus_buf_t *out)
{
    mailbus_buf_t escaped = MAILBUS_BUF_INIT;
    mailbus_buf_text(&escaped, "");
    size_t taken = slack_escape(text, size, max, &escaped);
    mailbus_buf_text(out, "{\"type\":\"plain_text\",\"emoji\":false,\"text\":");
    mailbus_json_write_string(out, escaped.data == NULL ? "" : escaped.data, escaped.size);
    mailbus_buf_char(out, '}');
    out->failed = out->failed || escaped.failed;
    mailbus_buf_free(&escaped);
    return taken;
}

/* One line, cut with an ellipsis. */
static void write_line(const char *text, size_t max, mailbus_buf_t *out)
{
    mailbus_buf_t line = MAILBUS_BUF_INIT;
    mailbus_buf_text(&line, "");
    card_cut(text, max, &line);
    write_plain(line.data == NULL ? "" : line.data, line.size, max, out);
    out->failed = out->failed || line.failed;
    mailbus_buf_free(&line);
}

/* The operator's own words may use Slack's markup: <!here> is theirs to say. */
static void write_note(const card_t *card, mailbus_buf_t *out)
{
    mailbus_buf_text(out, "{\"type\":\"section\",\"text\":{\"type\":\"mrkdwn\",\"verbatim\":true,"
                          "\"text\":");
    mailbus_json_write_string(out, card->note, strlen(card->note));
    mailbus_buf_text(out, "}},");
}

static void write_people(const card_t *card, mailbus_buf_t *out)
{
    mailbus_buf_t line = MAILBUS_BUF_INIT;
    mailbus_buf_printf(&line, "From %s to %s", card->from, card->to);
    mailbus_buf_text(out, ",{\"type\":\"context\",\"elements\":[");
    write_line(line.data == NULL ? "" : line.data, SLACK_HEADER_MAX, out);
    mailbus_buf_text(out, "]}");
    out->failed = out->failed || line.failed;
    mailbus_buf_free(&line);
}

/* Where to end a section of at most `size` bytes: behind a line, if there is one near the end. */
static size_t line_end_before(const char *text, size_t size)
{
    enum { NEAR = 400 };
    for (size_t back = 0; back < NEAR && back + 1 < size; back++) {
        if (text[size - 1 - back] == '\n') {
            return size - back;
        }
    }
    return size;
}

/* Slack takes no text object without something in it. */
static bool is_blank(const char *text, size_t size)
{
    return strspn(text, " \t\n") >= size;
}

static void write_text(const card_t *card, mailbus_buf_t *out)
{
    const char *text = card->text;
    size_t left = card->text_size;
    for (int count = 0; count < SLACK_SECTIONS_MAX && left > 0;) {
        mailbus_buf_t ignored = MAILBUS_BUF_INIT;
        size_t fits = slack_escape(text, left, SLACK_SECTION_MAX, &ignored);
        mailbus_buf_free(&ignored);
        fits = fits < left ? line_end_before(text, fits) : fits;
        if (!is_blank(text, fits)) {
            mailbus_buf_text(out, ",{\"type\":\"section\",\"text\":");
            write_plain(text, fits, SLACK_SECTION_MAX, out);
            mailbus_buf_char(out, '}');
            count++;
        }
        text += fits;
        left -= fits;
    }
    if (left > 0) {
        mailbus_buf_t line = MAILBUS_BUF_INIT;
        mailbus_buf_printf(&line, "Cut: %zu of %zu bytes of the text are shown. The mail is %s",
                           card->text_size - left, card->text_size, card->message_id);
        mailbus_buf_text(out, ",{\"type\":\"context\",\"elements\":[");
        write_line(line.data == NULL ? "" : line.data, SLACK_SECTION_MAX, out);
        mailbus_buf_text(out, "]}");
        out->failed = out->failed || line.failed;
        mailbus_buf_free(&line);
    }
}

/* What a notification shows: parsed by Slack, so nothing in it may act. */
static void write_fallback(const card_t *card, mailbus_buf_t *out)
{
    mailbus_buf_t line = MAILBUS_BUF_INIT;
    mailbus_buf_t disarmed = MAILBUS_BUF_INIT;
    mailbus_buf_t escaped = MAILBUS_BUF_INIT;
    mailbus_buf_printf(&line, "%s: %s", card->from, card->subject);
    if (line.data != NULL) {
        card_disarm(line.data, line.size, &disarmed);
    }
    mailbus_buf_text(&escaped, "");
    if (disarmed.data != NULL) {
        slack_escape(disarmed.data, disarmed.size, SLACK_FALLBACK_MAX, &escaped);
    }
    write_key(out, "text");
    mailbus_json_write_string(out, escaped.data == NULL ? "" : escaped.data, escaped.size);
    out->failed = out->failed || line.failed || disarmed.failed || escaped.failed;
    mailbus_buf_free(&line);
    mailbus_buf_free(&disarmed);
    mailbus_buf_free(&escaped);
}

void slack_render(const card_t *card, const char *channel, mailbus_buf_t *out)
{
    mailbus_buf_text(out, "{\"blocks\":[");
    if (card->note != NULL) {
        write_note(card, out);
    }
    mailbus_buf_text(out, "{\"type\":\"header\",\"text\":");
    write_line(card->subject, SLACK_HEADER_MAX, out);
    mailbus_buf_char(out, '}');
    write_people(card, out);
    write_text(card, out);
    mailbus_buf_char(out, ']');
    write_fallback(card, out);
    mailbus_buf_text(out, ",\"unfurl_links\":false,\"unfurl_media\":false");
    if (channel != NULL) {
        mailbus_buf_text(out, ",\"mrkdwn\":false,\"parse\":\"none\",\"link_names\":false");
        write_key(out, "channel");
        mailbus_json_write_string(out, channel, strlen(channel));
        mailbus_buf_text(out, ",\"metadata\":{\"event_type\":\"" METADATA_TYPE "\","
                              "\"event_payload\":{\"mark\":");
        mailbus_json_write_string(out, card->mark, strlen(card->mark));
        mailbus_buf_text(out, "}}");
    }
    mailbus_buf_char(out, '}');
}

/* --- what was read back -------------------------------------------------------------------------
 */

const char *slack_find_mark(const cJSON *page, const char *mark)
{
    const cJSON *message;
    cJSON_ArrayForEach(message, mailbus_json_item(page, "messages"))
    {
        const cJSON *payload =
            mailbus_json_item(mailbus_json_item(message, "metadata"), "event_payload");
        const char *found = mailbus_json_string(payload, "mark");
        const char *ts = mailbus_json_string(message, "ts");
        if (found != NULL && ts != NULL && strcmp(found, mark) == 0) {
            return ts;
        }
    }
    return NULL;
}

const char *slack_find_channel(const cJSON *page, const char *name)
{
    const cJSON *channel;
    name += name[0] == '#';
    cJSON_ArrayForEach(channel, mailbus_json_item(page, "channels"))
    {
        const char *found = mailbus_json_string(channel, "name");
        const char *id = mailbus_json_string(channel, "id");
        if (found != NULL && id != NULL && strcmp(found, name) == 0) {
            return id;
        }
    }
    return NULL;
}

const char *slack_next_page(const cJSON *page)
{
    const char *cursor =
        mailbus_json_string(mailbus_json_item(page, "response_metadata"), "next_cursor");
    return cursor == NULL || cursor[0] == '\0' ? NULL : cursor;
}

bool slack_is_channel_id(const char *channel)
{
    enum { ID_MIN = 9 };
    size_t size = strlen(channel);
    return size >= ID_MIN && (channel[0] == 'C' || channel[0] == 'G' || channel[0] == 'D') &&
           strspn(channel, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == size;
}
