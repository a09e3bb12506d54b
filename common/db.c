#include "db.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

struct mb_db_lock {
    int fd;
};

enum {
    PATH_LIMIT = 4000,              /* bytes of a path, so that its companions fit in PATH_MAX */
    VALUE_LIMIT = 64 * 1024 * 1024, /* bytes of a value or a row: far above every body limit */
    OPEN_WAIT_MS = 5000,            /* for a reader that looks into a file just made */
    FOLDER_MODE = 0750,             /* data is the owner's; the group may look for the file */
    FILE_MODE = 0600,               /* mail is nobody else's business */
    FS_NFS = 0x6969,                /* f_type of statfs(2) */
    FS_TMPFS = 0x01021994,
    FS_OVERLAY = 0x794c7630,
};

mailbus_code_t mb_db_fail(sqlite3 *db, mailbus_error_t *error, const char *doing)
{
    int code = sqlite3_errcode(db) & 0xff;
    int system = db != NULL ? sqlite3_system_errno(db) : 0;
    mailbus_code_t result = MAILBUS_EIO;
    if (code == SQLITE_FULL || (code == SQLITE_IOERR && (system == ENOSPC || system == EDQUOT))) {
        result = MAILBUS_EFULL;
    } else if (code == SQLITE_NOMEM) {
        result = MAILBUS_ENOMEM;
    } else if (code == SQLITE_BUSY || code == SQLITE_LOCKED) {
        result = MAILBUS_EAGAIN;
    }
    if (code == SQLITE_CANTOPEN && system != 0) {
        return mailbus_fail(error, result, "%s: %s", doing, strerror(system));
    }
    return mailbus_fail(error, result, "%s: %s", doing, sqlite3_errmsg(db));
}

/* Make the folders above `path`, as mkdir -p does. */
static mailbus_code_t make_folders(const char *path, mailbus_error_t *error)
{
    char folder[PATH_LIMIT + 1];
    snprintf(folder, sizeof folder, "%s", path);
    for (char *slash = strchr(folder + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(folder, FOLDER_MODE) != 0 && errno != EEXIST) {
            return mailbus_fail(error, errno == EACCES ? MAILBUS_EACCESS : MAILBUS_EIO,
                                "can't make the folder %s: %s", folder, strerror(errno));
        }
        *slash = '/';
    }
    return MAILBUS_OK;
}

/* flock, not fcntl: SQLite's own fcntl locks fall when any descriptor of the file is closed, and
 * flock tells two connections of one process apart as well. */
static mailbus_code_t take_lock(const char *path, mb_db_lock_t **ret_lock, mailbus_error_t *error)
{
    char name[PATH_LIMIT + 16];
    snprintf(name, sizeof name, "%s.lock", path);
    mb_db_lock_t *lock = malloc(sizeof *lock);
    if (lock == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    mailbus_code_t code = MAILBUS_OK;
    lock->fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE);
    if (lock->fd < 0) {
        code = mailbus_fail(error, errno == EACCES ? MAILBUS_EACCESS : MAILBUS_EIO,
                            "can't open %s: %s", name, strerror(errno));
    } else if (flock(lock->fd, LOCK_EX | LOCK_NB) != 0) {
        bool held = errno == EWOULDBLOCK;
        char holder[24] = "";
        ssize_t size = pread(lock->fd, holder, sizeof holder - 1, 0);
        holder[size > 0 ? strspn(holder, "0123456789") : 0] = '\0';
        code = mailbus_fail(error, held ? MAILBUS_EEXIST : MAILBUS_EIO,
                            "%s is in use by another process%s%s", path,
                            holder[0] != '\0' ? ", pid " : "", holder);
    }
    if (code != MAILBUS_OK) {
        mb_db_unlock(&lock);
        return code;
    }
    /* The number is only for people; without it the lock is as good. */
    char pid[24];
    int size = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (pwrite(lock->fd, pid, (size_t)size, 0) != size || ftruncate(lock->fd, size) != 0) {
        pid[0] = '\0';
    }
    *ret_lock = lock;
    return MAILBUS_OK;
}

void mb_db_unlock(mb_db_lock_t **lock_p)
{
    if (*lock_p == NULL) {
        return;
    }
    /* The lock file stays: unlinking it would let two processes lock two files of one name. */
    if ((*lock_p)->fd >= 0) {
        close((*lock_p)->fd);
    }
    free(*lock_p);
    *lock_p = NULL;
}

/* What is wrong with keeping a database on this file system, or NULL. */
static const char *file_system_warning(int fd)
{
    struct statfs fs;
    if (fstatfs(fd, &fs) != 0) {
        return NULL;
    }
    switch ((unsigned long)fs.f_type) {
    case FS_NFS:
        return "the file is on NFS, where locks and the write-ahead log are not reliable: "
               "move it to a local disk";
    case FS_TMPFS:
        return "the file is on tmpfs: it is gone after a restart of the machine or container";
    case FS_OVERLAY:
        return "the file is on overlayfs, inside a container's own layer: it is gone with the "
               "container; mount a volume";
    default:
        return NULL;
    }
}

/* Make an empty file with the right mode, so that SQLite does not make one with the umask's; its
 * -wal and -shm take the mode of the file. Never opens one that exists: closing it would drop
 * SQLite's locks. */
static mailbus_code_t make_file(const char *path, mailbus_error_t *error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
    if (fd < 0) {
        if (errno == EEXIST) {
            return MAILBUS_OK;
        }
        return mailbus_fail(error, errno == EACCES ? MAILBUS_EACCESS : MAILBUS_EIO,
                            "can't make %s: %s", path, strerror(errno));
    }
    fchmod(fd, FILE_MODE);
    close(fd);
    return MAILBUS_OK;
}

static mailbus_code_t check_path(const char *path, mailbus_error_t *error)
{
    size_t size = strlen(path);
    if (size == 0 || size > PATH_LIMIT) {
        return mailbus_fail(error, MAILBUS_EINVAL, "a path of %zu bytes: 1 to %d are possible",
                            size, PATH_LIMIT);
    }
    return MAILBUS_OK;
}

static mailbus_code_t open_connection(const char *path, const mb_db_options_t *options, int flags,
                                      sqlite3 **ret_db, mailbus_error_t *error)
{
    sqlite3 *db = NULL;
    if (sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                        options->vfs) != SQLITE_OK) {
        char doing[512];
        snprintf(doing, sizeof doing, "can't open %.200s", path);
        mailbus_code_t code = mb_db_fail(db, error, doing);
        sqlite3_close(db);
        return code;
    }
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, VALUE_LIMIT);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_busy_timeout(db, 0);
    *ret_db = db;
    return MAILBUS_OK;
}

static mailbus_code_t set_cache(sqlite3 *db, const mb_db_options_t *options, mailbus_error_t *error)
{
    if (options->cache_bytes == 0) {
        return MAILBUS_OK;
    }
    char sql[64]; /* negative: KiB, not pages */
    snprintf(sql, sizeof sql, "PRAGMA cache_size=-%lld", (long long)options->cache_bytes / 1024);
    return mb_db_exec(db, sql, error);
}

/* journal_mode answers with the mode it has; a file system without shared memory keeps the old one,
 * and says OK. */
static mailbus_code_t set_wal(sqlite3 *db, mailbus_error_t *error)
{
    sqlite3_stmt *stmt = NULL;
    mailbus_code_t code = mb_db_prepare(db, "PRAGMA journal_mode=WAL", &stmt, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    if (sqlite3_step(stmt) != SQLITE_ROW) {
        code = mb_db_fail(db, error, "can't switch to a write-ahead log");
    } else if (strcmp((const char *)sqlite3_column_text(stmt, 0), "wal") != 0) {
        code = mailbus_fail(error, MAILBUS_EIO,
                            "this file system can't hold a write-ahead log (shared memory files)");
    }
    sqlite3_finalize(stmt);
    return code;
}

static mailbus_code_t configure_writer(sqlite3 *db, const mb_db_options_t *options,
                                       mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    char sql[128];
    if (options->page_size != 0) { /* both do nothing on a file that has tables */
        snprintf(sql, sizeof sql, "PRAGMA page_size=%d", options->page_size);
        code = mb_db_exec(db, sql, error);
    }
    if (code == MAILBUS_OK && options->incremental_vacuum) {
        code = mb_db_exec(db, "PRAGMA auto_vacuum=INCREMENTAL", error);
    }
    if (code == MAILBUS_OK) {
        code = set_wal(db, error);
    }
    if (code == MAILBUS_OK) {
        snprintf(sql, sizeof sql, "PRAGMA journal_size_limit=%lld",
                 (long long)options->journal_limit);
        code = mb_db_exec(db, sql, error);
    }
    if (code == MAILBUS_OK) {
        code = mb_db_exec(
            db, options->synchronous_off ? "PRAGMA synchronous=OFF" : "PRAGMA synchronous=FULL",
            error);
    }
    if (code == MAILBUS_OK) {
        code = mb_db_exec(db,
                          "PRAGMA foreign_keys=ON;PRAGMA temp_store=MEMORY;"
                          "PRAGMA cell_size_check=ON",
                          error);
    }
    return code != MAILBUS_OK ? code : set_cache(db, options, error);
}

mailbus_code_t mb_db_open_writer(const char *path, const mb_db_options_t *options, sqlite3 **ret_db,
                                 mb_db_lock_t **ret_lock, const char **ret_warning,
                                 mailbus_error_t *error)
{
    sqlite3 *db = NULL;
    mb_db_lock_t *lock = NULL;
    mailbus_code_t code = check_path(path, error);
    if (code == MAILBUS_OK) {
        code = make_folders(path, error);
    }
    if (code == MAILBUS_OK) {
        code = take_lock(path, &lock, error);
    }
    if (code == MAILBUS_OK) {
        code = make_file(path, error);
    }
    if (code == MAILBUS_OK) {
        code = open_connection(path, options, SQLITE_OPEN_READWRITE, &db, error);
    }
    if (code == MAILBUS_OK) {
        /* While the file has no write-ahead log yet a reader is in the way of making one; and the
         * first one to read makes the log's index, while all others wait. */
        sqlite3_busy_timeout(db, OPEN_WAIT_MS);
        code = configure_writer(db, options, error);
    }
    if (code == MAILBUS_OK) {
        code = mb_db_exec(db, "PRAGMA user_version", error); /* reads */
        sqlite3_busy_timeout(db, 0);
    }
    if (code != MAILBUS_OK) {
        mb_db_close(&db);
        mb_db_unlock(&lock);
        return code;
    }
    assert(lock != NULL);
    if (ret_warning != NULL) {
        *ret_warning = file_system_warning(lock->fd);
    }
    *ret_db = db;
    *ret_lock = lock;
    return MAILBUS_OK;
}

mailbus_code_t mb_db_open_reader(const char *path, const mb_db_options_t *options, sqlite3 **ret_db,
                                 mailbus_error_t *error)
{
    sqlite3 *db = NULL;
    mailbus_code_t code = check_path(path, error);
    if (code == MAILBUS_OK) {
        code = open_connection(path, options, SQLITE_OPEN_READONLY, &db, error);
    }
    if (code == MAILBUS_OK) {
        sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        sqlite3_wal_autocheckpoint(db, 0);
        code = mb_db_exec(db, "PRAGMA query_only=ON;PRAGMA temp_store=MEMORY", error);
    }
    if (code == MAILBUS_OK) {
        code = set_cache(db, options, error);
    }
    if (code != MAILBUS_OK) {
        mb_db_close(&db);
        return code;
    }
    *ret_db = db;
    return MAILBUS_OK;
}

void mb_db_close(sqlite3 **db_p)
{
    if (*db_p == NULL) {
        return;
    }
    /* The first try lets virtual tables go (a full-text index), with statements of their own that
     * nobody else may finalise; what is left then is ours. */
    int code = sqlite3_close(*db_p);
    if (code == SQLITE_BUSY) {
        for (sqlite3_stmt *stmt; (stmt = sqlite3_next_stmt(*db_p, NULL)) != NULL;) {
            sqlite3_finalize(stmt);
        }
        code = sqlite3_close(*db_p);
    }
    assert(code == SQLITE_OK); /* an open blob or backup is our own bug */
    (void)code;
    *db_p = NULL;
}

mailbus_code_t mb_db_exec(sqlite3 *db, const char *sql, mailbus_error_t *error)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        return mb_db_fail(db, error, "the database");
    }
    return MAILBUS_OK;
}

mailbus_code_t mb_db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_stmt,
                             mailbus_error_t *error)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL) != SQLITE_OK) {
        return mb_db_fail(db, error, "the database");
    }
    assert(stmt != NULL); /* an empty statement */
    *ret_stmt = stmt;
    return MAILBUS_OK;
}

mailbus_code_t mb_db_run(sqlite3_stmt *stmt, mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    int step = sqlite3_step(stmt);
    assert(step != SQLITE_ROW);
    if (step != SQLITE_DONE) {
        code = mb_db_fail(sqlite3_db_handle(stmt), error, "the database");
    }
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
    return code;
}

mailbus_code_t mb_db_integer(sqlite3 *db, const char *sql, int64_t *ret_value,
                             mailbus_error_t *error)
{
    sqlite3_stmt *stmt = NULL;
    mailbus_code_t code = mb_db_prepare(db, sql, &stmt, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    int step = sqlite3_step(stmt);
    if (step == SQLITE_ROW) {
        *ret_value = sqlite3_column_int64(stmt, 0);
    } else if (step == SQLITE_DONE) {
        code = mailbus_fail(error, MAILBUS_ENOTFOUND, "no row");
    } else {
        code = mb_db_fail(db, error, "the database");
    }
    sqlite3_finalize(stmt);
    return code;
}

/* One step and the number of the version it brings, in one transaction. */
static mailbus_code_t migrate_step(sqlite3 *db, const char *sql, int version,
                                   mailbus_error_t *error)
{
    char number[48];
    snprintf(number, sizeof number, "PRAGMA user_version=%d", version);
    mailbus_code_t code = mb_db_exec(db, "BEGIN IMMEDIATE", error);
    if (code == MAILBUS_OK) {
        code = mb_db_exec(db, sql, error);
    }
    if (code == MAILBUS_OK) {
        code = mb_db_exec(db, number, error);
    }
    if (code == MAILBUS_OK) {
        code = mb_db_exec(db, "COMMIT", error);
    }
    if (code != MAILBUS_OK && sqlite3_get_autocommit(db) == 0) {
        /* SQLite rolls back by itself where this fails too. */
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    }
    return code;
}

mailbus_code_t mb_db_migrate(sqlite3 *db, const char *const *steps, int count,
                             mailbus_error_t *error)
{
    int64_t version = 0;
    mailbus_code_t code = mb_db_integer(db, "PRAGMA user_version", &version, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    if (version < 0 || version > count) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "the file has version %lld of its schema, this program knows %d: "
                            "use the newer program",
                            (long long)version, count);
    }
    for (int i = (int)version; i < count && code == MAILBUS_OK; i++) {
        code = migrate_step(db, steps[i], i + 1, error);
    }
    return code;
}
