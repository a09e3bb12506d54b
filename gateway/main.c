/* mailbus-gateway: webhooks in, verified and on disk; ZeroMQ messages out. */
#include <stdio.h>

#include "gateway.h"
#include "gateway_settings.h"
#include "gateway_watchdog.h"
#include "signals.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_SETTINGS = 2 };

#define STOP_LIMIT_MS 10000 /* what service managers and docker wait before they kill */
#define LOOK_MS       200 /* how long a broken journal may go unseen; it takes nothing meanwhile */

static const char summary[] =
    "Takes AgentMail webhooks, verifies them, writes them to disk before it answers, and publishes "
    "them as ZeroMQ messages.";

/* Until a stop is asked for (true) or the journal can't be trusted any more (false). */
static bool serve(gateway_t *gateway, int signals)
{
    for (;;) {
        if (journal_broken(gateway->bus.journal)) {
            mb_log(gateway->log, MB_ERROR, "main",
                   "the journal failed and can't be trusted: look at the disk, then start again");
            return false;
        }
        switch (mb_signals_wait(signals, LOOK_MS)) {
        case MB_SIGNAL_STOP:
            mb_log(gateway->log, MB_INFO, "main", "stopping");
            return true;
        case MB_SIGNAL_RELOAD:
            gateway_reload(gateway);
            break;
        case MB_SIGNAL_NONE:
            break;
        }
    }
}

static int run(mb_settings_t *settings, mb_log_t *log, int signals)
{
    gateway_t gateway = {.settings = settings, .log = log};
    mailbus_error_t error;
    bool well = gateway_start(&gateway, &error) == MAILBUS_OK;
    if (well) {
        mb_log(log, MB_INFO, "main", "ready", MB_S("version", MAILBUS_VERSION),
               MB_S("stream", journal_stream(gateway.bus.journal)));
        well = serve(&gateway, signals);
    } else {
        mb_log(log, MB_ERROR, "main", "can't start", MB_S("error", error.text));
    }
    gateway_watchdog_t *watchdog = gateway_watchdog_new(log, STOP_LIMIT_MS);
    gateway_stop(&gateway);
    gateway_watchdog_destroy(&watchdog);
    mb_log(log, MB_INFO, "main", "stopped");
    return well ? EXIT_OK : EXIT_FAILED;
}

static int fail(const mailbus_error_t *error, int status)
{
    fprintf(stderr, "mailbus-gateway: %s\n", error->text);
    return status;
}

int main(int argc, char **argv)
{
    int signals = -1, status = EXIT_FAILED;
    mailbus_error_t error = {.text = "out of memory"};
    mb_settings_action_t action;
    mb_settings_t *settings = mb_settings_new("mailbus-gateway", summary, gateway_settings_table());
    mb_log_t *log = mb_log_new("mailbus-gateway", 2);
    if (settings == NULL || log == NULL || mb_signals_block(&signals, &error) != MAILBUS_OK) {
        status = fail(&error, EXIT_FAILED);
        goto out;
    }
    mb_settings_set_check(settings, gateway_settings_check);
    if (mb_settings_read(settings, argc, argv, stdout, NULL, &action, &error) != MAILBUS_OK) {
        status = fail(&error, EXIT_SETTINGS);
        goto out;
    }
    status = EXIT_OK;
    if (action == MB_SETTINGS_RUN) {
        gateway_configure_log(settings, log);
        status = run(settings, log, signals);
    }
out:
    mb_log_destroy(&log);
    mb_settings_destroy(&settings);
    return status;
}
