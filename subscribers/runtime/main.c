/* mailbus_subscriber_main: boot in the order of the data, wait, stop in reverse order. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "admin.h"
#include "bus.h"
#include "clock.h"
#include "options.h"
#include "pages.h"
#include "rebuild.h"
#include "runtime_internal.h"
#include "signals.h"
#include "workers.h"

enum {
    EXIT_USAGE = 2,
    REBUILD_POLL_MS = 20, /* how often a rebuild is looked at: is everything handled? */
};

/* Everything that is made at start and unmade at the end. */
typedef struct {
    mailbus_runtime_t runtime;
    options_t *options;
    const char *const *topics;
    const char *const *prefixes;
    mb_key_pair_t own_keys;
    mb_key_pair_t server_keys;
    void *context;
    bus_t *bus;
    workers_t *workers;
    mb_admin_t *admin;
    pages_t pages;
    int signals;
    int wake;           /* eventfd: the bus is positioned, or has failed */
    bool started;       /* the subscriber's start returned 0 */
    rebuild_t *rebuild; /* NULL: a usual run */
} program_t;

static void notify(void *arg)
{
    const program_t *self = arg;
    uint64_t one = 1;
    if (write(self->wake, &one, sizeof one) < 0) {
        /* Full: it is awake. */
    }
}

static bool is_ready(void *arg, char *reason, size_t size)
{
    program_t *self = arg;
    if (atomic_load(&self->runtime.stopping)) {
        snprintf(reason, size, "stopping");
        return false;
    }
    return inbox_writable(self->runtime.inbox, reason, size) && bus_ready(self->bus, reason, size);
}

/* --- start --------------------------------------------------------------------------------------
 */

static void configure_log(mailbus_runtime_t *runtime)
{
    mb_log_level_t level = MB_INFO;
    mb_log_format_t format = MB_LOG_TEXT;
    /* Both are choices: the settings have checked them. */
    if (mb_log_level_parse(mb_settings_text(runtime->settings, "log.level"), &level) ==
            MAILBUS_OK &&
        mb_log_format_parse(mb_settings_text(runtime->settings, "log.format"), &format) ==
            MAILBUS_OK) {
        mb_log_configure(runtime->log, level, format);
    }
}

static mailbus_code_t read_shard(store_t *store, void *arg, mailbus_error_t *error)
{
    return store_get(store, "shard", arg, error);
}

static mailbus_code_t write_shard(store_t *store, void *arg, mailbus_error_t *error)
{
    return store_set(store, "shard", arg, error);
}

/* Events of another share that were passed over are not fetched again: a change is told. */
static mailbus_code_t note_shard(program_t *self, mailbus_error_t *error)
{
    mailbus_runtime_t *runtime = &self->runtime;
    char *before = NULL;
    char now[32];
    snprintf(now, sizeof now, "%.31s", mb_settings_text(runtime->settings, "shard"));
    mailbus_code_t code = inbox_with_store(runtime->inbox, read_shard, &before, error);
    if (code == MAILBUS_OK && before != NULL && strcmp(before, now) != 0) {
        mb_log(runtime->log, MB_WARN, "main",
               "another share of the work than last time: what others have taken or left behind "
               "is not looked for",
               MB_S("before", before), MB_S("shard", now));
    }
    if (code == MAILBUS_OK && (before == NULL || strcmp(before, now) != 0)) {
        code = inbox_with_store(runtime->inbox, write_shard, now, error);
    }
    free(before);
    return code;
}

static mailbus_code_t open_inbox(program_t *self, mailbus_error_t *error)
{
    mailbus_runtime_t *runtime = &self->runtime;
    const inbox_options_t options = {
        .path = self->rebuild != NULL ? rebuild_path(self->rebuild)
                                      : mb_settings_text(runtime->settings, "state.path"),
        .schema = runtime->subscriber->schema,
        .max_events = runtime_integer(runtime, "inbox.max_events"),
        .max_bytes = runtime_integer(runtime, "inbox.max_size"),
        .max_crashes = runtime_integer(runtime, "retry.max_crashes"),
        .max_dead = runtime_integer(runtime, "dead.max_events"),
    };
    mailbus_code_t code = inbox_open(&options, runtime->metrics, runtime->log, mb_clock_wall_ms(),
                                     &runtime->inbox, error);
    return code != MAILBUS_OK ? code : note_shard(self, error);
}

static mailbus_code_t start_subscriber(program_t *self, mailbus_error_t *error)
{
    mailbus_runtime_t *runtime = &self->runtime;
    if (runtime->subscriber->start == NULL) {
        self->started = true;
        return MAILBUS_OK;
    }
    mailbus_error_t own = {0};
    if (runtime->subscriber->start(runtime, &runtime->self, &own) != 0) {
        return mailbus_fail(error, own.code != MAILBUS_OK ? own.code : MAILBUS_EINVAL, "%s",
                            own.text[0] != '\0' ? own.text : "the subscriber did not start");
    }
    self->started = true;
    return MAILBUS_OK;
}

static mailbus_code_t open_bus(program_t *self, mailbus_error_t *error)
{
    const mailbus_runtime_t *runtime = &self->runtime;
    const char *keys = mailbus_setting_text(runtime, "bus.curve_dir");
    const char *policy = mailbus_setting_text(runtime, "bus.new_stream");
    bus_options_t options = {
        .publish = mailbus_setting_text(runtime, "bus.publish"),
        .replay = mailbus_setting_text(runtime, "bus.replay"),
        .topics = self->topics,
        .prefixes = self->prefixes,
        .start_oldest = self->rebuild != NULL ||
                        strcmp(mailbus_setting_text(runtime, "bus.start"), "oldest") == 0,
        .new_stream = strcmp(policy, "stop") == 0     ? BUS_STOP
                      : strcmp(policy, "oldest") == 0 ? BUS_OLDEST
                                                      : BUS_RESTART,
        .notify = notify,
        .notify_arg = self,
        .met = &self->runtime.met,
    };
    mailbus_code_t code =
        shard_parse(mailbus_setting_text(runtime, "shard"), &options.shard, error);
    if (code == MAILBUS_OK && keys[0] != '\0') {
        code = mb_keys_load_client(keys, mailbus_setting_text(runtime, "bus.curve_name"),
                                   &self->own_keys, error);
        if (code == MAILBUS_OK) {
            code = mb_keys_load_server_public(keys, &self->server_keys, error);
        }
        options.own = &self->own_keys;
        options.server_key = self->server_keys.public_key;
    }
    return code != MAILBUS_OK
               ? code
               : bus_new(self->context, &options, self->runtime.inbox, self->runtime.metrics,
                         self->runtime.log, &self->bus, error);
}

/* Where the mailbus command finds the program that holds the file. */
static mailbus_code_t note_admin(store_t *store, void *arg, mailbus_error_t *error)
{
    return store_set(store, "admin", arg, error);
}

static mailbus_code_t open_admin(program_t *self, mailbus_error_t *error)
{
    mailbus_runtime_t *runtime = &self->runtime;
    const char *listen = mb_settings_text(runtime->settings, "admin.listen");
    const char *access = mb_settings_text(runtime->settings, "admin.access");
    self->pages = pages_make(runtime->subscriber, runtime->inbox, listen, access);
    const mb_admin_more_t more = {
        .handler = pages_handle, .arg = &self->pages, .max_body = pages_max_body(&self->pages)};
    mailbus_code_t code =
        mb_admin_new_with(listen, runtime->metrics, is_ready, self, &more, &self->admin, error);
    if (code == MAILBUS_OK && self->admin != NULL) {
        mb_log(runtime->log, MB_INFO, "admin", "listening",
               MB_S("address", mb_admin_address(self->admin)));
    }
    char address[300];
    mailbus_error_t why = {0};
    snprintf(address, sizeof address, "%s", mb_admin_address(self->admin));
    if (code == MAILBUS_OK &&
        inbox_with_store(runtime->inbox, note_admin, address, &why) != MAILBUS_OK) {
        mb_log(runtime->log, MB_WARN, "admin",
               "the address could not be noted for the mailbus command", MB_S("error", why.text));
    }
    return code;
}

static mailbus_code_t start_all(program_t *self, mailbus_error_t *error)
{
    mailbus_runtime_t *runtime = &self->runtime;
    self->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    self->context = zmq_ctx_new();
    if (self->wake < 0 || self->context == NULL) {
        return mailbus_fail(error, MAILBUS_EIO, "no descriptors left: %s", strerror(errno));
    }
    runtime_read_backoff(runtime);
    mailbus_code_t code = MAILBUS_OK;
    if (runtime->rebuilding) {
        code = rebuild_new(mb_settings_text(runtime->settings, "state.path"), runtime->subscriber,
                           &self->rebuild, error);
    }
    if (code == MAILBUS_OK) {
        code = open_inbox(self, error);
    }
    if (code == MAILBUS_OK) {
        code = start_subscriber(self, error);
    }
    if (code == MAILBUS_OK) {
        code = workers_new(runtime, (unsigned)runtime_integer(runtime, "workers"), &self->workers,
                           error);
    }
    if (code == MAILBUS_OK) {
        code = open_bus(self, error);
    }
    return code != MAILBUS_OK ? code : open_admin(self, error);
}

/* --- wait ---------------------------------------------------------------------------------------
 */

static void reload(program_t *self)
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
    configure_log(runtime);
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
static int wait_for_end(program_t *self)
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

/* --- stop ---------------------------------------------------------------------------------------
 */

/* Intake first, then what is in hand, then what was finished is written. */
static void stop_all(program_t *self, int status)
{
    mailbus_runtime_t *runtime = &self->runtime;
    int64_t timeout_ms = runtime_integer(runtime, "stop.timeout");
    atomic_store(&runtime->stopping, true);
    if (self->admin != NULL || self->bus != NULL) {
        mb_log(runtime->log, MB_INFO, "main", "stopping");
    }
    if (runtime->inbox != NULL) {
        inbox_stop(runtime->inbox);
    }
    bool idle = workers_stop(&self->workers, timeout_ms);
    if (!idle) {
        mb_log(runtime->log, MB_WARN, "main",
               "a handler is still busy: its event will be handled again",
               MB_I("waited_ms", timeout_ms));
    }
    mailbus_error_t error = {0};
    if (runtime->inbox != NULL &&
        inbox_flush(runtime->inbox, 1000, mb_clock_wall_ms(), &error) != MAILBUS_OK) {
        mb_log(runtime->log, MB_WARN, "main", "finished events could not all be noted",
               MB_S("reason", error.text));
    }
    if (!idle) {
        /* A handler still uses what we would free. What is on disk is in order: the same as a kill,
         * but with everything written that could be. */
        fflush(NULL);
        _exit(status);
    }
}

static void close_all(program_t *self)
{
    mailbus_runtime_t *runtime = &self->runtime;
    mb_admin_destroy(&self->admin);
    bus_destroy(&self->bus);
    if (self->started && runtime->subscriber->stop != NULL) {
        runtime->subscriber->stop(runtime->self);
    }
    self->started = false;
    inbox_close(&runtime->inbox, true);
}

static void free_all(program_t *self)
{
    mailbus_runtime_t *runtime = &self->runtime;
    close_all(self);
    rebuild_destroy(&self->rebuild);
    if (self->context != NULL) {
        zmq_ctx_term(self->context);
    }
    mb_metrics_destroy(&runtime->metrics);
    mb_log_destroy(&runtime->log);
    options_destroy(&self->options);
    runtime_texts_free(runtime);
    pthread_mutex_destroy(&runtime->settings_lock);
    if (self->wake >= 0) {
        close(self->wake);
    }
    if (self->signals >= 0) {
        close(self->signals);
    }
}

/* Everything was handled (0) into the new file: it takes the old one's place. */
static int end_rebuild(program_t *self, int status)
{
    mailbus_runtime_t *runtime = &self->runtime;
    mailbus_error_t error = {0};
    close_all(self);
    if (status != EXIT_SUCCESS) {
        (void)mailbus_fail(&error, MAILBUS_ESTOPPED, "ended before everything was handled");
    } else if (rebuild_finish(self->rebuild, mb_clock_wall_ms(), &error) == MAILBUS_OK) {
        mb_log(runtime->log, MB_INFO, "main", "rebuilt");
        return status;
    }
    mb_log(runtime->log, MB_ERROR, "main", "not rebuilt", MB_S("reason", error.text));
    return EXIT_FAILURE;
}

static int run(program_t *self)
{
    mailbus_runtime_t *runtime = &self->runtime;
    mailbus_error_t error = {0};
    runtime->log = mb_log_new(mb_settings_program(runtime->settings), STDERR_FILENO);
    runtime->metrics = mb_metrics_new();
    if (runtime->log == NULL || runtime->metrics == NULL) {
        fprintf(stderr, "out of memory\n");
        return EXIT_FAILURE;
    }
    configure_log(runtime);
    int status = EXIT_FAILURE;
    if (start_all(self, &error) == MAILBUS_OK) {
        status = wait_for_end(self);
    } else {
        mb_log(runtime->log, MB_ERROR, "main", "can't start", MB_S("reason", error.text));
    }
    stop_all(self, status);
    return self->rebuild == NULL ? status : end_rebuild(self, status);
}

int mailbus_subscriber_main(int argc, char **argv, const mailbus_subscriber_t *subscriber)
{
    program_t program = {.runtime = {.subscriber = subscriber}, .signals = -1, .wake = -1};
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
    free_all(&program);
    return status;
}
