#include "mail.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentmail/text.h"
#include "mail_priv.h"
#include "test_point.h"

enum { SHOWN_MAX = 200 }; /* bytes of one text out of a mail in a table or a log line */

static const char *const effect_names[EFFECTS] = {"file", "post", "event"};

/* --- what went wrong ----------------------------------------------------------------------------
 */

MAILBUS_PRINTF(3, 0)
static void note_reason(char reason[REASON_SIZE], bool first, const char *format, va_list arguments)
{
    if (first) {
        vsnprintf(reason, REASON_SIZE, format, arguments);
    }
}

void mail_later(mail_t *mail, double retry_after, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    note_reason(mail->later_reason, !mail->later, format, arguments);
    va_end(arguments);
    mail->later = true;
    mail->retry_after = retry_after > mail->retry_after ? retry_after : mail->retry_after;
}

void mail_rejected(mail_t *mail, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    note_reason(mail->rejected_reason, !mail->rejected, format, arguments);
    va_end(arguments);
    mail->rejected = true;
}

mailbus_runtime_t *mail_runtime(const mail_t *mail)
{
    return mailbus_task_runtime(mail->task);
}

/* --- the store ----------------------------------------------------------------------------------
 */

static void store_failed(mail_t *mail, const char *text)
{
    mail_later(mail, 0, "state file: %s", text[0] == '\0' ? "it can't be written" : text);
    mail->failed = true;
}

sqlite3 *mail_begin(mail_t *mail)
{
    sqlite3 *db = mail->failed ? NULL : mailbus_task_store(mail->task);
    if (db == NULL) {
        store_failed(mail, "");
    }
    return db;
}

bool mail_commit(mail_t *mail, mailbus_code_t code, const mailbus_error_t *error)
{
    if (code != MAILBUS_OK) {
        store_failed(mail, error->text);
    } else if (mailbus_task_commit(mail->task) != MAILBUS_OK) {
        store_failed(mail, "");
    }
    return !mail->failed;
}

/* --- which files --------------------------------------------------------------------------------
 */

/* One line, at most SHOWN_MAX bytes; NULL for NULL, and without memory. */
static char *line_of(const char *text)
{
    mailbus_buf_t line = MAILBUS_BUF_INIT;
    if (text != NULL) {
        mailbus_buf_text(&line, "");
        agentmail_text_line(text, strlen(text), SHOWN_MAX, &line);
    }
    char *taken = mailbus_buf_take(&line, NULL);
    mailbus_buf_free(&line);
    return taken;
}

archive_claim_t mail_claim(const item_t *item)
{
    return (archive_claim_t){
        .filename = item->filename, .type = item->type, .size = item->attachment->size};
}

static void count_skipped(mail_t *mail, const char *labels, uint64_t n)
{
    mailbus_count(mail_runtime(mail), "skipped", labels, "Attachments that were not looked at", n);
}

static bool choose(mail_t *mail)
{
    const agentmail_message_t *message = mail->message;
    mail->items = calloc(message->attachment_count + 1, sizeof *mail->items);
    if (mail->items == NULL) {
        mail_later(mail, 0, "out of memory");
        return false;
    }
    for (size_t i = 0; i < message->attachment_count; i++) {
        const agentmail_attachment_t *attachment = &message->attachments[i];
        if (choose_attachment(mail->config->choose, attachment) != CHOOSE_LOOK) {
            mail->skipped++;
        } else if ((int64_t)mail->count == mail->config->max_attachments) {
            mail->beyond++;
        } else {
            mail->items[mail->count++] = (item_t){.place = (int)i + 1,
                                                  .attachment = attachment,
                                                  .filename = line_of(attachment->filename),
                                                  .type = line_of(attachment->content_type)};
        }
    }
    return mail->count > 0 || mail->beyond > 0;
}

/* --- what was done already ----------------------------------------------------------------------
 */

static mailbus_code_t look_at_item(mail_t *mail, sqlite3 *db, item_t *item, mailbus_error_t *error)
{
    mailbus_code_t code = archive_find_file(db, mail->event->id, item->place, &item->file, error);
    if (code == MAILBUS_ENOTFOUND) {
        code = MAILBUS_OK;
    }
    for (int i = 0; i < EFFECTS && code == MAILBUS_OK; i++) {
        code = archive_effect(db, mail->event->id, item->place, effect_names[i], item->states[i],
                              error);
    }
    return code;
}

static mailbus_code_t put_mail(mail_t *mail, sqlite3 *db, mailbus_error_t *error)
{
    const agentmail_message_t *message = mail->message;
    char *subject = line_of(message->subject);
    char *sender = line_of(message->from.count > 0 ? message->from.items[0].address : NULL);
    const archive_mail_t row = {
        .event_id = mail->event->id,
        .inbox = message->inbox_id,
        .message_id = message->message_id,
        .sender = sender,
        .subject = subject,
        .attachments = (int64_t)message->attachment_count,
        .skipped = mail->skipped,
        .beyond = mail->beyond,
        .now_ms = mail->now_ms,
    };
    mailbus_code_t code = archive_put_mail(db, &row, error);
    free(subject);
    free(sender);
    return code;
}

static bool look(mail_t *mail)
{
    mailbus_error_t error = {0};
    sqlite3 *db = mail_begin(mail);
    if (db == NULL) {
        return false;
    }
    mailbus_code_t code = put_mail(mail, db, &error);
    for (size_t i = 0; i < mail->count && code == MAILBUS_OK; i++) {
        code = look_at_item(mail, db, &mail->items[i], &error);
    }
    if (code == MAILBUS_OK) {
        code = archive_effect(db, mail->event->id, 0, "reply", mail->reply_state, &error);
    }
    return mail_commit(mail, code, &error);
}

/* --- the way ------------------------------------------------------------------------------------
 */

static bool read_message(mail_t *mail)
{
    mailbus_error_t error = {0};
    mailbus_code_t code =
        agentmail_message_read(mail->event->body, mail->event->body_size, &mail->message, &error);
    if (code == MAILBUS_ENOMEM) {
        mail_later(mail, 0, "%s", error.text);
    } else if (code != MAILBUS_OK) {
        mail_rejected(mail, "unreadable: %s", error.text);
    }
    return code == MAILBUS_OK;
}

static void tell_skipped(mail_t *mail)
{
    if (mailbus_task_attempts(mail->task) > 0) {
        return;
    }
    count_skipped(mail, "reason=\"type\"", (uint64_t)mail->skipped);
    count_skipped(mail, "reason=\"too-many\"", (uint64_t)mail->beyond);
    if (mail->beyond > 0) {
        mailbus_task_log(mail->task, "warn",
                         "%" PRId64 " files of this mail are not looked at: more than %" PRId64
                         " (extract.max_attachments)",
                         mail->beyond, mail->config->max_attachments);
    }
}

static void work(mail_t *mail)
{
    if (strcmp(mail->event->topic, "message.received") != 0 || !read_message(mail)) {
        return;
    }
    bool some = choose(mail);
    tell_skipped(mail);
    if (!some || !look(mail)) {
        return;
    }
    for (size_t i = 0; i < mail->count && !mail->failed; i++) {
        if (mailbus_task_stopping(mail->task)) {
            mail_later(mail, 0, "the program is stopping");
            return;
        }
        mail_read_file(mail, &mail->items[i]);
        if (mail->items[i].file.ended && !mail->failed) {
            mail_effects(mail, &mail->items[i]);
        }
    }
    if (!mail->failed) {
        mail_reply(mail);
    }
}

/* Make room, in the transaction that commits with the event. */
static bool keep_house(mail_t *mail)
{
    mailbus_error_t error = {0};
    int64_t documents = 0;
    sqlite3 *db = mail_begin(mail);
    if (db == NULL) {
        return false;
    }
    if (archive_prune(db, &mail->config->keep, mail->now_ms, &documents, &error) != MAILBUS_OK) {
        store_failed(mail, error.text);
        return false;
    }
    mailbus_count(mail_runtime(mail), "pruned", "", "Texts that are no longer kept",
                  (uint64_t)documents);
    return true;
}

static mailbus_verdict_t verdict_of(mail_t *mail)
{
    bool at_end = !mail->later && !mail->rejected;
    if (at_end && mail->count > 0) {
        keep_house(mail); /* may say "later" */
    }
    if (mail->later) {
        mailbus_task_reason(mail->task, "%s", mail->later_reason);
        if (mail->retry_after > 0) {
            mailbus_task_retry_after(mail->task, mail->retry_after);
        }
        return MAILBUS_RETRY;
    }
    if (mail->rejected) {
        mailbus_task_reason(mail->task, "%s", mail->rejected_reason);
        return MAILBUS_REJECT;
    }
    mb_test_point("extract-done");
    return MAILBUS_DONE;
}

mailbus_verdict_t mail_handle(mailbus_task_t *task, const config_t *config,
                              const mail_program_t *program, int64_t now_ms)
{
    mail_t mail = {
        .task = task,
        .event = mailbus_task_event(task),
        .config = config,
        .program = program,
        .now_ms = now_ms,
    };
    work(&mail);
    mailbus_verdict_t verdict = verdict_of(&mail);
    for (size_t i = 0; i < mail.count; i++) {
        free(mail.items[i].filename);
        free(mail.items[i].type);
    }
    free(mail.items);
    agentmail_message_free(&mail.message);
    return verdict;
}
