#include "gateway.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "gateway_probe.h"
#include "gateway_settings.h"

/* How long requests in flight may take to be answered after a stop was asked for. Together with the
 * linger of the bus sockets it stays below the ten seconds of the whole stop. */
#define ANSWER_GRACE_MS 5000

/* Sockets in the process: the two of the bus, the two of ZAP, monitors, probes. */
#define SOCKETS_MAX 64

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
    if (!publisher_bound(self->publisher) || !replay_bound(self->replay)) {
        snprintf(reason, size, "the bus is being bound again");
        return false;
    }
    return journal_writable(self->journal, reason, size);
}

static mailbus_code_t open_journal(gateway_t *self, mailbus_error_t *error)
{
    journal_options_t options;
    gateway_journal_options(self->settings, &options);
    return journal_open(&options, self->metrics, self->log, &self->journal, error);
}

/* The ZAP handler runs before any socket is bound: whoever came earlier would not be asked. */
static mailbus_code_t load_keys(gateway_t *self, mailbus_error_t *error)
{
    const char *dir = mb_settings_text(self->settings, "bus.curve_dir");
    self->curve = dir[0] != '\0';
    if (!self->curve) {
        return MAILBUS_OK;
    }
    mailbus_code_t code = mb_keys_load_server(dir, &self->own, error);
    return code == MAILBUS_OK
               ? mb_zap_new(self->context, dir, self->metrics, self->log, &self->zap, error)
               : code;
}

static mailbus_code_t check_strangers(gateway_t *self, mailbus_error_t *error)
{
    if (!self->curve) {
        return MAILBUS_OK;
    }
    const char *key = self->own.public_key;
    mailbus_code_t code =
        gateway_probe(self->context, ZMQ_SUB, publisher_endpoint(self->publisher), key, error);
    if (code == MAILBUS_OK) {
        code = gateway_probe(self->context, ZMQ_DEALER, replay_endpoint(self->replay), key, error);
    }
    if (code != MAILBUS_OK) {
        return code;
    }
    mb_log(self->log, MB_INFO, "main", "checked: an unknown key stays out of the bus");
    return MAILBUS_OK;
}

static mailbus_code_t start_bus(gateway_t *self, mailbus_error_t *error)
{
    const mb_key_pair_t *own = self->curve ? &self->own : NULL;
    publisher_options_t publisher;
    gateway_publisher_options(self->settings, own, &publisher);
    mailbus_code_t code = publisher_new(self->context, &publisher, self->journal, self->metrics,
                                        self->log, &self->publisher, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    replay_options_t replay;
    gateway_replay_options(self->settings, own, &replay);
    code = replay_new(self->context, &replay, self->journal, self->metrics, self->log,
                      &self->replay, error);
    return code == MAILBUS_OK ? check_strangers(self, error) : code;
}

static mailbus_code_t open_http(gateway_t *self, mailbus_error_t *error)
{
    http_options_t options;
    gateway_http_options(self->settings, &options);
    verify_keys_t *keys = NULL;
    mailbus_code_t code = gateway_verify_keys(self->settings, &keys, error);
    if (code == MAILBUS_OK) {
        code =
            http_new(&options, &keys, self->journal, self->metrics, self->log, &self->http, error);
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

static mailbus_code_t start_context(gateway_t *self, mailbus_error_t *error)
{
    self->metrics = mb_metrics_new();
    self->context = zmq_ctx_new();
    if (self->metrics == NULL || self->context == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory to start with");
    }
    zmq_ctx_set(self->context, ZMQ_MAX_SOCKETS, SOCKETS_MAX);
    mb_metric_set(mb_gauge(self->metrics, "mailbus_build_info", "version=\"" MAILBUS_VERSION "\"",
                           "1; the label tells which version runs"),
                  1);
    return MAILBUS_OK;
}

mailbus_code_t gateway_start(gateway_t *self, mailbus_error_t *error)
{
    mailbus_code_t code = start_context(self, error);
    if (code == MAILBUS_OK) {
        code = open_journal(self, error);
    }
    if (code == MAILBUS_OK) {
        code = load_keys(self, error);
    }
    if (code == MAILBUS_OK) {
        code = start_bus(self, error);
    }
    if (code == MAILBUS_OK) {
        code = open_http(self, error);
    }
    if (code == MAILBUS_OK) {
        code = start_admin(self, error);
    }
    if (code == MAILBUS_OK) {
        journal_on_commit(self->journal, publisher_committed, self->publisher);
        code = journal_start(self->journal, error);
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
    if (self->journal != NULL) {
        journal_stop(self->journal); /* the publisher has everything now */
    }
    mb_admin_destroy(&self->admin); /* before what its readiness asks */
    publisher_destroy(&self->publisher);
    replay_destroy(&self->replay);
    http_destroy(&self->http);
    journal_close(&self->journal);
    mb_zap_destroy(&self->zap);
    if (self->context != NULL) {
        zmq_ctx_term(self->context); /* waits for what lingers */
        self->context = NULL;
    }
    mb_metrics_destroy(&self->metrics);
    explicit_bzero(&self->own, sizeof self->own);
}
