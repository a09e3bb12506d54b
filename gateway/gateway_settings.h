/* Every key of the gateway, in one table, and what the stages are to be made of. */
#ifndef GATEWAY_SETTINGS_H
#define GATEWAY_SETTINGS_H

#include "gateway_bus.h"
#include "http.h"
#include "settings.h"

/* Ends with a NULL key. */
const mb_setting_t *gateway_settings_table(void);
/* A mb_settings_check_fn: the rules over several keys, and the files that keys name. */
mailbus_code_t gateway_settings_check(const mb_settings_t *settings, mailbus_error_t *error);

/* Texts in the options are lent from the settings: until the next reload. */
void gateway_journal_options(const mb_settings_t *settings, journal_options_t *ret_options);
void gateway_http_options(const mb_settings_t *settings, http_options_t *ret_options);
void gateway_bus_options(const mb_settings_t *settings, gateway_bus_options_t *ret_options);
/* The keys of verify.secret, or those that accept everything. */
MAILBUS_MUST_USE mailbus_code_t gateway_verify_keys(const mb_settings_t *settings,
                                                    verify_keys_t **ret_keys,
                                                    mailbus_error_t *error);

#endif
