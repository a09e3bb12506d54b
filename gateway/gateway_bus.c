#include "gateway_bus.h"

#include <stdio.h>
#include <string.h>

#include "gateway_probe.h"

/* Sockets of one bus: its two, the two of ZAP, monitors, probes. */
#define SOCKETS_MAX 64

/* The ZAP handler runs before any socket is bound: whoever came earlier would not be asked. */
static mailbus_code_t load_keys(gateway_bus_t *self, const char *dir, mailbus_error_t *error)
{
    self->curve = dir[0] != '\0';
    if (!self->curve) {
        return MAILBUS_OK;
    }
    mailbus_code_t code = mb_keys_load_server(dir, &self->own, error);
    return code == MAILBUS_OK
               ? mb_zap_new(self->context, dir, self->metrics, self->log, &self->zap, error)
               : code;
}

static mailbus_code_t check_strangers(gateway_bus_t *self, mailbus_error_t *error)
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

static mailbus_code_t open_sockets(gateway_bus_t *self, const gateway_bus_options_t *options,
                                   mailbus_error_t *error)
{
    publisher_options_t publisher = options->publisher;
    replay_options_t replay = options->replay;
    publisher.own = replay.own = self->curve ? &self->own : NULL;
    mailbus_code_t code = publisher_new(self->context, &publisher, self->journal, self->metrics,
                                        self->log, &self->publisher, error);
    if (code == MAILBUS_OK) {
        code = replay_new(self->context, &replay, self->journal, self->metrics, self->log,
                          &self->replay, error);
    }
    return code == MAILBUS_OK ? check_strangers(self, error) : code;
}

mailbus_code_t gateway_bus_open(gateway_bus_t *self, const gateway_bus_options_t *options,
                                mb_metrics_t *metrics, mb_log_t *log, mailbus_error_t *error)
{
    self->metrics = metrics;
    self->log = log;
    self->context = zmq_ctx_new();
    if (self->context == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory to start with");
    }
    zmq_ctx_set(self->context, ZMQ_MAX_SOCKETS, SOCKETS_MAX);
    mailbus_code_t code = journal_open(&options->journal, metrics, log, &self->journal, error);
    if (code == MAILBUS_OK) {
        code = load_keys(self, options->curve_dir, error);
    }
    return code == MAILBUS_OK ? open_sockets(self, options, error) : code;
}

mailbus_code_t gateway_bus_start(gateway_bus_t *self, mailbus_error_t *error)
{
    journal_on_commit(self->journal, publisher_committed, self->publisher);
    return journal_start(self->journal, error);
}

bool gateway_bus_ready(const gateway_bus_t *self, char *reason, size_t size)
{
    if (!publisher_bound(self->publisher) || !replay_bound(self->replay)) {
        snprintf(reason, size, "the bus is being bound again");
        return false;
    }
    return journal_writable(self->journal, reason, size);
}

static void not_reloaded(const gateway_bus_t *self, const char *what, const mailbus_error_t *error)
{
    mb_log(self->log, MB_ERROR, "main", "not reloaded, the old stays in force", MB_S("part", what),
           MB_S("error", error->text));
}

void gateway_bus_reload_keys(gateway_bus_t *self, const char *curve_dir)
{
    mailbus_error_t error;
    bool revoked = false;
    mb_key_pair_t own;
    if (!self->curve) {
        return;
    }
    if (mb_zap_reload(self->zap, &revoked, &error) != MAILBUS_OK) {
        not_reloaded(self, "allowed keys", &error);
        return;
    }
    if (revoked) {
        /* Keys are asked for at the handshake only: whoever is in stays in until it is cut. */
        mb_log(self->log, MB_INFO, "main", "a key was revoked: every subscriber connects anew");
        publisher_rebind(self->publisher);
        replay_rebind(self->replay);
    }
    if (mb_keys_load_server(curve_dir, &own, &error) != MAILBUS_OK) {
        not_reloaded(self, "server key", &error);
    } else if (strcmp(own.public_key, self->own.public_key) != 0) {
        mb_log(self->log, MB_WARN, "main", "changed, but takes a restart",
               MB_S("keys", "server.key"));
    }
    explicit_bzero(&own, sizeof own);
}

void gateway_bus_stop(gateway_bus_t *self)
{
    if (self->journal != NULL) {
        journal_stop(self->journal); /* the publisher has everything now */
    }
}

void gateway_bus_close(gateway_bus_t *self)
{
    gateway_bus_stop(self);
    publisher_destroy(&self->publisher);
    replay_destroy(&self->replay);
    journal_close(&self->journal);
    mb_zap_destroy(&self->zap);
    if (self->context != NULL) {
        zmq_ctx_term(self->context); /* waits for what lingers */
        self->context = NULL;
    }
    explicit_bzero(&self->own, sizeof self->own);
}
