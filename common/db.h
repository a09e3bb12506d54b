/* SQLite as this project uses it. PITFALLS: one connection writes and checkpoints; readers do
 * neither. */
#ifndef MB_DB_H
#define MB_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "mailbus/error.h"

typedef struct {
    int page_size;           /* bytes, for a new file; 0: SQLite's own */
    int64_t cache_bytes;     /* page cache; 0: SQLite's own */
    int64_t journal_limit;   /* bytes the WAL is cut to after a checkpoint */
    bool incremental_vacuum; /* a new file can shrink */
    const char *vfs;         /* NULL: the default; tests name theirs */
    bool synchronous_off;    /* only for the control of the fault tests */
} mb_db_options_t;

typedef struct mb_db_lock mb_db_lock_t;

/* Make the folders of `path`, take an exclusive flock on "<path>.lock" (EEXIST: another process has
 * it), look at the file system (NFS, overlayfs and tmpfs are told through `ret_warning`, lent or
 * NULL), open the one writing connection: WAL, synchronous=FULL, foreign_keys, temp_store=memory,
 * busy_timeout 0 (while opening it waits for readers, 5 s), limits. The file is made with mode
 * 0600. The lock is freed by mb_db_unlock after closing. */
MAILBUS_MUST_USE mailbus_code_t mb_db_open_writer(const char *path, const mb_db_options_t *options,
                                                  sqlite3 **ret_db, mb_db_lock_t **ret_lock,
                                                  const char **ret_warning, mailbus_error_t *error);
/* A read-only connection: query_only, no checkpoints, none on close either. */
MAILBUS_MUST_USE mailbus_code_t mb_db_open_reader(const char *path, const mb_db_options_t *options,
                                                  sqlite3 **ret_db, mailbus_error_t *error);
void mb_db_close(sqlite3 **db_p); /* finalises what is still prepared */
void mb_db_unlock(mb_db_lock_t **lock_p);

/* Run statements without results. */
MAILBUS_MUST_USE mailbus_code_t mb_db_exec(sqlite3 *db, const char *sql, mailbus_error_t *error);
MAILBUS_MUST_USE mailbus_code_t mb_db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_stmt,
                                              mailbus_error_t *error);
/* Step a statement that returns no row, then reset it and clear its bindings. */
MAILBUS_MUST_USE mailbus_code_t mb_db_run(sqlite3_stmt *stmt, mailbus_error_t *error);
/* The one integer that `sql` gives; ENOTFOUND where there is no row. */
MAILBUS_MUST_USE mailbus_code_t mb_db_integer(sqlite3 *db, const char *sql, int64_t *ret_value,
                                              mailbus_error_t *error);
/* The schema's number (PRAGMA user_version); `steps[i]` brings version i to i+1, each in a
 * transaction. EINVAL where the file is newer than this program. */
MAILBUS_MUST_USE mailbus_code_t mb_db_migrate(sqlite3 *db, const char *const *steps, int count,
                                              mailbus_error_t *error);
/* What SQLite says of its last failure on `db`, translated: FULL → EFULL, NOMEM → ENOMEM, BUSY →
 * EAGAIN, else EIO. */
mailbus_code_t mb_db_fail(sqlite3 *db, mailbus_error_t *error, const char *doing);

#endif
