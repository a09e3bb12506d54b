/* A file's bytes, and what they hold. */
#include <stdio.h>
#include <string.h>

#include "agentmail/text.h"
#include "clock.h"
#include "content.h"
#include "mail_priv.h"
#include "reuse.h"
#include "runtime_internal.h"
#include "test_point.h"

static const double SECONDS[] = {0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300};

/* Whatever it is made of: an engine's words, an API's, a resolver's. */
static void set_detail(archive_file_t *file, const char *text)
{
    mailbus_buf_t line = MAILBUS_BUF_INIT;
    mailbus_buf_text(&line, "");
    agentmail_text_line(text, strlen(text), sizeof file->detail - 1, &line);
    memcpy(file->detail, line.failed ? "" : line.data, line.failed ? 1 : line.size + 1);
    mailbus_buf_free(&line);
}

/* --- how a file ends ----------------------------------------------------------------------------
 */

static void count_file(mail_t *mail, extract_status_t status, int64_t bytes)
{
    char labels[64];
    snprintf(labels, sizeof labels, "status=\"%s\"", extract_status_name(status));
    mailbus_count(mail_runtime(mail), "files", labels, "Files by how they ended", 1);
    mailbus_count(mail_runtime(mail), "bytes", "", "Bytes of the files that were had",
                  (uint64_t)bytes);
}

static void log_file(mail_t *mail, const item_t *item, const document_t *document, bool again)
{
    const extraction_t *extraction = document == NULL ? NULL : &document->extraction;
    bool is_read = extraction != NULL && extraction->engine[0] != '\0';
    mailbus_task_log(mail->task, "info", "file %d (%s): %s%s%s%s%s%s%s%s", item->place,
                     item->filename == NULL ? "no name" : item->filename,
                     extract_status_name(item->file.status), again ? ", known already" : "",
                     extraction == NULL ? "" : ", ", extraction == NULL ? "" : extraction->type,
                     is_read ? ", by " : "", is_read ? extraction->engine : "",
                     item->file.detail[0] == '\0' ? "" : ": ", item->file.detail);
}

/* Write down how it ended, together with its content where it has one; no later try comes back. */
static void end_file(mail_t *mail, item_t *item, extract_status_t status, const char *detail,
                     const document_t *document, bool is_new)
{
    mailbus_error_t error = {0};
    archive_claim_t claim = mail_claim(item);
    archive_file_t file = item->file;
    file.ended = true;
    file.status = status;
    file.time_ms = mail->now_ms;
    set_detail(&file, detail);
    if (document != NULL) {
        memcpy(file.sha256, document->sha256, sizeof file.sha256);
        file.size = document->size;
    }
    sqlite3 *db = mail_begin(mail);
    if (db == NULL) {
        return;
    }
    mailbus_code_t code = MAILBUS_OK;
    if (document != NULL) {
        code = is_new ? archive_put_document(db, document, &error)
                      : archive_seen(db, document->sha256, mail->now_ms, &error);
    }
    if (code == MAILBUS_OK) {
        code = archive_put_file(db, mail->event->id, item->place, &claim, &file, &error);
    }
    mb_test_point("extract-read");
    if (!mail_commit(mail, code, &error)) {
        return;
    }
    mb_test_point("extract-stored");
    item->file = file;
    count_file(mail, status, file.size);
    log_file(mail, item, document, document != NULL && !is_new);
}

/* A try to fetch it failed. An operator's mistake is not the file's, and does not count. */
static void fetch_failed(mail_t *mail, item_t *item, const agentmail_result_t *result)
{
    mailbus_error_t error = {0};
    archive_claim_t claim = mail_claim(item);
    if (result->operator_error) {
        mailbus_runtime_log(mail_runtime(mail), "error",
                            "no file can be fetched until this is mended: %s", result->text);
        mail_later(mail, result->retry_after, "%s", result->text);
        return;
    }
    if (result->refused || item->file.tries + 1 >= mail->config->download_tries) {
        end_file(mail, item, EXTRACT_DOWNLOAD_FAILED, result->text, NULL, false);
        return;
    }
    archive_file_t file = item->file;
    file.tries++;
    file.time_ms = mail->now_ms;
    set_detail(&file, result->text);
    sqlite3 *db = mail_begin(mail);
    if (db != NULL &&
        mail_commit(mail, archive_put_file(db, mail->event->id, item->place, &claim, &file, &error),
                    &error)) {
        item->file = file;
        mail_later(mail, result->retry_after, "%s", result->text);
    }
}

/* --- the bytes ----------------------------------------------------------------------------------
 */

/* True: they are in `out`. */
static bool fetch(mail_t *mail, item_t *item, mailbus_buf_t *out)
{
    agentmail_pool_t *pool = outgoing_pool(mail->program->outgoing);
    agentmail_client_t *client = agentmail_pool_take(pool);
    agentmail_result_t result = {.verdict = AGENTMAIL_RETRY};
    if (client == NULL) {
        mail_later(mail, 0, "out of memory");
        return false;
    }
    agentmail_get_attachment(client, mail->message->inbox_id, mail->message->message_id,
                             item->attachment->id, &mail->config->download, out, &result);
    agentmail_pool_give(pool, client);
    bool good = result.verdict == AGENTMAIL_DONE;
    if (result.too_long) {
        end_file(mail, item, EXTRACT_TOO_LARGE, result.text, NULL, false);
    } else if (!good) {
        fetch_failed(mail, item, &result);
    }
    agentmail_result_free(&result);
    return good;
}

/* From the event, else from the API; never from an address that the event names. */
static bool get_bytes(mail_t *mail, item_t *item, mailbus_buf_t *out)
{
    mailbus_error_t error = {0};
    const agentmail_attachment_t *attachment = item->attachment;
    mailbus_code_t code = MAILBUS_ENOTFOUND;
    if (attachment->content != NULL) {
        code = content_decode(attachment->content, mail->config->download.limit, out, &error);
    }
    switch (code) {
    case MAILBUS_OK:
        return true;
    case MAILBUS_ETOOBIG:
        end_file(mail, item, EXTRACT_TOO_LARGE, error.text, NULL, false);
        return false;
    case MAILBUS_ENOMEM:
        mail_later(mail, 0, "%s", error.text);
        return false;
    default:
        break;
    }
    if (attachment->id != NULL) {
        return fetch(mail, item, out);
    }
    if (code == MAILBUS_EINVAL) {
        end_file(mail, item, EXTRACT_CORRUPT, error.text, NULL, false);
    } else {
        end_file(mail, item, EXTRACT_DOWNLOAD_FAILED,
                 "the event has neither its content nor its attachment_id", NULL, false);
    }
    return false;
}

/* --- what they hold -----------------------------------------------------------------------------
 */

/* *ret_document where the same bytes were read before and that still holds. */
static bool find_document(mail_t *mail, const char *sha256, document_t *ret_document,
                          bool *ret_found)
{
    mailbus_error_t error = {0};
    document_t document = {.size = 0};
    sqlite3 *db = mail_begin(mail);
    if (db == NULL) {
        return false;
    }
    mailbus_code_t code = archive_find_document(db, sha256, &document, &error);
    *ret_found = code == MAILBUS_OK && reuse_holds(&document, mail->config->setup,
                                                   mail->config->again_after_ms, mail->now_ms);
    if (!*ret_found) {
        document_free(&document);
    }
    *ret_document = document;
    return mail_commit(mail, code == MAILBUS_ENOTFOUND ? MAILBUS_OK : code, &error);
}

static bool run_extractor(mail_t *mail, const mailbus_buf_t *bytes, document_t *document)
{
    mailbus_error_t error = {0};
    int64_t begun_ms = mb_clock_monotonic_ms();
    mailbus_code_t code =
        extractor_run(mail->config->extractor, bytes->data == NULL ? "" : bytes->data, bytes->size,
                      &document->extraction, &error);
    mb_metric_observe(mb_histogram(mail_runtime(mail)->metrics, "mailbus_extract_file_seconds", "",
                                   "Time to read one file", SECONDS,
                                   sizeof SECONDS / sizeof SECONDS[0]),
                      (double)(mb_clock_monotonic_ms() - begun_ms) / 1000.0);
    if (code == MAILBUS_EACCESS || code == MAILBUS_ENOTFOUND) {
        mailbus_runtime_log(mail_runtime(mail), "error",
                            "no file can be read until this is mended: %s", error.text);
    }
    if (code != MAILBUS_OK) {
        mail_later(mail, 0, "%s", error.text);
    }
    document->size = (int64_t)bytes->size;
    document->extracted_ms = mail->now_ms;
    memcpy(document->setup, mail->config->setup, sizeof document->setup);
    return code == MAILBUS_OK;
}

static bool hash(const mailbus_buf_t *bytes, char sha256[ARCHIVE_SHA256_SIZE])
{
    uint8_t digest[MB_SHA256_SIZE];
    mailbus_buf_t hex = MAILBUS_BUF_INIT;
    mb_sha256(bytes->data == NULL ? "" : bytes->data, bytes->size, digest);
    mb_hex_encode(digest, sizeof digest, &hex);
    bool good = !hex.failed;
    if (good) {
        memcpy(sha256, hex.data, ARCHIVE_SHA256_SIZE);
    }
    mailbus_buf_free(&hex);
    return good;
}

static void read_bytes(mail_t *mail, item_t *item, const mailbus_buf_t *bytes)
{
    char sha256[ARCHIVE_SHA256_SIZE];
    document_t document = {.size = 0};
    busy_claim_t claim;
    bool found = false;
    if (!hash(bytes, sha256)) {
        mail_later(mail, 0, "out of memory");
        return;
    }
    busy_take(mail->program->busy, &claim, sha256);
    if (find_document(mail, sha256, &document, &found) &&
        (found || run_extractor(mail, bytes, &document))) {
        memcpy(document.sha256, sha256, sizeof document.sha256);
        end_file(mail, item, document.extraction.status, document.extraction.detail, &document,
                 !found);
    }
    busy_give(mail->program->busy, &claim);
    document_free(&document);
}

void mail_read_file(mail_t *mail, item_t *item)
{
    mailbus_buf_t bytes = MAILBUS_BUF_INIT;
    if (!item->file.ended && get_bytes(mail, item, &bytes)) {
        read_bytes(mail, item, &bytes);
    }
    mailbus_buf_free(&bytes);
}
