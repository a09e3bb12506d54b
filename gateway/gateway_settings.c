#include "gateway_settings.h"

#include <stdlib.h>
#include <string.h>

#include "httpd.h"
#include "keys.h"

#define KIB  INT64_C(1024)
#define MIB  (1024 * KIB)
#define GIB  (1024 * MIB)
#define TIB  (1024 * GIB)
#define HOUR INT64_C(3600000)

#define MS_OF_SECONDS(n) ((n)*INT64_C(1000))
#define TEN_YEARS        (INT64_C(3660) * 24 * HOUR)

static const mb_setting_t table[] = {
    {.key = "http.listen",
     .type = MB_ADDRESS,
     .value = "127.0.0.1:8080",
     .help = "Where webhooks come in; \":8080\" is every interface, port 0 any free one"},
    {.key = "http.path",
     .type = MB_TEXT,
     .value = "/webhook",
     .help = "The one path that webhooks are posted to"},
    {.key = "http.threads",
     .type = MB_INTEGER,
     .value = "2",
     .help = "Threads that take webhooks in; more than processor cores help nobody",
     .min = 1,
     .max = HTTP_THREADS_MAX},
    {.key = "http.connections",
     .type = MB_INTEGER,
     .value = "10000",
     .help = "Connections open at once, all senders together",
     .min = 1,
     .max = 60000},
    {.key = "http.connections_per_address",
     .type = MB_INTEGER,
     .value = "0",
     .help = "Connections open at once from one address; 0 is no limit",
     .max = 60000},
    {.key = "http.max_body",
     .type = MB_BYTES,
     .value = "2MiB",
     .help = "Largest webhook taken; AgentMail sends at most 1 MB",
     .reload = true,
     .min = KIB,
     .max = 64 * MIB},
    {.key = "http.body_budget",
     .type = MB_BYTES,
     .value = "64MiB",
     .help = "Memory for all bodies that are coming in; beyond it senders get 503 and try again",
     .min = KIB,
     .max = 64 * GIB},
    {.key = "http.idle_timeout",
     .type = MB_DURATION,
     .value = "60s",
     .help = "A connection without a request is closed after this",
     .min = 100,
     .max = HOUR},
    {.key = "http.request_timeout",
     .type = MB_DURATION,
     .value = "10s",
     .help = "A request must be complete within this, however slowly it trickles in",
     .min = 100,
     .max = HOUR},
    {.key = "http.answer_timeout",
     .type = MB_DURATION,
     .value = "12s",
     .help = "An event that is not on disk within this is answered with 503; AgentMail waits 15 s",
     .min = 100,
     .max = HOUR},
    {.key = "http.tls_cert",
     .type = MB_PATH,
     .value = "",
     .help = "Certificate chain (PEM) for HTTPS; empty is plain HTTP. SIGHUP reads the file again"},
    {.key = "http.tls_key",
     .type = MB_PATH,
     .value = "",
     .help = "Private key (PEM) of that certificate. SIGHUP reads the file again"},
    {.key = "http.trusted_proxies",
     .type = MB_TEXT,
     .value = "",
     .help = "Addresses (10.0.0.0/8 ::1 …, blank-separated) whose X-Forwarded-For is believed, for "
             "limits and logs",
     .reload = true},

    {.key = "verify.secret",
     .type = MB_SECRET,
     .value = "",
     .help = "Signing secret of the webhook, whsec_…, as AgentMail shows it; several with blanks "
             "between them while it is being changed. whpk_… is a public key, anything else the "
             "guide's X-AgentMail-Signature",
     .reload = true},
    {.key = "verify.tolerance",
     .type = MB_DURATION,
     .value = "300s",
     .help = "How far a signature's time may be from this machine's clock",
     .reload = true,
     .min = MS_OF_SECONDS(1),
     .max = 24 * HOUR},
    {.key = "verify.insecure_accept_all",
     .type = MB_BOOLEAN,
     .value = "no",
     .help = "For experiments: take everything, signed or not; only where http.listen is loopback"},

    {.key = "limits.rate",
     .type = MB_INTEGER,
     .value = "2000",
     .help = "Requests per second from one address, 429 beyond; 0 is off",
     .reload = true,
     .max = 10000000},
    {.key = "limits.burst",
     .type = MB_INTEGER,
     .value = "0",
     .help = "Requests from one address at once before the rate counts; 0 is one second's worth",
     .reload = true,
     .max = 10000000},
    {.key = "limits.auth_failures",
     .type = MB_INTEGER,
     .value = "60",
     .help = "Wrong signatures per minute from one address, 429 beyond; 0 is off",
     .reload = true,
     .max = 10000000},

    {.key = "journal.backend",
     .type = MB_CHOICE,
     .value = "sqlite",
     .help = "Where events are kept: sqlite is the file; memory forgets all at the end (for tests)",
     .choices = "sqlite memory"},
    {.key = "journal.path",
     .type = MB_PATH,
     .value = "mailbus-data/journal.db",
     .help = "The journal's file, on a local disk; its folder is made where it is missing"},
    {.key = "journal.keep_bodies",
     .type = MB_DURATION,
     .value = "30d",
     .help = "How long events can be fetched again",
     .reload = true,
     .min = MS_OF_SECONDS(1),
     .max = TEN_YEARS},
    {.key = "journal.keep_ids",
     .type = MB_DURATION,
     .value = "35d",
     .help = "How long a second delivery of an event is known as one; senders retry for 28 hours",
     .reload = true,
     .min = MS_OF_SECONDS(1),
     .max = TEN_YEARS},
    {.key = "journal.max_size",
     .type = MB_BYTES,
     .value = "10GiB",
     .help = "Size of the journal's file above which the oldest bodies go early; 0 is no limit",
     .reload = true,
     .max = 64 * TIB},
    {.key = "journal.reserve",
     .type = MB_BYTES,
     .value = "64MiB",
     .help = "Disk space that is left free: below it senders get 503 and try again later",
     .max = TIB},
    {.key = "journal.batch",
     .type = MB_INTEGER,
     .value = "512",
     .help = "Most events in one transaction, which is one sync to disk",
     .min = 1,
     .max = 10000},
    {.key = "journal.queue",
     .type = MB_INTEGER,
     .value = "10000",
     .help = "Most events that wait for the disk; beyond it senders get 503 and try again",
     .min = 1,
     .max = 1000000},
    {.key = "journal.quarantine",
     .type = MB_INTEGER,
     .value = "1000",
     .help = "Signed but unreadable requests that are kept to look at; older ones go",
     .max = 1000000},

    {.key = "bus.publish",
     .type = MB_ENDPOINT,
     .value = "tcp://127.0.0.1:5556",
     .help = "Where events are published; subscribers' SUB sockets connect here"},
    {.key = "bus.replay",
     .type = MB_ENDPOINT,
     .value = "tcp://127.0.0.1:5557",
     .help = "Where missed events can be fetched; subscribers' DEALER sockets connect here"},
    {.key = "bus.curve_dir",
     .type = MB_PATH,
     .value = "",
     .help =
         "Key folder (\"mailbus keys new NAME\" makes it): only clients with a key in it get in, "
         "and all is encrypted. SIGHUP reads the clients again"},
    {.key = "bus.open",
     .type = MB_BOOLEAN,
     .value = "no",
     .help =
         "Let the bus be bound beyond this machine without keys: everybody who reaches it reads "
         "all mail"},
    {.key = "bus.send_hwm",
     .type = MB_INTEGER,
     .value = "1000",
     .help =
         "Events that a subscriber may lag behind; it fetches what comes after. Times the size of "
         "an event, this is the memory that a slow one costs",
     .min = 1,
     .max = 1000000},
    {.key = "bus.queue",
     .type = MB_INTEGER,
     .value = "10000",
     .help = "Events that wait to be published; beyond it the oldest are left to be fetched",
     .min = 1,
     .max = 1000000},

    {.key = "admin.listen",
     .type = MB_ADDRESS,
     .value = "127.0.0.1:8081",
     .help = "Where /healthz, /readyz and /metrics are; empty is off. Keep it off the internet"},

    {.key = "log.level",
     .type = MB_CHOICE,
     .value = "info",
     .help = "Least important lines that are logged; debug has one or more for each event",
     .reload = true,
     .choices = "debug info warn error"},
    {.key = "log.format",
     .type = MB_CHOICE,
     .value = "text",
     .help = "Log lines as key=value text or as JSON",
     .reload = true,
     .choices = "text json"},
    {.key = NULL},
};

const mb_setting_t *gateway_settings_table(void)
{
    return table;
}

static bool is_set(const mb_settings_t *settings, const char *key)
{
    return mb_settings_text(settings, key)[0] != '\0';
}

void gateway_journal_options(const mb_settings_t *settings, journal_options_t *ret_options)
{
    *ret_options = (journal_options_t){
        .backend = mb_settings_text(settings, "journal.backend"),
        .path = mb_settings_text(settings, "journal.path"),
        .keep_bodies_ms = mb_settings_integer(settings, "journal.keep_bodies"),
        .keep_ids_ms = mb_settings_integer(settings, "journal.keep_ids"),
        .max_size = mb_settings_integer(settings, "journal.max_size"),
        .reserve = mb_settings_integer(settings, "journal.reserve"),
        .queue_events = (size_t)mb_settings_integer(settings, "journal.queue"),
        .batch_events = (size_t)mb_settings_integer(settings, "journal.batch"),
        .quarantine_events = mb_settings_integer(settings, "journal.quarantine"),
    };
#ifdef MAILBUS_TEST_POINTS
    /* The fault tests' control: a gateway that breaks the promise, which they must find guilty. */
    ret_options->acknowledge_early = getenv("MAILBUS_TEST_ACKNOWLEDGE_EARLY") != NULL;
    ret_options->synchronous_off = getenv("MAILBUS_TEST_SYNCHRONOUS_OFF") != NULL;
#endif
}

void gateway_http_options(const mb_settings_t *settings, http_options_t *ret_options)
{
    *ret_options = (http_options_t){
        .listen = mb_settings_text(settings, "http.listen"),
        .path = mb_settings_text(settings, "http.path"),
        .threads = (unsigned)mb_settings_integer(settings, "http.threads"),
        .connections = (unsigned)mb_settings_integer(settings, "http.connections"),
        .connections_per_address =
            (unsigned)mb_settings_integer(settings, "http.connections_per_address"),
        .body_budget = (size_t)mb_settings_integer(settings, "http.body_budget"),
        .idle_timeout_ms = mb_settings_integer(settings, "http.idle_timeout"),
        .request_timeout_ms = mb_settings_integer(settings, "http.request_timeout"),
        .answer_timeout_ms = mb_settings_integer(settings, "http.answer_timeout"),
        .tls_cert = mb_settings_text(settings, "http.tls_cert"),
        .tls_key = mb_settings_text(settings, "http.tls_key"),
        .max_body = (size_t)mb_settings_integer(settings, "http.max_body"),
        .trusted_proxies = mb_settings_text(settings, "http.trusted_proxies"),
        .tolerance_s = mb_settings_integer(settings, "verify.tolerance") / 1000,
        .rate = mb_settings_integer(settings, "limits.rate"),
        .burst = mb_settings_integer(settings, "limits.burst"),
        .auth_failures = mb_settings_integer(settings, "limits.auth_failures"),
    };
}

void gateway_bus_options(const mb_settings_t *settings, gateway_bus_options_t *ret_options)
{
    bool open = mb_settings_boolean(settings, "bus.open");
    *ret_options = (gateway_bus_options_t){
        .publisher =
            {
                .endpoint = mb_settings_text(settings, "bus.publish"),
                .open = open,
                .send_hwm = (int)mb_settings_integer(settings, "bus.send_hwm"),
                .queue_events = (size_t)mb_settings_integer(settings, "bus.queue"),
                .heads_interval_ms = GATEWAY_HEADS_INTERVAL_MS,
                .linger_ms = GATEWAY_LINGER_MS,
            },
        .replay =
            {
                .endpoint = mb_settings_text(settings, "bus.replay"),
                .open = open,
                .send_hwm = REPLAY_SEND_HWM,
                .linger_ms = GATEWAY_LINGER_MS,
            },
        .curve_dir = mb_settings_text(settings, "bus.curve_dir"),
    };
    gateway_journal_options(settings, &ret_options->journal);
}

mailbus_code_t gateway_verify_keys(const mb_settings_t *settings, verify_keys_t **ret_keys,
                                   mailbus_error_t *error)
{
    if (!mb_settings_boolean(settings, "verify.insecure_accept_all")) {
        return verify_keys_parse(mb_settings_text(settings, "verify.secret"), ret_keys, error);
    }
    verify_keys_t *keys = verify_keys_accept_all();
    if (keys == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for keys");
    }
    *ret_keys = keys;
    return MAILBUS_OK;
}

static mailbus_code_t check_verify(const mb_settings_t *settings, mailbus_error_t *error)
{
    mailbus_code_t code =
        verify_check_config(mb_settings_text(settings, "verify.secret"),
                            mb_settings_boolean(settings, "verify.insecure_accept_all"),
                            mb_settings_text(settings, "http.listen"), error);
    if (code != MAILBUS_OK) {
        return code;
    }
    verify_keys_t *keys = NULL;
    code = gateway_verify_keys(settings, &keys, error);
    verify_keys_free(&keys);
    return code;
}

static mailbus_code_t check_http(const mb_settings_t *settings, mailbus_error_t *error)
{
    if (!is_set(settings, "http.listen")) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "http.listen is empty: the gateway needs an address to take webhooks "
                            "on, such as 127.0.0.1:8080");
    }
    if (is_set(settings, "http.tls_cert") != is_set(settings, "http.tls_key")) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "http.tls_cert and http.tls_key go together: set both, or neither");
    }
    if (mb_settings_integer(settings, "http.max_body") >
        mb_settings_integer(settings, "http.body_budget")) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "http.body_budget must be at least http.max_body: else the largest "
                            "webhook would never fit");
    }
    http_options_t options;
    gateway_http_options(settings, &options);
    return http_check(&options, error);
}

static mailbus_code_t check_journal(const mb_settings_t *settings, mailbus_error_t *error)
{
    if (mb_settings_integer(settings, "journal.keep_ids") <
        mb_settings_integer(settings, "journal.keep_bodies")) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "journal.keep_ids must be at least journal.keep_bodies: an event that "
                            "is still here must be known");
    }
    if (!is_set(settings, "journal.path")) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "journal.path is empty: name a file, such as mailbus-data/journal.db");
    }
    return MAILBUS_OK;
}

static mailbus_code_t check_endpoint(const mb_settings_t *settings, const char *key,
                                     mailbus_error_t *error)
{
    const char *endpoint = mb_settings_text(settings, key);
    if (endpoint[0] == '\0') {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "%s is empty: name an endpoint, such as tcp://127.0.0.1:5556", key);
    }
    if (!is_set(settings, "bus.curve_dir") && !mb_settings_boolean(settings, "bus.open") &&
        !mb_is_loopback(endpoint)) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "%s can be reached from other machines and there are no keys: set "
                            "bus.curve_dir (\"mailbus keys new NAME\" makes them), or bus.open=yes "
                            "to let everybody read all mail",
                            key);
    }
    return MAILBUS_OK;
}

static mailbus_code_t check_keys(const mb_settings_t *settings, mailbus_error_t *error)
{
    const char *dir = mb_settings_text(settings, "bus.curve_dir");
    if (dir[0] == '\0') {
        return MAILBUS_OK;
    }
    mb_key_pair_t own;
    mailbus_code_t code = mb_keys_load_server(dir, &own, error);
    explicit_bzero(&own, sizeof own);
    if (code == MAILBUS_ENOTFOUND) {
        code = mailbus_fail(error, code,
                            "bus.curve_dir: %.120s holds no server.key_secret: 'mailbus keys new "
                            "NAME --dir FOLDER' makes it, with a first client's key",
                            dir);
    }
    return code;
}

static mailbus_code_t check_bus(const mb_settings_t *settings, mailbus_error_t *error)
{
    mailbus_code_t code = check_endpoint(settings, "bus.publish", error);
    if (code == MAILBUS_OK) {
        code = check_endpoint(settings, "bus.replay", error);
    }
    if (code != MAILBUS_OK) {
        return code;
    }
    const char *publish = mb_settings_text(settings, "bus.publish");
    if (strcmp(publish, mb_settings_text(settings, "bus.replay")) == 0 &&
        strchr(publish, '*') == NULL) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "bus.publish and bus.replay are the same: each needs an endpoint of "
                            "its own");
    }
    return check_keys(settings, error);
}

mailbus_code_t gateway_settings_check(const mb_settings_t *settings, mailbus_error_t *error)
{
    typedef mailbus_code_t(check_fn)(const mb_settings_t *, mailbus_error_t *);
    static check_fn *const checks[] = {check_verify, check_http, check_journal, check_bus};
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        mailbus_code_t code = checks[i](settings, error);
        if (code != MAILBUS_OK) {
            return code;
        }
    }
    return MAILBUS_OK;
}
