/* The power goes at every point of a scenario, on a disk that loses, reorders and tears what was
 * not synced. Afterwards the journal must open, and hold everything that was acknowledged. The same
 * check must find losses where the journal is told to answer too early or not to sync: a check
 * that can't fail shows nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "disk.h"
#include "ledger.h"

#define VFS      "power"
#define VFS_NEXT "next" /* after the cut: never fails, and syncs cost nothing */
#define LONG_AGO (365 * 86400000ll)

/* Under ThreadSanitizer everything takes many times as long: there every seventh of the cuts, which
 * are all made in the other builds, is enough for the threads to meet. */
#ifdef __SANITIZE_THREAD__
#define SPARSE 7
#else
#define SPARSE 1
#endif

/* What is sent: `groups` times `group` events, each group only when the one before is answered. */
typedef struct {
    int groups;
    int group;
    size_t body_size;
    bool synchronous_off;
    bool acknowledge_early;
} scenario_t;

typedef struct {
    char before[128]; /* the folder that the scenario writes to */
    char after[128];  /* the folder that a new start finds */
    char path_before[160];
    char path_after[160];
    disk_t *disk;
    disk_t *next;
    journal_desk_t *desk;
} run_t;

static bool power_is_on(void *arg)
{
    return !disk_is_dark(arg);
}

static void run_open(run_t *run)
{
    journal_folder_new(run->before);
    journal_folder_new(run->after);
    snprintf(run->path_before, sizeof run->path_before, "%s/journal.db", run->before);
    snprintf(run->path_after, sizeof run->path_after, "%s/journal.db", run->after);
    run->disk = disk_new(VFS);
    run->next = disk_new(VFS_NEXT);
    run->desk = journal_desk_new(power_is_on, run->disk);
}

static void run_close(run_t *run)
{
    journal_desk_free(&run->desk);
    disk_destroy(&run->disk);
    disk_destroy(&run->next);
    journal_folder_remove(run->before);
    journal_folder_remove(run->after);
}

static journal_t *open_journal(const char *path, const char *vfs, const scenario_t *scenario,
                               journal_desk_t *desk, mailbus_error_t *error)
{
    const journal_options_t options = {
        .backend = "sqlite",
        .path = path,
        .keep_bodies_ms = LONG_AGO,
        .keep_ids_ms = LONG_AGO,
        .queue_events = 1000,
        .batch_events = 5,
        .quarantine_events = 3,
        .vfs = vfs,
        .synchronous_off = scenario != NULL && scenario->synchronous_off,
        .acknowledge_early = scenario != NULL && scenario->acknowledge_early,
    };
    journal_t *journal = NULL;
    if (journal_open(&options, NULL, NULL, &journal, error) != MAILBUS_OK) {
        return NULL;
    }
    if (desk != NULL) {
        journal_desk_listen(desk, journal);
    }
    assert_int_equal(journal_start(journal, NULL), MAILBUS_OK);
    return journal;
}

/* The event of a number: three topics, one in ten a duplicate of an earlier one. */
static void submit(journal_desk_t *desk, journal_t *journal, const scenario_t *scenario, int number)
{
    static const char *const topics[] = {"message.received", "message.sent", "message.received",
                                         "domain.verified"};
    char id[32];
    const int wanted = number % 10 == 9 ? number / 2 : number;
    snprintf(id, sizeof id, "evt-%d", wanted);
    unsigned char *body = malloc(scenario->body_size);
    assert_non_null(body);
    for (size_t i = 0; i < scenario->body_size; i++) {
        body[i] = (unsigned char)(i * 7 + (size_t)wanted);
    }
    (void)!journal_desk_submit(desk, journal, topics[wanted % 4], id, body, scenario->body_size);
    free(body);
}

/* Half of the groups, a clean stop, the other half: opening and closing are part of it. */
static void play(run_t *run, const scenario_t *scenario)
{
    for (int half = 0; half < 2 && !disk_is_dark(run->disk); half++) {
        mailbus_error_t error = {0};
        journal_t *journal = open_journal(run->path_before, VFS, scenario, run->desk, &error);
        if (journal == NULL) {
            assert_true(disk_is_dark(run->disk));
            return;
        }
        const int groups = scenario->groups / 2;
        for (int g = half * groups; g < (half + 1) * groups && !journal_broken(journal); g++) {
            for (int i = 0; i < scenario->group; i++) {
                submit(run->desk, journal, scenario, g * scenario->group + i);
            }
            journal_quarantine(journal, "unreadable", "msg_1", "{", 1);
            assert_true(journal_desk_wait(run->desk));
        }
        journal_close(&journal);
    }
}

static uint64_t operations_of(const scenario_t *scenario)
{
    run_t run;
    run_open(&run);
    play(&run, scenario);
    const uint64_t operations = disk_operations(run.disk);
    assert_false(disk_is_dark(run.disk));
    run_close(&run);
    return operations;
}

/* The sender tries again whatever was not acknowledged, as a sender does. */
static void send_again(run_t *run, const scenario_t *scenario, uint64_t at)
{
    const scenario_t honest = {.body_size = scenario->body_size};
    mailbus_error_t error = {0};
    journal_desk_t *desk = journal_desk_new(NULL, NULL);
    journal_t *journal = open_journal(run->path_after, VFS_NEXT, &honest, desk, &error);
    if (journal == NULL) {
        fail_msg("power cut at operation %llu: %s", (unsigned long long)at, error.text);
    }
    const int all = scenario->groups * scenario->group;
    for (int i = 0; i < all; i++) {
        submit(desk, journal, &honest, i);
    }
    assert_true(journal_desk_wait(desk));
    journal_close(&journal);
    ledger_t ledger;
    ledger_check(run->path_after, VFS_NEXT, desk, &ledger);
    if (!ledger_balanced(&ledger) || ledger.acknowledged != (size_t)all) {
        fail_msg("sent again after a power cut at operation %llu: %s", (unsigned long long)at,
                 ledger.first);
    }
    journal_desk_free(&desk);
}

/* One scenario with one power cut. How events fall into batches differs from run to run, so the
 * last operations may not come: then there is no cut, and nothing to find. */
static void cut(const scenario_t *scenario, uint64_t at, uint64_t seed, ledger_t *ret_ledger)
{
    run_t run;
    *ret_ledger = (ledger_t){0};
    run_open(&run);
    disk_cut_power(run.disk, at, seed, run.after);
    play(&run, scenario);
    if (!disk_is_dark(run.disk)) {
        run_close(&run);
        return;
    }
    ledger_check(run.path_after, VFS_NEXT, run.desk, ret_ledger);
    /* An empty file is what a cut before the first sync leaves: nothing was acknowledged then. */
    if (ret_ledger->acknowledged == 0) {
        *ret_ledger = (ledger_t){0};
    }
    if (ledger_balanced(ret_ledger) && !scenario->synchronous_off) {
        send_again(&run, scenario, at);
        /* What the first life acknowledged has kept its numbers in the second. */
        ledger_check(run.path_after, VFS_NEXT, run.desk, ret_ledger);
    }
    run_close(&run);
}

/* Cut at every `step`th operation, `seeds` ways each. */
static void must_hold(const scenario_t *scenario, uint64_t step, uint64_t seeds)
{
    const uint64_t operations = operations_of(scenario);
    uint64_t cuts = 0;
    size_t acknowledged = 0;
    for (uint64_t at = 1; at <= operations; at += step * SPARSE) {
        for (uint64_t seed = 0; seed < seeds; seed++) {
            ledger_t ledger;
            cut(scenario, at, at * 1000 + seed, &ledger);
            cuts++;
            acknowledged += ledger.acknowledged;
            if (!ledger_balanced(&ledger)) {
                fail_msg("power cut at operation %llu of %llu, seed %llu: %s",
                         (unsigned long long)at, (unsigned long long)operations,
                         (unsigned long long)seed, ledger.first);
            }
        }
    }
    print_message("%llu power cuts, %zu acknowledged events, none lost\n", (unsigned long long)cuts,
                  acknowledged);
    assert_true(acknowledged > 0);
}

static void test_no_power_cut_loses_what_was_acknowledged(void **state)
{
    (void)state;
    must_hold(&(scenario_t){.groups = 4, .group = 12, .body_size = 900}, 1, 1);
}

/* Bodies of 500 kB: the log grows beyond the size at which it is moved into the file, in each half.
 */
static void test_no_power_cut_during_a_checkpoint_loses_what_was_acknowledged(void **state)
{
    (void)state;
    must_hold(&(scenario_t){.groups = 14, .group = 12, .body_size = 500000}, 1201, 1);
}

/* Cuts at every third operation; some of them must lose something. */
static void must_lose(const scenario_t *scenario, const char *what)
{
    const uint64_t operations = operations_of(scenario);
    size_t cuts = 0;
    size_t bad = 0;
    size_t lost = 0;
    for (uint64_t at = 1; at <= operations; at += 3) {
        ledger_t ledger;
        cut(scenario, at, at, &ledger);
        cuts++;
        bad += !ledger_balanced(&ledger);
        lost += ledger.lost;
    }
    print_message("control, %s: %zu of %zu power cuts lost %zu acknowledged events\n", what, bad,
                  cuts, lost);
    assert_true(lost > 0);
}

static void test_the_check_finds_what_acknowledging_early_loses(void **state)
{
    (void)state;
    must_lose(&(scenario_t){.groups = 2, .group = 12, .body_size = 900, .acknowledge_early = true},
              "acknowledged before the commit");
}

static void test_the_check_finds_what_is_lost_without_syncs(void **state)
{
    (void)state;
    must_lose(&(scenario_t){.groups = 2, .group = 12, .body_size = 900, .synchronous_off = true},
              "synchronous off");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_power_cut_loses_what_was_acknowledged),
        cmocka_unit_test(test_no_power_cut_during_a_checkpoint_loses_what_was_acknowledged),
        cmocka_unit_test(test_the_check_finds_what_acknowledging_early_loses),
        cmocka_unit_test(test_the_check_finds_what_is_lost_without_syncs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
