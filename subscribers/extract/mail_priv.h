/* One mail between mail*.c. */
#ifndef EXTRACT_MAIL_PRIV_H
#define EXTRACT_MAIL_PRIV_H

#include "mail.h"

typedef enum { EFFECT_FILE, EFFECT_POST, EFFECT_EVENT, EFFECTS } effect_t;

enum { REASON_SIZE = 512 };

/* One file of the mail. */
typedef struct {
    int place; /* in the mail, from 1 */
    const agentmail_attachment_t *attachment;
    char *filename, *type; /* as claimed, one line each; NULL: not said */
    archive_file_t file;
    char states[EFFECTS][ARCHIVE_STATE_SIZE]; /* "", "written" (a file), "done" */
} item_t;

/* One mail in one worker's hands. */
typedef struct {
    mailbus_task_t *task;
    const mailbus_event_t *event;
    const config_t *config;
    const mail_program_t *program;
    int64_t now_ms;
    agentmail_message_t *message;
    item_t *items;
    size_t count;
    int64_t skipped, beyond;
    char reply_state[ARCHIVE_STATE_SIZE];
    /* What some part of it has to say, the first of each. */
    bool later, rejected;
    bool failed; /* the store did: this try ends at once, and what was not committed is undone */
    double retry_after; /* seconds, the longest */
    char later_reason[REASON_SIZE], rejected_reason[REASON_SIZE];
} mail_t;

/* --- mail.c -------------------------------------------------------------------------------------
 */

/* A part of it has to be tried again, or never will work. The others go on. */
void mail_later(mail_t *mail, double retry_after, const char *format, ...) MAILBUS_PRINTF(3, 4);
void mail_rejected(mail_t *mail, const char *format, ...) MAILBUS_PRINTF(2, 3);
/* The store in a transaction that ends with mail_commit, or NULL: the store failed. */
sqlite3 *mail_begin(mail_t *mail);
/* `code` is what the statements gave. False: it or the commit was not OK, and the store failed. */
bool mail_commit(mail_t *mail, mailbus_code_t code, const mailbus_error_t *error);
mailbus_runtime_t *mail_runtime(const mail_t *mail);
archive_claim_t mail_claim(const item_t *item);

/* --- mail_files.c -------------------------------------------------------------------------------
 */

/* Get a file's bytes and read them, unless that was done. Afterwards item->file.ended, or "later".
 */
void mail_read_file(mail_t *mail, item_t *item);

/* --- mail_effects.c -----------------------------------------------------------------------------
 */

/* Everything that is done with one file. */
void mail_effects(mail_t *mail, item_t *item);
/* The content of a file that has ended; *ret_found is false where its bytes were never had. It is
 * read once more where its text is no longer kept (store.max_size). False: not now. */
bool mail_load(mail_t *mail, item_t *item, document_t *ret_document, bool *ret_found);

/* --- mail_reply.c -------------------------------------------------------------------------------
 */

/* The answer, once all files have ended. */
void mail_reply(mail_t *mail);
/* Its text into `out`; false where no file gave any. `texts[i]` belongs to items[i], NULL: none.
 * A pure function. */
bool mail_reply_text(const mail_t *mail, const document_t *const *texts, mailbus_buf_t *out);

#endif
