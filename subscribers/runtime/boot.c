#include "boot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock.h"

static void notify(void *arg)
{
    const boot_t *self = arg;
    uint64_t one = 1;
    if (write(self->wake, &one, sizeof one) < 0) {
        /* Full: it is awake. */
    }
}

static bool is_ready(void *arg, char *reason, size_t size)
{
    boot_t *self = arg;
    if (atomic_load(&self->runtime.stopping)) {
        snprintf(reason, size, "stopping");
        return false;
    }
    return inbox_writable(self->runtime.inbox, reason, size) && bus_ready(self->bus, reason, size);
}

/* --- start --------------------------------------------------------------------------------------
 */

void boot_configure_log(mailbus_runtime_t *runtime)
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
static mailbus_code_t note_shard(boot_t *self, mailbus_error_t *error)
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

static mailbus_code_t open_inbox(boot_t *self, mailbus_error_t *error)
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

static mailbus_code_t start_subscriber(boot_t *self, mailbus_error_t *error)
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

static mailbus_code_t open_bus(boot_t *self, mailbus_error_t *error)
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

static mailbus_code_t open_admin(boot_t *self, mailbus_error_t *error)
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

mailbus_code_t boot_start(boot_t *self, mailbus_error_t *error)
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

/* --- stop ---------------------------------------------------------------------------------------
 */

void boot_stop(boot_t *self, int status)
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

static void close_all(boot_t *self)
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

void boot_free(boot_t *self)
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

int boot_end_rebuild(boot_t *self, int status)
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
