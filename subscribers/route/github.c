#include "route/github.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentmail/text.h"
#include "mailbus/json.h"
#include "mailbus/replay.h"

enum { FENCE_MIN = 3 };

/* --- the issue ----------------------------------------------------------------------------------
 */

static size_t longest_run(const char *text, size_t size, char c)
{
    size_t longest = 0;
    size_t run = 0;
    for (size_t i = 0; i < size; i++) {
        run = text[i] == c ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    return longest;
}

static void write_mark(const char *mark, mailbus_buf_t *out)
{
    mailbus_buf_printf(out, "<!-- mailbus:%s -->\n", mark);
}

/* What stands in the block: a few lines about the mail, then its text. */
static void write_mail(const card_t *card, mailbus_buf_t *out)
{
    mailbus_buf_t plain = MAILBUS_BUF_INIT;
    mailbus_buf_printf(&plain, "From: %s\nTo: %s\nInbox: %s\nSubject: %s\nMessage-ID: %s\n\n",
                       card->from, card->to, card->inbox, card->subject, card->message_id);
    mailbus_buf_append(&plain, card->text, card->text_size);
    if (!plain.failed) {
        card_disarm(plain.data, plain.size, out);
    }
    out->failed = out->failed || plain.failed;
    mailbus_buf_free(&plain);
}

/* The block in at most `room` bytes, which are at least as many as characters. A run of backticks
 * longer than the room has is cut like everything else. */
static void write_block(const card_t *card, size_t room, mailbus_buf_t *out)
{
    mailbus_buf_t mail = MAILBUS_BUF_INIT;
    mailbus_buf_t kept = MAILBUS_BUF_INIT;
    mailbus_buf_t end = MAILBUS_BUF_INIT;
    write_mail(card, &mail);
    size_t fence = mail.data == NULL ? 0 : longest_run(mail.data, mail.size, '`') + 1;
    if (fence > room / 8) { /* a wall of backticks is no text: without it the fence is short */
        for (size_t i = 0; i < mail.size; i++) {
            mail.data[i] = mail.data[i] == '`' ? '\'' : mail.data[i];
        }
        fence = 0;
    }
    fence = fence < FENCE_MIN ? FENCE_MIN : fence;
    mailbus_buf_printf(&end,
                       "\n\n*Cut: the text has %zu bytes, and an issue has no room for them. "
                       "The whole mail is in its inbox.*",
                       card->text_size);
    size_t frame = 2 * fence + strlen("text\n\n\n") + end.size;
    bool cut = mail.data != NULL && frame < room &&
               agentmail_text_block(mail.data, mail.size, room - frame, &kept);
    for (size_t i = 0; i < 2; i++) {
        for (size_t tick = 0; tick < fence; tick++) {
            mailbus_buf_char(out, '`');
        }
        if (i == 0) {
            mailbus_buf_printf(out, "text\n%s\n", kept.data == NULL ? "" : kept.data);
        }
    }
    if (cut) {
        mailbus_buf_append(out, end.data, end.size);
    }
    mailbus_buf_char(out, '\n');
    out->failed = out->failed || mail.failed || kept.failed || end.failed;
    mailbus_buf_free(&mail);
    mailbus_buf_free(&kept);
    mailbus_buf_free(&end);
}

static void write_labels(const char *labels, mailbus_buf_t *out)
{
    static const char blanks[] = " \t";
    bool first = true;
    mailbus_buf_text(out, ",\"labels\":[");
    while (*labels != '\0') {
        labels += strspn(labels, " \t,");
        size_t size = strcspn(labels, ",");
        size_t kept = size;
        while (kept > 0 && strchr(blanks, labels[kept - 1]) != NULL) {
            kept--;
        }
        if (kept > 0) {
            mailbus_buf_text(out, first ? "" : ",");
            mailbus_json_write_string(out, labels, kept);
            first = false;
        }
        labels += size;
    }
    mailbus_buf_char(out, ']');
}

static void write_title(const card_t *card, mailbus_buf_t *out)
{
    mailbus_buf_t disarmed = MAILBUS_BUF_INIT;
    mailbus_buf_t title = MAILBUS_BUF_INIT;
    card_disarm(card->subject, strlen(card->subject), &disarmed);
    mailbus_buf_text(&title, "");
    if (!disarmed.failed) {
        card_cut(disarmed.data, GITHUB_TITLE_MAX, &title);
    }
    mailbus_json_write_string(out, title.data == NULL ? "" : title.data, title.size);
    out->failed = out->failed || disarmed.failed || title.failed;
    mailbus_buf_free(&disarmed);
    mailbus_buf_free(&title);
}

void github_render(const card_t *card, const char *labels, mailbus_buf_t *out)
{
    mailbus_buf_t body = MAILBUS_BUF_INIT;
    write_mark(card->mark, &body);
    if (card->note != NULL) {
        mailbus_buf_printf(&body, "%s\n\n", card->note);
    }
    write_block(card, GITHUB_BODY_MAX - body.size - 1, &body);
    mailbus_buf_text(out, "{\"title\":");
    write_title(card, out);
    mailbus_buf_text(out, ",\"body\":");
    mailbus_json_write_string(out, body.data == NULL ? "" : body.data, body.size);
    if (labels != NULL && labels[0] != '\0') {
        write_labels(labels, out);
    }
    mailbus_buf_char(out, '}');
    out->failed = out->failed || body.failed;
    mailbus_buf_free(&body);
}

/* --- what was read back -------------------------------------------------------------------------
 */

const char *github_find_mark(const cJSON *page, const char *mark)
{
    mailbus_buf_t line = MAILBUS_BUF_INIT;
    const char *found = NULL;
    const cJSON *issue;
    write_mark(mark, &line);
    cJSON_ArrayForEach(issue, page)
    {
        /* The first line is ours; what stands below it may be anything. */
        const char *body = mailbus_json_string(issue, "body");
        const char *address = mailbus_json_string(issue, "html_url");
        if (!line.failed && found == NULL && body != NULL &&
            strncmp(body, line.data, line.size - 1) == 0) {
            found = address == NULL ? "(no address)" : address;
        }
    }
    mailbus_buf_free(&line);
    return found;
}

bool github_is_before(const cJSON *page, int64_t since_ms)
{
    const cJSON *issue;
    cJSON_ArrayForEach(issue, page)
    {
        const char *created = mailbus_json_string(issue, "created_at");
        int64_t ms = 0;
        if (created != NULL && mailbus_time_parse(created, &ms) == MAILBUS_OK && ms < since_ms) {
            return true;
        }
    }
    return false;
}

bool github_next_page(const char *link, mailbus_buf_t *out)
{
    while ((link = strchr(link, '<')) != NULL) {
        const char *end = strchr(++link, '>');
        if (end == NULL) {
            return false;
        }
        const char *parameters = end + 1;
        size_t size = strcspn(parameters, "<");
        const char *next = strstr(parameters, "rel=\"next\"");
        if (next != NULL && (size_t)(next - parameters) < size) {
            mailbus_buf_append(out, link, (size_t)(end - link));
            return true;
        }
        link = parameters;
    }
    return false;
}
