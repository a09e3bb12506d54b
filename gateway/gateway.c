#include "gateway.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "gateway_settings.h"

/* How long requests in flight may take to be answered after a stop was asked for. Together with the
 * linger of the bus sockets it stays below the ten seconds of the whole stop. */
#define ANSWER_GRACE_MS 5000

void gateway_configure_log(const mb_settings_t *settings, mb_log_t *log)
{
    mb_log_level_t level;
    mb_log_format_t format;
    mailbus_code_t code = mb_log_level_parse(mb_settings_text(settings, "log.level"), &level);
    assert(code == MAILBUS_OK); /* both are choices: the settings took no other word */
    code = mb_log_format_parse(mb_settings_text(settings, "log.format"), &format);
    assert(code == MAILBUS_OK);
    (void)code;
    mb_log_configure(log, level, format);
}

/* An mb_ready_fn: on the admin listener's thread. */
static bool is_ready(void *arg, char *reason, size_t size)
{
    gateway_t *self = arg;
    if (atomic_load(&self->stopping)) {
        snprintf(reason, size, "stopping");
        return false;
    }
    return gateway_bus_ready(&self->bus, reason, size);
}

static mailbus_code_t open_bus(gateway_t *self, mailbus_error_t *error)
{
    gateway_bus_options_t options;
    gateway_bus_options(self->settings, &options);
    return gateway_bus_open(&self->bus, &options, self->metrics, self->log, error);
}

static mailbus_code_t open_http(gateway_t *self, mailbus_error_t *error)
{
    http_options_t options;
    gateway_http_options(self->settings, &options);
    verify_keys_t *keys = NULL;
    mailbus_code_t code = gateway_verify_keys(self->settings, &keys, error);
    if (code == MAILBUS_OK) {
        code = http_new(&options, &keys, self->bus.journal, self->metrics, self->log, &self->http,
                        error);
    }
    verify_keys_free(&keys);
    return code;
}

static mailbus_code_t start_admin(gateway_t *self, mailbus_error_t *error)
{
    mailbus_code_t code = mb_admin_new(mb_settings_text(self->settings, "admin.listen"),
                                       self->metrics, is_ready, self, &self->admin, error);
    if (code == MAILBUS_OK && self->admin != NULL) {
        mb_log(self->log, MB_INFO, "admin", "listening",
               MB_S("address", mb_admin_address(self->admin)));
    }
    return code;
}

static mailbus_code_t start_metrics(gateway_t *self, mailbus_error_t *error)
{
    self->metrics = mb_metrics_new();
    if (self->metrics == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory to start with");
    }
    mb_metric_set(mb_gauge(self->metrics, "mailbus_build_info", "version=\"" MAILBUS_VERSION "\"",
                           "1; the label tells which version runs"),
                  1);
    return MAILBUS_OK;
}

mailbus_code_t gateway_start(gateway_t *self, mailbus_error_t *error)
{
    mailbus_code_t code = start_metrics(self, error);
    if (code == MAILBUS_OK) {
        code = open_bus(self, error);
    }
    if (code == MAILBUS_OK) {
        code = open_http(self, error);
    }
    if (code == MAILBUS_OK) {
        code = start_admin(self, error);
    }
    if (code == MAILBUS_OK) {
        code = gateway_bus_start(&self->bus, error);
    }
    if (code == MAILBUS_OK) {
        code = http_start(self->http, error); /* last: from now on events come */
    }
    return code;
}

void gateway_stop(gateway_t *self)
{
    atomic_store(&self->stopping, true);
    if (self->http != NULL) {
        http_stop(self->http, ANSWER_GRACE_MS); /* the journal still answers */
    }
    gateway_bus_stop(&self->bus);
    mb_admin_destroy(&self->admin); /* before what its readiness asks */
    http_destroy(&self->http);
    gateway_bus_close(&self->bus);
    mb_metrics_destroy(&self->metrics);
}
