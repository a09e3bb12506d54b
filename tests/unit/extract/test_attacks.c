/* Every layer of the sandbox, against an engine that has been taken over (attacker.c).
 * With MAILBUS_TEST_SANDBOX_WITHOUT="seccomp" in the environment that layer is left out everywhere:
 * then this suite fails (tests/integration/test_extract_sandbox.py).
 *
 * For each attack: with all layers it is stopped; each layer that stops it does so alone; and with
 * all of these left out it succeeds, so that the test says something. Where the system itself
 * forbids an attack already (a container, a kernel without that part), the last is skipped, and
 * said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "desk.h"

enum {
    ABI_NET = 4,   /* of Landlock: TCP */
    ABI_SCOPE = 6, /* signals to others */
};

typedef struct {
    const char *name;
    const char *argument;
    /* The layers of which each stops it alone, blank-separated. "(root)": only where the test runs
     * as root; "(abi4)": only with a kernel whose Landlock knows as much. */
    const char *layers;
    bool system; /* the system may forbid it as well */
} attack_t;

static const attack_t attacks[] = {
    {"read-file", "/etc/passwd", "landlock", false},
    {"read-file", "{secret}", "landlock privileges(root)", false},
    {"create-file", "{folder}/new", "seccomp landlock", false},
    {"write-file", "{folder}/old", "seccomp landlock file-size", false},
    {"unlink-file", "{folder}/old", "seccomp landlock", false},
    {"chmod-file", "{secret}", "seccomp privileges(root)", false},
    {"list-folder", "/etc", "landlock", false},
    {"memfd", "", "seccomp", false},
    {"parents-environment", "", "landlock privileges(root)", true},
    {"descriptor", "", "descriptors", false},
    {"environment", "MAILBUS_ATTACK_SECRET", "environment", false},
    {"root", "", "privileges(root)", true},
    {"many-files", "", "open-files", false},
    {"core", "", "core", false},
    {"fork", "", "seccomp processes", false},
    {"fork-bomb", "", "seccomp processes", false},
    {"daemon", "", "seccomp processes", false},
    {"in-parents-group", "", "session", false},
    {"leave-group", "", "seccomp session", false},
    {"thread", "", "seccomp processes", false},
    {"signal-parent", "", "seccomp privileges(root) landlock(abi6)", false},
    {"signal-by-owner", "", "seccomp", false},
    {"ptrace", "", "seccomp landlock privileges(root)", true},
    {"read-parent", "{address}", "seccomp landlock privileges(root)", true},
    {"shell", "", "seccomp landlock", false},
    {"loader", "", "seccomp landlock", false},
    {"exec-input", "", "seccomp", false},
    {"socket", "", "seccomp", false},
    {"local-socket", "", "seccomp", false},
    {"connect", "{port}", "seccomp landlock(abi4)", false},
    {"mount", "{folder}/mount", "seccomp landlock privileges(root)", true},
    {"user-namespace", "", "seccomp", true},
    {"io_uring", "", "seccomp", true},
    {"keys", "", "seccomp", true},
    {"userfaultfd", "", "seccomp", true},
    {"bpf", "", "seccomp privileges(root)", true},
    {"perf", "", "seccomp", true},
    {"other-numbers", "", "seccomp", true},
    {"allocate", "", "memory", false},
};

/* --- one attack ---------------------------------------------------------------------------------
 */

/* Cut "seccomp landlock(abi4)" into names, leaving out those whose condition does not hold. `all`
 * gets every name, comma-separated. */
static size_t read_layers(const desk_t *desk, const char *layers, char names[][32], char *all)
{
    size_t count = 0;
    char copy[128];
    char *rest = NULL;
    snprintf(copy, sizeof copy, "%s", layers);
    all[0] = '\0';
    for (char *one = strtok_r(copy, " ", &rest); one != NULL; one = strtok_r(NULL, " ", &rest)) {
        char *condition = strchr(one, '(');
        bool holds = condition == NULL || (strcmp(condition, "(root)") == 0 && desk->is_root) ||
                     (strcmp(condition, "(abi4)") == 0 && desk->landlock_abi >= ABI_NET) ||
                     (strcmp(condition, "(abi6)") == 0 && desk->landlock_abi >= ABI_SCOPE);
        if (condition != NULL) {
            *condition = '\0';
        }
        strcat(strcat(all, all[0] != '\0' ? "," : ""), one);
        if (holds) {
            snprintf(names[count++], 32, "%s", one);
        }
    }
    return count;
}

/* All names in `all` but `kept`. */
static void all_but(const char *all, const char *kept, char *without, size_t size)
{
    char copy[128];
    char *rest = NULL;
    size_t used = 0;
    snprintf(copy, sizeof copy, "%s", all);
    without[0] = '\0';
    for (char *one = strtok_r(copy, ",", &rest); one != NULL; one = strtok_r(NULL, ",", &rest)) {
        if (strcmp(one, kept) != 0) {
            used += (size_t)snprintf(without + used, size - used, "%s%s", used > 0 ? "," : "", one);
        }
    }
}

static bool succeeds(desk_t *desk, const attack_t *attack, const char *without)
{
    desk_prepare(desk);
    desk_run_t run = {.attack = attack->name,
                      .argument = attack->argument,
                      .without = without,
                      .own_input = strcmp(attack->name, "exec-input") == 0};
    bool got = desk_attack(desk, &run);
    umount2(desk->mount, MNT_DETACH);
    return got;
}

static void check(desk_t *desk, const attack_t *attack)
{
    char names[8][32], all[128], without[128];
    size_t count = read_layers(desk, attack->layers, names, all);
    if (succeeds(desk, attack, "")) {
        fail_msg("%s %s succeeds in the whole sandbox", attack->name, attack->argument);
    }
    for (size_t i = 0; i < count; i++) {
        all_but(all, names[i], without, sizeof without);
        if (succeeds(desk, attack, without)) {
            fail_msg("%s %s: %s alone does not stop it", attack->name, attack->argument, names[i]);
        }
    }
    if (!succeeds(desk, attack, all)) {
        if (!attack->system) {
            fail_msg("%s %s: without %s it is stopped too, so nothing was shown", attack->name,
                     attack->argument, all);
        }
        print_message("%s: this system forbids it without us: not shown\n", attack->name);
    }
}

static void test_every_attack_is_stopped_by_the_layers_named(void **state)
{
    for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++) {
        check(*state, &attacks[i]);
    }
}

/* --- time, memory, output
 * --------------------------------------------------------------------------
 */

static void test_processor_time_is_bounded(void **state)
{
    desk_run_t run = {.attack = "spin", .cpu_s = 1};
    assert_false(desk_attack(*state, &run));
    assert_int_equal(run.result.end, SANDBOX_TIMEOUT);
    desk_run_t free_run = {.attack = "spin", .cpu_s = 1, .without = "cpu"};
    assert_true(desk_attack(*state, &free_run));
}

static void test_who_ignores_the_end_of_its_processor_time_is_killed(void **state)
{
    desk_run_t run = {.attack = "spin-on", .cpu_s = 1};
    assert_false(desk_attack(*state, &run));
    assert_int_equal(run.result.end, SANDBOX_TIMEOUT);
}

static void test_the_wall_clock_kills_who_ignores_every_signal(void **state)
{
    static const char *const names[] = {"sleep-deaf", "sleep-silent"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        desk_run_t run = {.attack = names[i], .wall_ms = 100};
        assert_false(desk_attack(*state, &run));
        assert_int_equal(run.result.end, SANDBOX_TIMEOUT);
        assert_true(run.result.wall_ms >= 100);
        desk_run_t long_run = {.attack = names[i]};
        assert_true(desk_attack(*state, &long_run));
    }
}

static void test_output_is_bounded(void **state)
{
    desk_run_t run = {.attack = "flood", .max_output = 10000};
    assert_false(desk_attack(*state, &run));
    assert_int_equal(run.result.end, SANDBOX_OVERFLOW);
    assert_int_equal(run.out_size, 10000);
    desk_run_t free_run = {.attack = "flood", .max_output = 4 << 20};
    assert_true(desk_attack(*state, &free_run));
}

static void test_standard_error_is_bounded_and_stops_nobody(void **state)
{
    desk_run_t run = {.attack = "flood-errors"};
    assert_true(desk_attack(*state, &run));
    assert_int_equal(run.result.end, SANDBOX_EXITED);
    assert_int_equal(run.result.err_size, SANDBOX_ERR_MAX);
}

static void test_engines_with_threads_still_start_no_process(void **state)
{
    desk_run_t threads = {.attack = "thread", .threads = true};
    assert_true(desk_attack(*state, &threads));
    static const char *const names[] = {"fork", "fork-bomb", "daemon", "user-namespace", "shell"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        desk_run_t run = {.attack = names[i], .threads = true};
        assert_false(desk_attack(*state, &run));
    }
}

/* --- the input
 * -------------------------------------------------------------------------------------
 */

/* What is read is no program, whatever it holds and whichever layer is missing. */
static void test_the_input_cannot_be_executed_nor_changed(void **state)
{
    desk_t *desk = *state;
    int fd = -1;
    assert_int_equal(sandbox_input(desk->attacker_bytes, desk->attacker_size, &fd, NULL),
                     MAILBUS_OK);
    assert_true(pwrite(fd, "x", 1, 0) < 0);
    assert_true(ftruncate(fd, 0) < 0);
    desk_run_t run = {.attack = "exec-input", .input = fd, .without = "seccomp,landlock"};
    assert_false(desk_attack(desk, &run));
    close(fd);
}

/* --- the end of the parent
 * ----------------------------------------------------------------------------
 */

/* The child of `parent`, once it has become the attacker. */
static pid_t find_child(const desk_t *desk, pid_t parent)
{
    char path[64], line[64];
    pid_t child = 0;
    snprintf(path, sizeof path, "/proc/%ld/task/%ld/children", (long)parent, (long)parent);
    for (int tries = 0; tries < 2000; tries++) {
        FILE *file = fopen(path, "re");
        if (file != NULL && fgets(line, sizeof line, file) != NULL) {
            child = (pid_t)strtol(line, NULL, 10);
        }
        if (file != NULL) {
            fclose(file);
        }
        if (child > 0 && desk_is_attacker(desk, child)) {
            return child;
        }
        usleep(1000);
    }
    return 0;
}

/* Milliseconds until the attacker is gone after its parent was killed; -1: it lives on. */
static int outlives(desk_t *desk, const char *without)
{
    pid_t parent = fork();
    assert_true(parent >= 0);
    if (parent == 0) {
        desk_run_t run = {.attack = "live", .without = without};
        desk_attack(desk, &run);
        _exit(0);
    }
    pid_t child = find_child(desk, parent);
    assert_true(child > 0);
    int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    assert_true(pidfd >= 0);
    kill(parent, SIGKILL);
    waitpid(parent, NULL, 0);
    int result = desk_wait_readable(pidfd, 500);
    kill(child, SIGKILL);
    close(pidfd);
    return result;
}

static void test_the_engine_dies_with_its_parent(void **state)
{
    assert_true(outlives(*state, "") >= 0);
    assert_int_equal(outlives(*state, "parent-death"), -1);
}

/* --- fails closed
 * ------------------------------------------------------------------------------------
 */

static void test_without_no_new_privs_nothing_is_started(void **state)
{
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) {
        print_message("no-new-privs: inherited: nothing to show\n");
        return;
    }
    desk_run_t run = {.attack = "say", .without = "no-new-privs"};
    assert_false(desk_attack(*state, &run));
    assert_int_equal(run.code, MAILBUS_EACCESS);
    assert_non_null(strstr(run.error.text, "landlock"));
}

static void test_an_engine_that_is_not_there_is_told(void **state)
{
    desk_t *desk = *state;
    const char *const argv[] = {"/nowhere/engine", NULL};
    sandbox_job_t job = desk_job(desk, argv);
    sandbox_result_t result;
    mailbus_error_t error = {.text = ""};
    assert_int_equal(sandbox_run(&job, &result, &error), MAILBUS_EACCESS);
    assert_non_null(strstr(error.text, "engine: No such file"));
    job.helper = "/nowhere/helper";
    assert_int_equal(sandbox_run(&job, &result, &error), MAILBUS_ENOTFOUND);
}

static void test_nothing_can_be_told_by_a_helper_that_ends_early(void **state)
{
    desk_t *desk = *state;
    const char *const argv[] = {desk->attacker, "say", NULL};
    sandbox_job_t job = desk_job(desk, argv);
    sandbox_result_t result;
    mailbus_error_t error = {.text = ""};
    job.helper = desk->attacker; /* a program that says nothing on the status pipe */
    assert_int_equal(sandbox_run(&job, &result, &error), MAILBUS_EACCESS);
    job.helper = desk->helper;
    job.max_memory = 1 << 20; /* too little for the helper itself */
    assert_int_equal(sandbox_run(&job, &result, &error), MAILBUS_EACCESS);
}

static void test_out_of_descriptors_is_not_the_files_fault(void **state)
{
    desk_t *desk = *state;
    const char *const argv[] = {desk->attacker, "say", NULL};
    sandbox_job_t job = desk_job(desk, argv);
    sandbox_result_t result;
    struct rlimit before, few;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 12;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    mailbus_code_t code = sandbox_run(&job, &result, NULL);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(code, MAILBUS_EAGAIN);
    assert_int_equal(sandbox_run(&job, &result, NULL), MAILBUS_OK);
    sandbox_result_free(&result);
}

/* An argument is the one test to run. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_attack_is_stopped_by_the_layers_named),
        cmocka_unit_test(test_processor_time_is_bounded),
        cmocka_unit_test(test_who_ignores_the_end_of_its_processor_time_is_killed),
        cmocka_unit_test(test_the_wall_clock_kills_who_ignores_every_signal),
        cmocka_unit_test(test_output_is_bounded),
        cmocka_unit_test(test_standard_error_is_bounded_and_stops_nobody),
        cmocka_unit_test(test_engines_with_threads_still_start_no_process),
        cmocka_unit_test(test_the_input_cannot_be_executed_nor_changed),
        cmocka_unit_test(test_the_engine_dies_with_its_parent),
        cmocka_unit_test(test_without_no_new_privs_nothing_is_started),
        cmocka_unit_test(test_an_engine_that_is_not_there_is_told),
        cmocka_unit_test(test_nothing_can_be_told_by_a_helper_that_ends_early),
        cmocka_unit_test(test_out_of_descriptors_is_not_the_files_fault),
    };
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, desk_setup, desk_teardown);
}
