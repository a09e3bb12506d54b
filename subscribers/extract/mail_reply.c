/* The answer to the sender, as the guide's "PDF processed": an automatic one, so that every guard
 * and limit of outgoing.h stands before it. */
#include <stdlib.h>
#include <string.h>

#include "describe.h"
#include "mail_priv.h"
#include "outgoing/outgoing.h"

static const char *name_of(const item_t *item)
{
    return item->filename == NULL || item->filename[0] == '\0' ? "without a name" : item->filename;
}

static const char *in_words(extract_status_t status)
{
    switch (status) {
    case EXTRACT_OK:
        return "empty";
    case EXTRACT_TRUNCATED:
        return "too long, this is its beginning";
    case EXTRACT_ENCRYPTED:
        return "protected by a password";
    case EXTRACT_NO_TEXT_LAYER:
        return "a picture, no text was found in it";
    case EXTRACT_CORRUPT:
        return "damaged";
    case EXTRACT_TOO_LARGE:
        return "too large";
    case EXTRACT_TIMEOUT:
    case EXTRACT_MEMORY:
        return "too much work to read";
    case EXTRACT_UNSUPPORTED:
        return "of a kind that is not read here";
    case EXTRACT_DOWNLOAD_FAILED:
        return "not to be had";
    }
    return "";
}

static bool is_text(const document_t *document)
{
    return document != NULL && document->extraction.text.size > 0;
}

static void write_notes(const mail_t *mail, const document_t *const *texts, mailbus_buf_t *out)
{
    bool any = false;
    for (size_t i = 0; i < mail->count; i++) {
        const item_t *item = &mail->items[i];
        if (!is_text(texts[i])) {
            mailbus_buf_text(out, any ? "" : "\n\nNot read:\n");
            mailbus_buf_printf(out, "- %s: %s\n", name_of(item), in_words(item->file.status));
            any = true;
        }
    }
    if (mail->beyond > 0) {
        mailbus_buf_printf(out, "%sFurther files of this mail were not looked at.\n",
                           any ? "" : "\n\n");
    }
}

bool mail_reply_text(const mail_t *mail, const document_t *const *texts, mailbus_buf_t *out)
{
    size_t left = mail->config->reply_max_text;
    bool any = false;
    bool several = mail->count > 1;
    mailbus_buf_printf(out, "%s\n", mail->config->reply_text);
    for (size_t i = 0; i < mail->count; i++) {
        if (!is_text(texts[i])) {
            continue;
        }
        const mailbus_buf_t *text = &texts[i]->extraction.text;
        size_t size = describe_cut(text->data, text->size, left);
        any = true;
        if (several) {
            mailbus_buf_printf(out, "\n--- %s ---\n", name_of(&mail->items[i]));
        }
        mailbus_buf_char(out, '\n');
        mailbus_buf_append(out, text->data, size);
        if (size < text->size) {
            mailbus_buf_text(out, "\n[The rest was left out: it is too long for a reply.]");
        } else if (mail->items[i].file.status == EXTRACT_TRUNCATED) {
            mailbus_buf_text(out, "\n[The file goes on; the rest of it was not read.]");
        }
        left -= size;
    }
    write_notes(mail, texts, out);
    return any;
}

static void note_reply(mail_t *mail, const outgoing_result_t *result)
{
    mailbus_error_t error = {0};
    sqlite3 *db = mail_begin(mail);
    if (db != NULL) {
        mail_commit(mail,
                    archive_put_effect(db, mail->event->id, 0, "reply", "done", result->action,
                                       mail->now_ms, &error),
                    &error);
    }
}

static void send(mail_t *mail, const char *text)
{
    outgoing_result_t result;
    const outgoing_context_t context = {
        .self = mail->program->outgoing,
        .policy = &mail->config->policy,
        .task = mail->task,
        .now_ms = mail->now_ms,
    };
    const outgoing_mail_t answer = {
        .kind = OUTGOING_REPLY, .part = "reply", .rule = "extract", .text = text};
    switch (outgoing_handle(&context, mail->message, &answer, &result)) {
    case MAILBUS_DONE:
        note_reply(mail, &result);
        break;
    case MAILBUS_RETRY:
        mail_later(mail, 0, "%s", result.reason);
        break;
    case MAILBUS_REJECT:
        mail_rejected(mail, "%s", result.reason);
        break;
    }
}

void mail_reply(mail_t *mail)
{
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    bool good = mail->config->reply && strcmp(mail->reply_state, "done") != 0 && mail->count > 0;
    for (size_t i = 0; i < mail->count && good; i++) {
        good = mail->items[i].file.ended; /* it waits for all: there is one answer to a mail */
    }
    if (!good) {
        return;
    }
    document_t *documents = calloc(mail->count, sizeof *documents);
    const document_t **texts = calloc(mail->count, sizeof *texts);
    if (documents == NULL || texts == NULL) {
        mail_later(mail, 0, "out of memory");
        good = false;
    }
    for (size_t i = 0; i < mail->count && good; i++) {
        bool found = false;
        good = mail_load(mail, &mail->items[i], &documents[i], &found);
        texts[i] = good && found ? &documents[i] : NULL;
    }
    if (good && mail_reply_text(mail, texts, &text)) {
        if (text.failed) {
            mail_later(mail, 0, "out of memory");
        } else {
            send(mail, text.data);
        }
    }
    for (size_t i = 0; documents != NULL && i < mail->count; i++) {
        document_free(&documents[i]);
    }
    free(documents);
    free(texts);
    mailbus_buf_free(&text);
}
