#include "place.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

#include "clock.h"

enum {
    ADDRESS_MAX = 256,
    LOCK_WAIT_MS =
        2000, /* the turn of a command or two, or the start of a program, is over by then */
    LOCK_PAUSE_MS = 20,
};

static mailbus_code_t open_file(const place_options_t *options, place_t *ret_self,
                                mailbus_error_t *error)
{
    struct stat status;
    if (stat(options->path, &status) != 0) { /* opening would make it */
        if (errno == ENOENT) {
            return mailbus_fail(error, MAILBUS_ENOTFOUND,
                                "there is no file %.120s: --state FILE says where the subscriber "
                                "keeps its state (state.path)",
                                options->path);
        }
        return mailbus_fail(error, MAILBUS_EIO, "%.180s: %s", options->path, strerror(errno));
    }
    place_t self = {0};
    mailbus_code_t code =
        store_open(options->path, options->schema, &self.store, &self.unclean, NULL, error);
    if (code == MAILBUS_OK) {
        *ret_self = self;
    }
    return code;
}

/* Where the program that has the file listens; ENOTFOUND. */
static mailbus_code_t find_admin(const char *path, char *address, size_t size)
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
            memcpy(address, text, strlen(text) + 1);
        } else {
            code = MAILBUS_ENOTFOUND;
        }
    }
    mb_db_close(&db); /* and the statement */
    return code;
}

/* The program that has the file, through the listener that it noted there. ENOTFOUND: it noted
 * none, or nobody listens. */
static mailbus_code_t open_running(const place_options_t *options, place_t *ret_self,
                                   mailbus_error_t *error)
{
    static const running_question_t alive = {.method = "GET", .path = "/healthz"};
    char address[ADDRESS_MAX];
    place_t self = {0};
    running_answer_t answer = {0};
    if (find_admin(options->path, address, sizeof address) != MAILBUS_OK) {
        return mailbus_fail(error, MAILBUS_ENOTFOUND,
                            "%.120s is in use by a program without an admin listener "
                            "(admin.listen): stop it first",
                            options->path);
    }
    mailbus_code_t code = running_new(address, options->timeout_ms, &self.running, error);
    if (code == MAILBUS_OK) {
        code = running_ask(self.running, &alive, &answer, error);
    }
    if (code == MAILBUS_OK) {
        *ret_self = self;
        self = (place_t){0};
    } else if (code == MAILBUS_ENOTFOUND) {
        code = mailbus_fail(error, code,
                            "%.120s is in use, but nobody listens on %.60s, which it names: is its "
                            "program starting or stopping?",
                            options->path, address);
    }
    cJSON_Delete(answer.tree);
    place_close(&self);
    return code;
}

mailbus_code_t place_open(const place_options_t *options, place_t *ret_self, mailbus_error_t *error)
{
    if (options->admin[0] != '\0') {
        place_t self = {0};
        mailbus_code_t code =
            running_new(options->admin, options->timeout_ms, &self.running, error);
        if (code == MAILBUS_OK) {
            *ret_self = self;
        }
        return code;
    }
    int64_t wait_ms = options->timeout_ms < LOCK_WAIT_MS ? options->timeout_ms : LOCK_WAIT_MS;
    int64_t until_ms = mb_clock_monotonic_ms() + wait_ms;
    for (;;) {
        mailbus_code_t code = open_file(options, ret_self, error);
        if (code != MAILBUS_EEXIST) {
            return code;
        }
        code = open_running(options, ret_self, error);
        if (code != MAILBUS_ENOTFOUND) {
            return code;
        }
        if (mb_clock_monotonic_ms() >= until_ms) {
            if (error != NULL) {
                error->code = MAILBUS_EEXIST;
            }
            return MAILBUS_EEXIST;
        }
        (void)poll(NULL, 0, LOCK_PAUSE_MS);
    }
}

void place_close(place_t *self)
{
    running_destroy(&self->running);
    store_close(&self->store, !self->unclean);
}

mailbus_code_t place_run(place_t *self,
                         mailbus_code_t (*fn)(store_t *store, void *arg, mailbus_error_t *error),
                         void *arg, mailbus_error_t *error)
{
    mailbus_code_t code = store_begin(self->store, error);
    if (code == MAILBUS_OK) {
        code = fn(self->store, arg, error);
    }
    if (code == MAILBUS_OK) {
        code = store_commit(self->store, error);
    }
    if (code != MAILBUS_OK) {
        store_rollback(self->store);
    }
    return code;
}
