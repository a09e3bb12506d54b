#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "signals.h"

static void test_signals_are_taken_in_turn_and_not_delivered(void **state)
{
    (void)state;
    setenv("ZSYS_SNDHWM", "1", 1);
    setenv("ZSYS_LINGER", "1", 1);
    setenv("MAILBUS_KEPT", "1", 1);
    int fd = -1;
    assert_int_equal(mb_signals_block(&fd, NULL), MAILBUS_OK);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_null(getenv("ZSYS_SNDHWM"));
    assert_null(getenv("ZSYS_LINGER"));
    assert_non_null(getenv("MAILBUS_KEPT"));

    assert_int_equal(mb_signals_wait(fd, 0), MB_SIGNAL_NONE);
    assert_int_equal(mb_signals_wait(fd, 5), MB_SIGNAL_NONE);
    assert_int_equal(kill(getpid(), SIGHUP), 0);
    assert_int_equal(mb_signals_wait(fd, -1), MB_SIGNAL_RELOAD);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    assert_int_equal(mb_signals_wait(fd, -1), MB_SIGNAL_STOP);
    assert_int_equal(kill(getpid(), SIGINT), 0);
    assert_int_equal(mb_signals_wait(fd, 1000), MB_SIGNAL_STOP);
    assert_int_equal(mb_signals_wait(fd, 0), MB_SIGNAL_NONE);
    close(fd);
}

static void test_a_closed_pipe_is_an_error_and_no_end(void **state)
{
    (void)state;
    int fd = -1;
    int ends[2];
    assert_int_equal(mb_signals_block(&fd, NULL), MAILBUS_OK);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    close(ends[0]);
    assert_int_equal(write(ends[1], "x", 1), -1);
    close(ends[1]);
    close(fd);
}

static void test_descriptors_go_up_to_the_hard_limit(void **state)
{
    (void)state;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit low = {.rlim_cur = 100, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    int fd = -1;
    assert_int_equal(mb_signals_block(&fd, NULL), MAILBUS_OK);
    struct rlimit after;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &after), 0);
    assert_int_equal(after.rlim_cur, before.rlim_max < 65536 ? before.rlim_max : 65536);
    assert_int_equal(after.rlim_max, before.rlim_max);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signals_are_taken_in_turn_and_not_delivered),
        cmocka_unit_test(test_a_closed_pipe_is_an_error_and_no_end),
        cmocka_unit_test(test_descriptors_go_up_to_the_hard_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
