#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "db.h"
#include "folder.h"

static const mb_db_options_t plain = {.journal_limit = 1 << 20};

typedef struct {
    char *folder;
    char path[600];
    sqlite3 *db;
    mb_db_lock_t *lock;
} fixture_t;

static int set_up(void **state)
{
    fixture_t *self = calloc(1, sizeof *self);
    self->folder = folder_make();
    folder_path(self->folder, "deep/down/test.db", self->path, sizeof self->path);
    mailbus_error_t error = {.text = ""};
    if (mb_db_open_writer(self->path, &plain, &self->db, &self->lock, NULL, &error) != MAILBUS_OK) {
        print_error("%s\n", error.text);
        return -1;
    }
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *self = *state;
    mb_db_close(&self->db);
    mb_db_unlock(&self->lock);
    folder_remove(&self->folder);
    free(self);
    return 0;
}

static int64_t integer(sqlite3 *db, const char *sql)
{
    int64_t value = -1;
    mailbus_error_t error;
    if (mb_db_integer(db, sql, &value, &error) != MAILBUS_OK) {
        fail_msg("%s: %s", sql, error.text);
    }
    return value;
}

static void test_writer_makes_folders_and_a_private_file(void **state)
{
    fixture_t *self = *state;
    struct stat status;
    assert_int_equal(mb_db_exec(self->db, "CREATE TABLE t(x) STRICT", NULL), MAILBUS_EIO);
    assert_int_equal(mb_db_exec(self->db, "CREATE TABLE t(x INTEGER) STRICT", NULL), MAILBUS_OK);
    const char *suffixes[] = {"", "-wal", "-shm", ".lock"};
    for (size_t i = 0; i < 4; i++) {
        char name[700];
        snprintf(name, sizeof name, "%s%s", self->path, suffixes[i]);
        assert_int_equal(stat(name, &status), 0);
        assert_int_equal(status.st_mode & 0777, 0600);
    }
}

static void test_writer_waits_for_the_disk_at_every_commit(void **state)
{
    fixture_t *self = *state;
    assert_int_equal(integer(self->db, "PRAGMA synchronous"), 2); /* FULL */
    assert_int_equal(integer(self->db, "PRAGMA foreign_keys"), 1);
    assert_int_equal(integer(self->db, "PRAGMA journal_size_limit"), 1 << 20);
    assert_int_equal(integer(self->db, "PRAGMA busy_timeout"), 0);
    assert_int_equal(integer(self->db, "SELECT journal_mode='wal' FROM pragma_journal_mode"), 1);
}

static void test_second_writer_is_kept_out(void **state)
{
    fixture_t *self = *state;
    sqlite3 *db = NULL;
    mb_db_lock_t *lock = NULL;
    mailbus_error_t error;
    assert_int_equal(mb_db_open_writer(self->path, &plain, &db, &lock, NULL, &error),
                     MAILBUS_EEXIST);
    assert_null(db);
    assert_null(lock);
    char pid[32];
    snprintf(pid, sizeof pid, "pid %ld", (long)getpid());
    assert_non_null(strstr(error.text, pid));
    /* From another process too. */
    pid_t child = fork();
    if (child == 0) {
        _exit(mb_db_open_writer(self->path, &plain, &db, &lock, NULL, NULL) == MAILBUS_EEXIST ? 0
                                                                                              : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_lock_is_free_again_after_closing(void **state)
{
    fixture_t *self = *state;
    mb_db_close(&self->db);
    mb_db_unlock(&self->lock);
    assert_int_equal(mb_db_open_writer(self->path, &plain, &self->db, &self->lock, NULL, NULL),
                     MAILBUS_OK);
}

static void test_reader_sees_commits_and_can_not_write(void **state)
{
    fixture_t *self = *state;
    sqlite3 *reader = NULL;
    assert_int_equal(mb_db_exec(self->db, "CREATE TABLE t(x INTEGER) STRICT", NULL), MAILBUS_OK);
    assert_int_equal(mb_db_open_reader(self->path, &plain, &reader, NULL), MAILBUS_OK);
    assert_int_equal(mb_db_exec(self->db, "INSERT INTO t VALUES(7)", NULL), MAILBUS_OK);
    assert_int_equal(integer(reader, "SELECT x FROM t"), 7);
    assert_int_equal(mb_db_exec(reader, "INSERT INTO t VALUES(8)", NULL), MAILBUS_EIO);
    assert_int_equal(mb_db_exec(reader, "PRAGMA query_only=OFF;INSERT INTO t VALUES(8)", NULL),
                     MAILBUS_EIO);
    mb_db_close(&reader);
}

static void test_reader_never_checkpoints(void **state)
{
    fixture_t *self = *state;
    sqlite3 *reader = NULL;
    assert_int_equal(mb_db_exec(self->db, "CREATE TABLE t(x INTEGER) STRICT", NULL), MAILBUS_OK);
    assert_int_equal(mb_db_open_reader(self->path, &plain, &reader, NULL), MAILBUS_OK);
    assert_int_equal(integer(reader, "SELECT count(*) FROM t"), 0);
    assert_int_equal(integer(reader, "PRAGMA wal_autocheckpoint"), 0);
    /* The writer goes first, without a checkpoint, so the reader is the last to close. */
    sqlite3_db_config(self->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    mb_db_close(&self->db);
    mb_db_close(&reader);
    char wal[700];
    snprintf(wal, sizeof wal, "%s-wal", self->path);
    struct stat status;
    assert_int_equal(stat(wal, &status), 0);
    assert_true(status.st_size > 0);
}

static void test_reader_needs_a_file(void **state)
{
    (void)state;
    sqlite3 *reader = NULL;
    mailbus_error_t error;
    assert_int_equal(mb_db_open_reader("/nonexistent/x.db", &plain, &reader, &error), MAILBUS_EIO);
    assert_non_null(strstr(error.text, "No such file"));
    assert_null(reader);
}

static void test_new_file_can_shrink_and_has_its_page_size(void **state)
{
    fixture_t *self = *state;
    const mb_db_options_t options = {
        .page_size = 16384, .incremental_vacuum = true, .cache_bytes = 4 << 20};
    char path[600];
    sqlite3 *db = NULL;
    mb_db_lock_t *lock = NULL;
    folder_path(self->folder, "pages.db", path, sizeof path);
    assert_int_equal(mb_db_open_writer(path, &options, &db, &lock, NULL, NULL), MAILBUS_OK);
    assert_int_equal(mb_db_exec(db, "CREATE TABLE t(x INTEGER) STRICT", NULL), MAILBUS_OK);
    assert_int_equal(integer(db, "PRAGMA page_size"), 16384);
    assert_int_equal(integer(db, "PRAGMA auto_vacuum"), 2);
    assert_int_equal(integer(db, "PRAGMA cache_size"), -4096);
    mb_db_close(&db);
    mb_db_unlock(&lock);
}

static void test_migration_goes_step_by_step_and_only_once(void **state)
{
    fixture_t *self = *state;
    static const char *const steps[] = {"CREATE TABLE a(x INTEGER) STRICT",
                                        "INSERT INTO a VALUES(1)", "INSERT INTO a VALUES(2)"};
    assert_int_equal(mb_db_migrate(self->db, steps, 2, NULL), MAILBUS_OK);
    assert_int_equal(integer(self->db, "SELECT count(*) FROM a"), 1);
    assert_int_equal(mb_db_migrate(self->db, steps, 3, NULL), MAILBUS_OK);
    assert_int_equal(mb_db_migrate(self->db, steps, 3, NULL), MAILBUS_OK);
    assert_int_equal(integer(self->db, "SELECT sum(x) FROM a"), 3);
    assert_int_equal(integer(self->db, "PRAGMA user_version"), 3);
}

static void test_failed_migration_leaves_the_version_before(void **state)
{
    fixture_t *self = *state;
    static const char *const steps[] = {"CREATE TABLE a(x INTEGER) STRICT",
                                        "INSERT INTO a VALUES(1);INSERT INTO missing VALUES(1)"};
    mailbus_error_t error;
    assert_int_equal(mb_db_migrate(self->db, steps, 2, &error), MAILBUS_EIO);
    assert_non_null(strstr(error.text, "missing"));
    assert_int_equal(integer(self->db, "PRAGMA user_version"), 1);
    assert_int_equal(integer(self->db, "SELECT count(*) FROM a"), 0);
    assert_int_not_equal(sqlite3_get_autocommit(self->db), 0);
}

static void test_newer_file_is_refused(void **state)
{
    fixture_t *self = *state;
    static const char *const steps[] = {"CREATE TABLE a(x INTEGER) STRICT"};
    assert_int_equal(mb_db_exec(self->db, "PRAGMA user_version=5", NULL), MAILBUS_OK);
    mailbus_error_t error;
    assert_int_equal(mb_db_migrate(self->db, steps, 1, &error), MAILBUS_EINVAL);
    assert_non_null(strstr(error.text, "newer"));
}

static void test_failures_of_sqlite_are_translated(void **state)
{
    fixture_t *self = *state;
    mailbus_error_t error;
    assert_int_equal(mb_db_exec(self->db, "CREATE TABLE t(x TEXT) STRICT", NULL), MAILBUS_OK);
    int64_t pages = integer(self->db, "PRAGMA page_count");
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA max_page_count=%lld", (long long)pages);
    assert_int_equal(integer(self->db, sql), pages);
    assert_int_equal(mb_db_exec(self->db, "INSERT INTO t VALUES(hex(zeroblob(100000)))", &error),
                     MAILBUS_EFULL);
    assert_int_equal(error.code, MAILBUS_EFULL);
    /* A writer of another kind in the way. */
    sqlite3 *other = NULL;
    assert_int_equal(sqlite3_open(self->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(mb_db_exec(self->db, "DELETE FROM t", &error), MAILBUS_EAGAIN);
    sqlite3_close(other);
}

static void test_run_leaves_a_statement_ready_for_the_next(void **state)
{
    fixture_t *self = *state;
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(
        mb_db_exec(self->db, "CREATE TABLE t(x INTEGER PRIMARY KEY, y TEXT NOT NULL) STRICT", NULL),
        MAILBUS_OK);
    assert_int_equal(mb_db_prepare(self->db, "INSERT INTO t VALUES(?,?)", &stmt, NULL), MAILBUS_OK);
    sqlite3_bind_int(stmt, 1, 1);
    sqlite3_bind_text(stmt, 2, "a", -1, SQLITE_STATIC);
    assert_int_equal(mb_db_run(stmt, NULL), MAILBUS_OK);
    sqlite3_bind_int(stmt, 1, 2); /* the text is no longer bound: NOT NULL fails */
    assert_int_equal(mb_db_run(stmt, NULL), MAILBUS_EIO);
    sqlite3_bind_int(stmt, 1, 3);
    sqlite3_bind_text(stmt, 2, "c", -1, SQLITE_STATIC);
    assert_int_equal(mb_db_run(stmt, NULL), MAILBUS_OK);
    assert_int_equal(integer(self->db, "SELECT count(*) FROM t"), 2);
    int64_t value = 42;
    assert_int_equal(mb_db_integer(self->db, "SELECT x FROM t WHERE x=9", &value, NULL),
                     MAILBUS_ENOTFOUND);
    assert_int_equal(value, 42);
    /* the statement is left to mb_db_close */
}

/* Where SQLite's shared locks are (os.h: SHARED_FIRST, SHARED_SIZE). */
enum { SHARED_FIRST = 0x40000002, SHARED_SIZE = 510 };

/* A reader of the file, which lets go after a while. In a process of its own, because locks are a
 * process's. */
static pid_t read_for_a_while(const char *path)
{
    char byte;
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        struct flock lock = {.l_type = F_RDLCK, .l_start = SHARED_FIRST, .l_len = SHARED_SIZE};
        int fd = open(path, O_RDONLY);
        bool held = fd >= 0 && fcntl(fd, F_SETLK, &lock) == 0 && write(ready[1], "x", 1) == 1;
        (void)poll(NULL, 0, held ? 300 : 0);
        _exit(held ? 0 : 1);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return child;
}

/* Somebody looks into the file in the moment in which it is made: it has no write-ahead log yet,
 * and making one wants it alone. */
static void test_first_start_beside_a_reader_waits_for_it(void **state)
{
    fixture_t *self = *state;
    mailbus_error_t error = {.text = ""};
    char path[700];
    int status = -1;
    mb_db_close(&self->db);
    mb_db_unlock(&self->lock);
    snprintf(path, sizeof path, "%s.new", self->path);
    folder_write(path, "", 0600);
    pid_t child = read_for_a_while(path);
    if (mb_db_open_writer(path, &plain, &self->db, &self->lock, NULL, &error) != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(integer(self->db, "PRAGMA busy_timeout"), 0); /* from now on it is alone */
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_writer_makes_folders_and_a_private_file),
        TEST(test_writer_waits_for_the_disk_at_every_commit),
        TEST(test_second_writer_is_kept_out),
        TEST(test_lock_is_free_again_after_closing),
        TEST(test_reader_sees_commits_and_can_not_write),
        TEST(test_reader_never_checkpoints),
        TEST(test_reader_needs_a_file),
        TEST(test_new_file_can_shrink_and_has_its_page_size),
        TEST(test_migration_goes_step_by_step_and_only_once),
        TEST(test_failed_migration_leaves_the_version_before),
        TEST(test_newer_file_is_refused),
        TEST(test_failures_of_sqlite_are_translated),
        TEST(test_run_leaves_a_statement_ready_for_the_next),
        TEST(test_first_start_beside_a_reader_waits_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
