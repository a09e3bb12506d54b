/* What is done with one file that has ended: a file in a folder, a POST, an event.
 *
 * An effect is noted as soon as it happened. A crash between the two makes it happen again, in a
 * way that its receiver takes for the same: the file has its name already, the POST has the id of
 * before, the journal knows the event's id. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "describe.h"
#include "mail_priv.h"
#include "output_file.h"
#include "test_point.h"

static const char *const names[EFFECTS] = {"file", "post", "event"};

/* --- notes --------------------------------------------------------------------------------------
 */

static bool is_done(const item_t *item, effect_t effect)
{
    return strcmp(item->states[effect], "done") == 0;
}

static bool note(mail_t *mail, item_t *item, effect_t effect, const char *state, const char *detail)
{
    mailbus_error_t error = {0};
    sqlite3 *db = mail_begin(mail);
    if (db == NULL ||
        !mail_commit(mail,
                     archive_put_effect(db, mail->event->id, item->place, names[effect], state,
                                        detail, mail->now_ms, &error),
                     &error)) {
        return false;
    }
    strcpy(item->states[effect], state); /* words of ours, that fit */
    return true;
}

static void count_effect(mail_t *mail, const char *labels)
{
    mailbus_count(mail_runtime(mail), "effects", labels, "What was done with files", 1);
}

/* --- a file -------------------------------------------------------------------------------------
 */

/* The folder where the file was begun: the setting may be another one since then. */
static bool find_folder(mail_t *mail, const item_t *item, char **ret_folder)
{
    mailbus_error_t error = {0};
    sqlite3 *db = mail_begin(mail);
    char *folder = NULL;
    if (db == NULL) {
        return false;
    }
    mailbus_code_t code = archive_effect_detail(db, mail->event->id, item->place,
                                                names[EFFECT_FILE], &folder, &error);
    if (!mail_commit(mail, code, &error)) {
        free(folder);
        return false;
    }
    *ret_folder = folder;
    return true;
}

static void put_file(mail_t *mail, item_t *item, const document_t *document)
{
    mailbus_error_t error = {0};
    char name[OUTPUT_FILE_NAME_MAX];
    char *folder = NULL;
    output_file_name(mail->event->id, item->place, document->sha256, name);
    if (strcmp(item->states[EFFECT_FILE], "written") != 0) {
        if (output_file_write(mail->config->folder, name, document->extraction.text.data,
                              document->extraction.text.size, &error) != MAILBUS_OK) {
            mail_later(mail, 0, "file.folder: %s", error.text);
            return;
        }
        mb_test_point("extract-file-written");
        if (!note(mail, item, EFFECT_FILE, "written", mail->config->folder)) {
            return;
        }
    }
    mb_test_point("extract-file-noted");
    if (!find_folder(mail, item, &folder)) {
        return;
    }
    if (output_file_place(folder, name, &error) != MAILBUS_OK) {
        mail_later(mail, 0, "file.folder: %s", error.text);
    } else {
        mb_test_point("extract-file-placed");
        if (note(mail, item, EFFECT_FILE, "done", name)) {
            count_effect(mail, "effect=\"file\"");
        }
    }
    free(folder);
}

/* --- a POST, an event ---------------------------------------------------------------------------
 */

/* The id of a file's event, the same at every try. Lent until the next key of this task. */
static const char *event_id(mail_t *mail, const item_t *item)
{
    char part[32];
    snprintf(part, sizeof part, "attachment-%d", item->place);
    return mailbus_task_key(mail->task, part);
}

static bool write_description(mail_t *mail, const item_t *item, const document_t *document,
                              mailbus_buf_t *out)
{
    archive_claim_t claim = mail_claim(item);
    const describe_t what = {
        .id = event_id(mail, item),
        .source_event = mail->event->id,
        .message = mail->message,
        .place = item->place,
        .attachment = item->attachment,
        .claim = &claim,
        .file = &item->file,
        .document = document,
        .max_text = mail->config->max_text,
    };
    describe(&what, out);
    if (out->failed) {
        mail_later(mail, 0, "out of memory");
    }
    return !out->failed;
}

static void post(mail_t *mail, item_t *item, const mailbus_buf_t *json)
{
    agentmail_result_t result = {.verdict = AGENTMAIL_RETRY};
    mb_test_point("extract-posting");
    webhook_post(mail->config->post, event_id(mail, item), json->data, json->size,
                 mb_clock_wall_ms() / 1000, &result);
    if (result.operator_error) {
        mailbus_runtime_log(mail_runtime(mail), "error",
                            "nothing can be posted until this is mended: %s", result.text);
    }
    switch (result.verdict) {
    case AGENTMAIL_DONE:
        mb_test_point("extract-posted");
        if (note(mail, item, EFFECT_POST, "done", "")) {
            count_effect(mail, "effect=\"post\"");
        }
        break;
    case AGENTMAIL_RETRY:
        mail_later(mail, result.retry_after, "%s", result.text);
        break;
    case AGENTMAIL_REJECT:
        mail_rejected(mail, "file %d: %s", item->place, result.text);
        break;
    }
    agentmail_result_free(&result);
}

/* Only a new process knows what is on a disk that failed: this one ends as if it was killed, which
 * everything here survives. */
static void end_if_broken(mail_t *mail)
{
    if (output_bus_broken(mail->program->bus)) {
        mailbus_runtime_log(mail_runtime(mail), "error",
                            "the journal of publish.bind failed and can't be trusted: ending; "
                            "look at the disk");
        _exit(EXIT_FAILURE);
    }
}

static void publish(mail_t *mail, item_t *item, const mailbus_buf_t *json)
{
    mailbus_error_t error = {0};
    switch (output_bus_publish(mail->program->bus, json->data, json->size, &error)) {
    case MAILBUS_OK:
        mb_test_point("extract-published");
        if (note(mail, item, EFFECT_EVENT, "done", event_id(mail, item))) {
            count_effect(mail, "effect=\"event\"");
        }
        break;
    case MAILBUS_EAGAIN:
        end_if_broken(mail);
        mail_later(mail, 0, "%s", error.text);
        break;
    default: /* a topic or an id that the bus does not take: none of ours */
        mail_rejected(mail, "file %d: %s", item->place, error.text);
    }
}

/* --- all of them --------------------------------------------------------------------------------
 */

static bool load(mail_t *mail, const item_t *item, document_t *ret_document, bool *ret_found)
{
    mailbus_error_t error = {0};
    sqlite3 *db = mail_begin(mail);
    if (db == NULL) {
        return false;
    }
    mailbus_code_t code = archive_find_document(db, item->file.sha256, ret_document, &error);
    *ret_found = code == MAILBUS_OK;
    return mail_commit(mail, code == MAILBUS_ENOTFOUND ? MAILBUS_OK : code, &error);
}

bool mail_load(mail_t *mail, item_t *item, document_t *ret_document, bool *ret_found)
{
    *ret_found = false;
    if (item->file.sha256[0] == '\0') {
        return true; /* its bytes were never had */
    }
    if (!load(mail, item, ret_document, ret_found) || *ret_found) {
        return !mail->failed;
    }
    item->file.ended = false;
    mail_read_file(mail, item);
    return item->file.ended && !mail->failed &&
           (item->file.sha256[0] == '\0' || load(mail, item, ret_document, ret_found));
}

static bool has_text(const document_t *document)
{
    return document->extraction.status == EXTRACT_OK ||
           document->extraction.status == EXTRACT_TRUNCATED;
}

static void do_all(mail_t *mail, item_t *item, const document_t *document, const bool *wanted)
{
    mailbus_buf_t json = MAILBUS_BUF_INIT;
    if (wanted[EFFECT_FILE] && document != NULL && has_text(document)) {
        put_file(mail, item, document);
    }
    if ((wanted[EFFECT_POST] || wanted[EFFECT_EVENT]) && !mail->failed &&
        write_description(mail, item, document, &json)) {
        if (wanted[EFFECT_EVENT]) {
            publish(mail, item, &json);
        }
        if (wanted[EFFECT_POST] && !mail->failed) {
            post(mail, item, &json);
        }
    }
    mailbus_buf_free(&json);
}

void mail_effects(mail_t *mail, item_t *item)
{
    const bool wanted[EFFECTS] = {
        [EFFECT_FILE] = mail->config->folder[0] != '\0' && !is_done(item, EFFECT_FILE),
        [EFFECT_POST] = mail->config->post != NULL && !is_done(item, EFFECT_POST),
        [EFFECT_EVENT] = mail->config->publish && !is_done(item, EFFECT_EVENT),
    };
    document_t document = {.size = 0};
    bool found = false;
    if (!wanted[EFFECT_FILE] && !wanted[EFFECT_POST] && !wanted[EFFECT_EVENT]) {
        return;
    }
    if (mail->config->policy.dry_run) {
        mailbus_task_log(mail->task, "info", "file %d: dry run, it would be%s%s%s", item->place,
                         wanted[EFFECT_FILE] ? " written" : "",
                         wanted[EFFECT_POST] ? " posted" : "",
                         wanted[EFFECT_EVENT] ? " published" : "");
        return;
    }
    if (mail_load(mail, item, &document, &found)) {
        do_all(mail, item, found ? &document : NULL, wanted);
    }
    document_free(&document);
}
