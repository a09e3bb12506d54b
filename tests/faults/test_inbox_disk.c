/* A subscriber's inbox on a disk that fails once: what was read and written around the failure is
 * no longer trusted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "arrivals.h"
#include "clock.h"
#include "disk.h"
#include "inbox.h"

#define SCHEMA                                                                                     \
    "CREATE TABLE IF NOT EXISTS notes(id TEXT NOT NULL) STRICT;"                                   \
    "CREATE TABLE IF NOT EXISTS parents(id INTEGER PRIMARY KEY) STRICT;"                           \
    "CREATE TABLE IF NOT EXISTS children(parent INTEGER REFERENCES parents(id)"                    \
    " DEFERRABLE INITIALLY DEFERRED) STRICT"

typedef struct {
    char folder[64];
    char path[96];
    disk_t *disk;
    mb_metrics_t *metrics;
    mb_log_t *log;
    inbox_t *inbox;
} world_t;

static void world_open(world_t *world)
{
    const inbox_options_t options = {.path = world->path,
                                     .schema = SCHEMA,
                                     .max_events = 1000000,
                                     .max_bytes = INT64_MAX,
                                     .max_crashes = 3};
    world->metrics = mb_metrics_new();
    assert_int_equal(
        inbox_open(&options, world->metrics, world->log, mb_clock_wall_ms(), &world->inbox, NULL),
        MAILBUS_OK);
}

static void world_close(world_t *world)
{
    inbox_close(&world->inbox, false);
    mb_metrics_destroy(&world->metrics);
}

static int setup(void **state)
{
    world_t *world = calloc(1, sizeof *world);
    strcpy(world->folder, "/tmp/mailbus-disk-XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    snprintf(world->path, sizeof world->path, "%s/state.db", world->folder);
    world->disk = disk_new("inbox-disk");
    sqlite3_vfs_register(sqlite3_vfs_find("inbox-disk"), 1); /* what the inbox opens by itself */
    world->log = mb_log_new("test", STDERR_FILENO);
    mb_log_configure(world->log, MB_ERROR, MB_LOG_TEXT);
    world_open(world);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    world_t *world = *state;
    static const char *const files[] = {"", "-wal", "-shm", ".lock"};
    world_close(world);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s%s", world->path, files[i]);
        unlink(name);
    }
    rmdir(world->folder);
    mb_log_destroy(&world->log);
    disk_destroy(&world->disk);
    free(world);
    return 0;
}

static mailbus_code_t take_in(world_t *world, uint64_t sequence)
{
    return arrival_take_in(world->inbox, sequence, 10, "gap");
}

static void finish(world_t *world, inbox_item_t *item, inbox_end_t end)
{
    inbox_finish(world->inbox, &item, end, 1, mb_clock_wall_ms() + 3600000, "a reason",
                 mb_clock_wall_ms());
}

static mailbus_code_t count(store_t *store, void *arg, mailbus_error_t *error)
{
    return mb_db_integer(store_db(store), "SELECT count(*) FROM notes", arg, error);
}

static mailbus_code_t write_note(world_t *world, const inbox_item_t *item)
{
    sqlite3 *db = NULL;
    mailbus_code_t code = inbox_store_begin(world->inbox, &db, NULL);
    if (code != MAILBUS_OK) {
        return code;
    }
    assert_int_equal(mb_db_exec(db, "INSERT INTO notes VALUES('x')", NULL), MAILBUS_OK);
    return inbox_store_commit(world->inbox, item, NULL);
}

static void test_after_a_failed_sync_in_a_handler_nothing_is_written_any_more(void **state)
{
    world_t *world = *state;
    assert_int_equal(take_in(world, 1), MAILBUS_OK);
    inbox_item_t *item = inbox_next(world->inbox);
    disk_fail(world->disk, DISK_SYNC, "-wal", 1, SQLITE_IOERR_FSYNC, false); /* once, as Linux */
    assert_int_equal(write_note(world, item), MAILBUS_EIO);
    assert_true(disk_has_failed(world->disk));
    assert_true(inbox_broken(world->inbox));
    assert_int_equal(write_note(world, item), MAILBUS_EIO);
    finish(world, item, INBOX_AGAIN);
    assert_int_equal(inbox_flush(world->inbox, 1000, mb_clock_wall_ms(), NULL), MAILBUS_EIO);
    assert_int_equal(take_in(world, 2), MAILBUS_EIO);
    world_close(world);
    world_open(world);
    int64_t notes = -1;
    assert_int_equal(inbox_with_store(world->inbox, count, &notes, NULL), MAILBUS_OK);
    assert_int_equal(notes, 1 - inbox_rows(world->inbox)); /* both or neither, whichever it is */
}

static void test_a_failed_sync_anywhere_else_is_the_end_too(void **state)
{
    world_t *world = *state;
    int64_t notes = -1;
    assert_int_equal(take_in(world, 1), MAILBUS_OK);
    inbox_item_t *item = inbox_next(world->inbox);
    finish(world, item, INBOX_DEAD);
    assert_int_equal(inbox_flush(world->inbox, 1000, mb_clock_wall_ms(), NULL), MAILBUS_OK);
    disk_fail(world->disk, DISK_SYNC, "-wal", 1, SQLITE_IOERR_FSYNC, false);
    assert_int_equal(inbox_dead_drop(world->inbox, 1, NULL), MAILBUS_EIO);
    assert_true(inbox_broken(world->inbox));
    assert_int_equal(inbox_with_store(world->inbox, count, &notes, NULL), MAILBUS_EIO);
}

static void test_a_handler_whose_writes_contradict_each_other_breaks_nothing(void **state)
{
    world_t *world = *state;
    sqlite3 *db = NULL;
    assert_int_equal(take_in(world, 1), MAILBUS_OK);
    inbox_item_t *item = inbox_next(world->inbox);
    assert_int_equal(inbox_store_begin(world->inbox, &db, NULL), MAILBUS_OK);
    assert_int_equal(mb_db_exec(db, "INSERT INTO children VALUES(7)", NULL), MAILBUS_OK);
    assert_int_equal(inbox_store_commit(world->inbox, item, NULL), MAILBUS_EINVAL);
    assert_false(inbox_broken(world->inbox));
    assert_int_equal(write_note(world, item), MAILBUS_OK);
    inbox_gone(world->inbox, &item);
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(test_after_a_failed_sync_in_a_handler_nothing_is_written_any_more),
        WITH_WORLD(test_a_failed_sync_anywhere_else_is_the_end_too),
        WITH_WORLD(test_a_handler_whose_writes_contradict_each_other_breaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
