/* SIGHUP. Each part is taken or left on its own: a typo in a certificate must not keep a revoked
 * key allowed. */
#include <stdlib.h>

#include "gateway.h"
#include "gateway_settings.h"

static void failed(const gateway_t *self, const char *what, const mailbus_error_t *error)
{
    mb_log(self->log, MB_ERROR, "main", "not reloaded, the old stays in force", MB_S("part", what),
           MB_S("error", error->text));
}

static void reload_settings(gateway_t *self)
{
    char *refused = NULL;
    mailbus_error_t error;
    if (mb_settings_reload(self->settings, &refused, &error) != MAILBUS_OK) {
        failed(self, "settings", &error);
        return;
    }
    if (refused != NULL && refused[0] != '\0') {
        mb_log(self->log, MB_WARN, "main", "changed, but takes a restart", MB_S("keys", refused));
    }
    free(refused);
    gateway_configure_log(self->settings, self->log);
    journal_options_t journal;
    gateway_journal_options(self->settings, &journal);
    journal_set_retention(self->bus.journal, journal.keep_bodies_ms, journal.keep_ids_ms,
                          journal.max_size);
}

/* Secrets, limits, TLS files. */
static void reload_http(gateway_t *self)
{
    http_options_t options;
    gateway_http_options(self->settings, &options);
    verify_keys_t *keys = NULL;
    mailbus_error_t error;
    mailbus_code_t code = gateway_verify_keys(self->settings, &keys, &error);
    if (code == MAILBUS_OK) {
        code = http_reload(self->http, &options, &keys, &error);
    }
    verify_keys_free(&keys);
    if (code != MAILBUS_OK) {
        failed(self, "http", &error);
    }
}

void gateway_reload(gateway_t *self)
{
    reload_settings(self);
    reload_http(self);
    gateway_bus_reload_keys(&self->bus, mb_settings_text(self->settings, "bus.curve_dir"));
    mb_log(self->log, MB_INFO, "main", "reloaded");
}
