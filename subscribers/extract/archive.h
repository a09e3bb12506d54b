/* What was read out of which file of which mail, and what was done with it: the subscriber's own
 * tables.
 *
 *   mails      one row per event that had files to look at
 *   files      one row per file that was looked at; no status: it waits for its bytes
 *   documents  one row per content, found by its SHA-256, with the text
 *   words      the full-text index over the texts (FTS5), kept by triggers
 *   effects    what was done with a file (place 1, 2, …) or a mail (place 0), once
 *   totals     how much text there is
 *
 * All functions take an open transaction of the caller's. */
#ifndef EXTRACT_ARCHIVE_H
#define EXTRACT_ARCHIVE_H

#include <sqlite3.h>

#include "encoding.h"
#include "extractor.h"

extern const char archive_tables[];

#define ARCHIVE_SHA256_SIZE (2 * MB_SHA256_SIZE + 1) /* in hex, with its NUL */

/* --- contents -----------------------------------------------------------------------------------
 */

typedef struct {
    char sha256[ARCHIVE_SHA256_SIZE];
    int64_t size;                    /* bytes of the file */
    char setup[ARCHIVE_SHA256_SIZE]; /* of the settings and engines that read it (reuse.h) */
    int64_t extracted_ms;
    extraction_t extraction;
} document_t;

void document_free(document_t *document); /* takes a zeroed one */
/* ENOTFOUND where these bytes have not been seen, or are no longer kept. */
MAILBUS_MUST_USE mailbus_code_t archive_find_document(sqlite3 *db, const char *sha256,
                                                      document_t *ret_document,
                                                      mailbus_error_t *error);
/* Write it, in the place of an earlier one of the same bytes. */
MAILBUS_MUST_USE mailbus_code_t archive_put_document(sqlite3 *db, const document_t *document,
                                                     mailbus_error_t *error);
/* These bytes came again: they are kept from now on. */
MAILBUS_MUST_USE mailbus_code_t archive_seen(sqlite3 *db, const char *sha256, int64_t now_ms,
                                             mailbus_error_t *error);

/* --- mails and files ----------------------------------------------------------------------------
 */

/* Everything here is one line already; NULL where it is not known. */
typedef struct {
    const char *event_id, *inbox, *message_id, *sender, *subject;
    int64_t attachments; /* of the mail */
    int64_t skipped;     /* of them, not wanted by their type */
    int64_t beyond;      /* of them, beyond the most that are looked at in one mail */
    int64_t now_ms;
} archive_mail_t;

/* Once; a second time changes nothing. */
MAILBUS_MUST_USE mailbus_code_t archive_put_mail(sqlite3 *db, const archive_mail_t *mail,
                                                 mailbus_error_t *error);

/* A file of a mail. */
typedef struct {
    bool ended; /* it has a status */
    extract_status_t status;
    char sha256[ARCHIVE_SHA256_SIZE]; /* "": the bytes were never had */
    char detail[256];
    int64_t size;    /* of the bytes; 0: never had */
    int64_t tries;   /* of fetching it, that failed */
    int64_t time_ms; /* when this was written; with a status: when it ended */
} archive_file_t;

/* ENOTFOUND: not looked at yet. */
MAILBUS_MUST_USE mailbus_code_t archive_find_file(sqlite3 *db, const char *event_id, int place,
                                                  archive_file_t *ret_file, mailbus_error_t *error);
/* What a mail says of a file: one line each, NULL where it says nothing. */
typedef struct {
    const char *filename, *type;
    double size; /* -1: not said */
} archive_claim_t;
/* The first or a later word on it. `claim` is written once. file->time_ms is the caller's. */
MAILBUS_MUST_USE mailbus_code_t archive_put_file(sqlite3 *db, const char *event_id, int place,
                                                 const archive_claim_t *claim,
                                                 const archive_file_t *file,
                                                 mailbus_error_t *error);

/* --- effects ------------------------------------------------------------------------------------
 */

#define ARCHIVE_STATE_SIZE 16

/* How far an effect is, as its own code calls it ("done"); "" where nothing was noted. */
MAILBUS_MUST_USE mailbus_code_t archive_effect(sqlite3 *db, const char *event_id, int place,
                                               const char *effect,
                                               char ret_state[ARCHIVE_STATE_SIZE],
                                               mailbus_error_t *error);
/* What was noted beside it, to be freed. */
MAILBUS_MUST_USE mailbus_code_t archive_effect_detail(sqlite3 *db, const char *event_id, int place,
                                                      const char *effect, char **ret_detail,
                                                      mailbus_error_t *error);
MAILBUS_MUST_USE mailbus_code_t archive_put_effect(sqlite3 *db, const char *event_id, int place,
                                                   const char *effect, const char *state,
                                                   const char *detail, int64_t now_ms,
                                                   mailbus_error_t *error);

/* --- keeping house ------------------------------------------------------------------------------
 */

typedef struct {
    int64_t keep_ms;   /* mails and texts are kept for so long; 0: for ever */
    int64_t max_bytes; /* of texts: beyond it the oldest go; 0: no limit */
} archive_keep_t;

/* One slice of what is too old or too much; *ret_documents: how many texts went. */
MAILBUS_MUST_USE mailbus_code_t archive_prune(sqlite3 *db, const archive_keep_t *keep,
                                              int64_t now_ms, int64_t *ret_documents,
                                              mailbus_error_t *error);

#endif
