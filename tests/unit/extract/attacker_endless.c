/* What takes time, memory or output without end. */
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "attacker.h"

enum {
    PAGE = 4096,
    FLOOD = 1 << 20,   /* bytes */
    SPIN_MS = 1100,    /* of processor time: more than the second it is given */
    SPIN_ON_MS = 2200, /* more than the second of grace as well */
};

#define MUCH_MEMORY ((size_t)1 << 30)

bool allocate(const char *unused)
{
    (void)unused;
    char *memory = mmap(NULL, MUCH_MEMORY, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        return false;
    }
    memory[MUCH_MEMORY - 1] = 1;
    return true;
}

static int64_t spent_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool spin(const char *unused)
{
    (void)unused;
    while (spent_ms() < SPIN_MS) {
    }
    return true;
}

bool spin_on(const char *unused)
{
    (void)unused;
    signal(SIGXCPU, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    while (spent_ms() < SPIN_ON_MS) {
    }
    return true;
}

bool sleep_deaf(const char *unused)
{
    (void)unused;
    for (int i = 1; i < 32; i++) {
        signal(i, SIG_IGN);
    }
    poll(NULL, 0, ATTACK_SOME_MS);
    return true;
}

/* Nobody hears from it any more. */
bool sleep_silent(const char *unused)
{
    (void)unused;
    int out = dup(STDOUT_FILENO);
    close(STDOUT_FILENO);
    close(STDERR_FILENO);
    poll(NULL, 0, ATTACK_SOME_MS);
    dup2(out, STDOUT_FILENO);
    return true;
}

static bool flood(int fd)
{
    static const char page[PAGE];
    for (size_t written = 0; written < FLOOD;) {
        ssize_t size = write(fd, page, sizeof page);
        if (size <= 0) {
            return false;
        }
        written += (size_t)size;
    }
    return true;
}

bool flood_output(const char *unused)
{
    (void)unused;
    return flood(STDOUT_FILENO);
}

bool flood_errors(const char *unused)
{
    (void)unused;
    return flood(STDERR_FILENO);
}

bool live(const char *unused)
{
    (void)unused;
    alarm(ATTACK_LIFE_S);
    while (poll(NULL, 0, -1) < 0) {
    }
    return false;
}
