/* A reader of a state file whose answers must never be older, or of another file, than what the
 * path names now: for lists that are asked "may I?". A file that was removed or replaced underneath
 * is told as a failure; nothing is kept in memory from one use to the next, so that a damaged file
 * is seen too. One thread at a time. */
#ifndef MB_DB_LIVE_H
#define MB_DB_LIVE_H

#include "db.h"

typedef struct mb_db_live mb_db_live_t;

/* ENOTFOUND where there is no file. */
MAILBUS_MUST_USE mailbus_code_t mb_db_live_open(const char *path, mb_db_live_t **ret_self,
                                                mailbus_error_t *error);
void mb_db_live_close(mb_db_live_t **self_p); /* takes NULL */
/* The connection, for reading until mb_db_live_end. EIO where the path names another file now, or
 * none. */
MAILBUS_MUST_USE mailbus_code_t mb_db_live_begin(mb_db_live_t *self, sqlite3 **ret_db,
                                                 mailbus_error_t *error);
void mb_db_live_end(mb_db_live_t *self);

#endif
