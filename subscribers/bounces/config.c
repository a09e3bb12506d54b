#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "check/server.h"

const mailbus_setting_t config_settings[] = {
    {"bounces.soft_count", "integer", "3",
     "Soft bounces within bounces.soft_window that pause an address", true, NULL},
    {"bounces.soft_window", "duration", "7d", "The time that they must lie in", true, NULL},
    {"bounces.first_pause", "duration", "7d", "The pause of an address, the first time", true,
     NULL},
    {"bounces.later_pause", "duration", "30d",
     "Every later pause, until a mail is delivered or a person clears the address", true, NULL},
    {"bounces.dead_codes", "text", CLASSIFY_DEAD,
     "Status codes (RFC 3463) after which an address is dead; not where the type is undetermined",
     true, NULL},
    {"bounces.soft_codes", "text", CLASSIFY_SOFT, "Status codes of soft bounces", true, NULL},
    {"bounces.sender_codes", "text", CLASSIFY_SENDER,
     "Status codes that are about the sender: they never count against the address", true, NULL},
    {"bounces.known_sub_types", "text", CLASSIFY_KNOWN,
     "Sub-types of mails that the service did not send because of its own list: noted only", true,
     NULL},
    {"bounces.notices", "text", CLASSIFY_NOTICES,
     "Types and sub-types that are no bounces: noted only", true, NULL},
    {"rates.window", "duration", "7d", "The bounce rate of an inbox is that of this time", true,
     NULL},
    {"rates.healthy", "integer", "2", "Percent below which all is well", true, NULL},
    {"rates.limit", "integer", "4", "Percent at which the service steps in", true, NULL},
    {"rates.least_sent", "integer", "50", "No verdict on an inbox that sent to fewer recipients",
     true, NULL},
    {"rates.inboxes", "integer", "50",
     "Inboxes with gauges of their own in /metrics; the others are one together", false, NULL},
    {"rates.refresh", "duration", "10s", "How often the gauges are set", true, NULL},
    CHECK_SERVER_SETTINGS("tcp://127.0.0.1:5558"),
    {NULL, NULL, NULL, NULL, false, NULL},
};

static mailbus_code_t read_limits(const mailbus_runtime_t *runtime, limits_t *limits,
                                  mailbus_error_t *error)
{
    for (const limits_row_t *row = limits_rows; row->key != NULL; row++) {
        if (row->text == NULL) {
            *limits_number(limits, row) = mailbus_setting_integer(runtime, row->key);
            continue;
        }
        *limits_text(limits, row) = strdup(mailbus_setting_text(runtime, row->key));
        if (*limits_text(limits, row) == NULL) {
            return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
        }
    }
    return limits_check(limits, error);
}

static mailbus_code_t save(sqlite3 *db, void *arg, mailbus_error_t *error)
{
    return limits_save(db, arg, error);
}

mailbus_code_t config_load(mailbus_runtime_t *runtime, config_t **ret_config,
                           mailbus_error_t *error)
{
    config_t *config = calloc(1, sizeof *config);
    if (config == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    mailbus_code_t code = read_limits(runtime, &config->limits, error);
    config->refresh_ms = mailbus_setting_integer(runtime, "rates.refresh");
    if (code == MAILBUS_OK && config->refresh_ms < 10) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "rates.refresh: at least 10ms");
    }
    if (code == MAILBUS_OK) {
        code = mailbus_with_store(runtime, save, &config->limits, error);
    }
    if (code == MAILBUS_OK) {
        *ret_config = config;
        config = NULL;
    }
    config_free(config);
    return code;
}

void config_free(void *value)
{
    config_t *config = value;
    if (config == NULL) {
        return;
    }
    limits_free(&config->limits);
    free(config);
}
