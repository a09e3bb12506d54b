/* mailbus_subscriber_main: settings, boot, wait, stop. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "boot.h"
#include "signals.h"

enum {
    EXIT_USAGE = 2,
    REBUILD_POLL_MS = 20, /* how often a rebuild is looked at: is everything handled? */
};

static void reload(boot_t *self)
{
    mailbus_runtime_t *runtime = &self->runtime;
    char *refused = NULL;
    mailbus_error_t error = {0};
    pthread_mutex_lock(&runtime->settings_lock);
    mailbus_code_t code = mb_settings_reload(runtime->settings, &refused, &error);
    pthread_mutex_unlock(&runtime->settings_lock);
    if (code != MAILBUS_OK) {
        mb_log(runtime->log, MB_ERROR, "main", "settings not reloaded: nothing has changed",
               MB_S("reason", error.text));
        return;
    }
    if (refused != NULL && refused[0] != '\0') {
        mb_log(runtime->log, MB_WARN, "main", "these settings change with a restart only",
               MB_S("keys", refused));
    }
    free(refused);
    boot_configure_log(runtime);
    runtime_read_backoff(runtime);
    if (runtime->subscriber->reload != NULL &&
        runtime->subscriber->reload(runtime->self, runtime, &error) != 0) {
        mb_log(runtime->log, MB_ERROR, "main", "the subscriber keeps its old rules",
               MB_S("reason", error.text));
        return;
    }
    mb_log(runtime->log, MB_INFO, "main", "settings reloaded");
}

/* Until it is stopped (0) or can't go on (1). "ready" means: from here on nothing is missed. */
static int wait_for_end(boot_t *self)
{
    mailbus_runtime_t *runtime = &self->runtime;
    bool ready = false;
    for (;;) {
        char reason[256];
        if (bus_failed(self->bus, reason, sizeof reason)) {
            mb_log(runtime->log, MB_ERROR, "main", "can't go on", MB_S("reason", reason));
            return EXIT_FAILURE;
        }
        if (!ready && bus_positioned(self->bus)) {
            ready = true;
            mb_log(runtime->log, MB_INFO, "main", "ready");
        }
        if (self->rebuild != NULL && bus_caught_up(self->bus) && inbox_rows(runtime->inbox) == 0) {
            return EXIT_SUCCESS;
        }
        struct pollfd wait[] = {{.fd = self->signals, .events = POLLIN},
                                {.fd = self->wake, .events = POLLIN}};
        if (poll(wait, 2, self->rebuild != NULL ? REBUILD_POLL_MS : -1) < 0 && errno != EINTR) {
            mb_log(runtime->log, MB_ERROR, "main", "poll", MB_S("reason", strerror(errno)));
            return EXIT_FAILURE;
        }
        uint64_t ignored;
        if (wait[1].revents != 0 && read(self->wake, &ignored, sizeof ignored) < 0) {
            /* Somebody was faster: it only wakes. */
        }
        switch (wait[0].revents != 0 ? mb_signals_wait(self->signals, 0) : MB_SIGNAL_NONE) {
        case MB_SIGNAL_STOP:
            return self->rebuild == NULL ? EXIT_SUCCESS : EXIT_FAILURE;
        case MB_SIGNAL_RELOAD:
            reload(self);
            break;
        case MB_SIGNAL_NONE:
            break;
        }
    }
}

static int run(boot_t *self)
{
    mailbus_runtime_t *runtime = &self->runtime;
    mailbus_error_t error = {0};
    runtime->log = mb_log_new(mb_settings_program(runtime->settings), STDERR_FILENO);
    runtime->metrics = mb_metrics_new();
    if (runtime->log == NULL || runtime->metrics == NULL) {
        fprintf(stderr, "out of memory\n");
        return EXIT_FAILURE;
    }
    boot_configure_log(runtime);
    int status = EXIT_FAILURE;
    if (boot_start(self, &error) == MAILBUS_OK) {
        status = wait_for_end(self);
    } else {
        mb_log(runtime->log, MB_ERROR, "main", "can't start", MB_S("reason", error.text));
    }
    boot_stop(self, status);
    return self->rebuild == NULL ? status : boot_end_rebuild(self, status);
}

int mailbus_subscriber_main(int argc, char **argv, const mailbus_subscriber_t *subscriber)
{
    boot_t program = {.runtime = {.subscriber = subscriber}, .signals = -1, .wake = -1};
    mailbus_error_t error = {0};
    mb_settings_action_t action = MB_SETTINGS_EXIT;
    int status = EXIT_FAILURE;
    pthread_mutex_init(&program.runtime.settings_lock, NULL);
    mailbus_code_t code = mb_signals_block(&program.signals, &error);
    if (code == MAILBUS_OK) {
        code = options_new(subscriber, &program.options, &error);
    }
    if (code == MAILBUS_OK) {
        program.runtime.settings = options_settings(program.options);
        code =
            mb_settings_read(program.runtime.settings, argc, argv, stdout, NULL, &action, &error);
        status = code == MAILBUS_EINVAL ? EXIT_USAGE : EXIT_FAILURE;
    }
    program.runtime.rebuilding = code == MAILBUS_OK && action == MB_SETTINGS_RUN &&
                                 subscriber->carry != NULL &&
                                 mb_settings_boolean(program.runtime.settings, "state.rebuild");
    if (code == MAILBUS_OK && action == MB_SETTINGS_RUN) {
        code = options_topics(program.options, &program.topics, &program.prefixes, &error);
    }
    if (code != MAILBUS_OK) {
        fprintf(stderr, "mailbus-%s: %s\n", subscriber->name, error.text);
    } else {
        status = action == MB_SETTINGS_RUN ? run(&program) : EXIT_SUCCESS;
    }
    boot_free(&program);
    return status;
}
