/* The running gateway: all stages, in the order of the data. main's thread owns it. */
#ifndef GATEWAY_H
#define GATEWAY_H

#include "admin.h"
#include "gateway_bus.h"
#include "http.h"
#include "settings.h"

typedef struct {
    /* Lent. */
    mb_settings_t *settings;
    mb_log_t *log;
    /* Its own. */
    mb_metrics_t *metrics;
    gateway_bus_t bus; /* journal, publisher, replay */
    http_t *http;
    mb_admin_t *admin;
    atomic_bool stopping; /* read on the admin listener's thread */
} gateway_t;

/* Start every stage. On failure `error` says what to do, and gateway_stop takes what there is. */
MAILBUS_MUST_USE mailbus_code_t gateway_start(gateway_t *self, mailbus_error_t *error);
/* Take what SIGHUP may change: settings, secrets, TLS files, allowed keys. Where one of them is
 * wrong, that one stays as it was, and the log says so. */
void gateway_reload(gateway_t *self);
/* Stop accepting, answer what is in flight, commit it, publish it, say the last heads, free
 * everything. Takes half-started ones. */
void gateway_stop(gateway_t *self);

/* Apply log.level and log.format. */
void gateway_configure_log(const mb_settings_t *settings, mb_log_t *log);

#endif
