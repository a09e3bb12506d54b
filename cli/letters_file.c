/* Dead letters in a state file whose program is stopped. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "clock.h"
#include "letters.h"

typedef struct {
    letters_t base;
    store_t *store;
    bool unclean; /* the program's last end was: it must still see that */
} letters_file_t;

static letters_file_t *file_of(letters_t *self)
{
    return (letters_file_t *)self;
}

static mailbus_code_t list(letters_t *self, int64_t after, size_t limit, dead_visit_fn *visit,
                           void *arg, mailbus_error_t *error)
{
    return dead_list(file_of(self)->store, after, limit, visit, arg, error);
}

static mailbus_code_t show(letters_t *self, int64_t number, dead_visit_fn *visit, void *arg,
                           mailbus_error_t *error)
{
    return dead_show(file_of(self)->store, number, visit, arg, error);
}

static mailbus_code_t finish(letters_t *self, mailbus_code_t code, mailbus_error_t *error)
{
    if (code == MAILBUS_OK) {
        code = store_commit(file_of(self)->store, error);
    }
    if (code != MAILBUS_OK) {
        store_rollback(file_of(self)->store);
    }
    return code;
}

static mailbus_code_t retry(letters_t *self, int64_t number, mailbus_error_t *error)
{
    store_t *store = file_of(self)->store;
    mailbus_code_t code = store_begin(store, error);
    if (code == MAILBUS_OK) {
        code = dead_retry(store, number, 0, mb_clock_wall_ms(), NULL, error);
    }
    return finish(self, code, error);
}

static mailbus_code_t drop(letters_t *self, int64_t number, mailbus_error_t *error)
{
    store_t *store = file_of(self)->store;
    mailbus_code_t code = store_begin(store, error);
    if (code == MAILBUS_OK) {
        code = dead_drop(store, number, error);
    }
    return finish(self, code, error);
}

static void close_file(letters_t **self_p)
{
    letters_file_t *self = file_of(*self_p);
    store_close(&self->store, !self->unclean);
    free(self);
    *self_p = NULL;
}

static const letters_ops_t ops = {list, show, retry, drop, close_file};

mailbus_code_t letters_open_file(const char *path, letters_t **ret_self, mailbus_error_t *error)
{
    struct stat status;
    if (stat(path, &status) != 0) { /* opening would make it */
        if (errno == ENOENT) {
            return mailbus_fail(error, MAILBUS_ENOTFOUND,
                                "there is no file %s: --state FILE says where the subscriber keeps "
                                "its state (state.path)",
                                path);
        }
        return mailbus_fail(error, MAILBUS_EIO, "%s: %s", path, strerror(errno));
    }
    letters_file_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    self->base.ops = &ops;
    mailbus_code_t code = store_open(path, NULL, &self->store, &self->unclean, NULL, error);
    if (code != MAILBUS_OK) {
        free(self);
        return code;
    }
    *ret_self = &self->base;
    return MAILBUS_OK;
}

mailbus_code_t letters_find_admin(const char *path, char *address, size_t size)
{
    static const mb_db_options_t options = {.page_size = 0};
    sqlite3 *db = NULL;
    sqlite3_stmt *select = NULL;
    mailbus_code_t code = mb_db_open_reader(path, &options, &db, NULL);
    if (code == MAILBUS_OK) {
        code =
            mb_db_prepare(db, "SELECT value FROM mailbus_state WHERE key='admin'", &select, NULL);
    }
    if (code == MAILBUS_OK) {
        const char *text = sqlite3_step(select) == SQLITE_ROW
                               ? (const char *)sqlite3_column_text(select, 0)
                               : NULL;
        if (text != NULL && text[0] != '\0' && strlen(text) < size) {
            snprintf(address, size, "%s", text);
        } else {
            code = MAILBUS_ENOTFOUND;
        }
    }
    mb_db_close(&db); /* and the statement */
    return code;
}
