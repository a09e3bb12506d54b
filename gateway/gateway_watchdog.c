#include "gateway_watchdog.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "wake.h"

struct gateway_watchdog {
    mb_log_t *log;
    int limit_ms;
    int wake_fd;
    pthread_t thread;
};

static void *watch(void *arg)
{
    gateway_watchdog_t *self = arg;
    const int64_t deadline = mb_clock_monotonic_ms() + self->limit_ms;
    struct pollfd item = {.fd = self->wake_fd, .events = POLLIN};
    for (;;) {
        int64_t left = deadline - mb_clock_monotonic_ms();
        int ready = poll(&item, 1, left > 0 ? (int)left : 0);
        if (ready > 0) {
            return NULL;
        }
        if (ready == 0 && left <= 0) {
            mb_log(self->log, MB_ERROR, "main", "stopping took too long, ending now",
                   MB_I("limit_ms", self->limit_ms));
            _exit(1);
        }
    }
}

gateway_watchdog_t *gateway_watchdog_new(mb_log_t *log, int limit_ms)
{
    gateway_watchdog_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->log = log;
    self->limit_ms = limit_ms;
    if (mb_wake_new(&self->wake_fd, NULL) != MAILBUS_OK) {
        free(self);
        return NULL;
    }
    if (pthread_create(&self->thread, NULL, watch, self) != 0) {
        close(self->wake_fd);
        free(self);
        return NULL;
    }
    return self;
}

void gateway_watchdog_destroy(gateway_watchdog_t **self_p)
{
    gateway_watchdog_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    mb_wake(self->wake_fd);
    pthread_join(self->thread, NULL);
    close(self->wake_fd);
    free(self);
}
