/* The options of the ingest listener: their bounds, and the part that a reload may replace. */
#include <stdlib.h>
#include <string.h>

#include "http_priv.h"

#define HOUR_MS   INT64_C(3600000)
#define DAY_MS    (24 * HOUR_MS)
#define BODY_MOST (INT64_C(256) << 20) /* a webhook larger than that is a mistake */

/* ---- policy ---------------------------------------------------------------------------------- */

http_policy_t *http_policy_hold(http_t *self)
{
    pthread_mutex_lock(&self->policy_lock);
    http_policy_t *policy = self->policy;
    atomic_fetch_add_explicit(&policy->references, 1, memory_order_relaxed);
    pthread_mutex_unlock(&self->policy_lock);
    return policy;
}

void http_policy_release(http_policy_t **policy_p)
{
    http_policy_t *policy = *policy_p;
    *policy_p = NULL;
    if (policy != NULL &&
        atomic_fetch_sub_explicit(&policy->references, 1, memory_order_acq_rel) == 1) {
        verify_keys_free(&policy->keys);
        free(policy);
    }
}

static limit_rate_t make_rate(int64_t tokens, int64_t period_ms, int64_t burst)
{
    return (limit_rate_t){
        .tokens = tokens, .period_ms = period_ms, .burst = burst > 0 ? burst : tokens};
}

mailbus_code_t http_policy_new(const http_options_t *options, verify_keys_t **keys_p,
                               http_policy_t **ret_policy, mailbus_error_t *error)
{
    http_policy_t *policy = calloc(1, sizeof *policy);
    if (policy == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    const mailbus_code_t code = proxy_list_parse(options->trusted_proxies, &policy->proxies, error);
    if (code != MAILBUS_OK) {
        free(policy);
        return code;
    }
    atomic_init(&policy->references, 1);
    policy->max_body = options->max_body;
    policy->tolerance_s = options->tolerance_s;
    policy->rate = make_rate(options->rate, 1000, options->burst);
    policy->failures = make_rate(options->auth_failures, 60000, 0);
    policy->keys = *keys_p;
    *keys_p = NULL;
    *ret_policy = policy;
    return MAILBUS_OK;
}

/* ---- checking -------------------------------------------------------------------------------- */

static mailbus_code_t check_path(const char *path, mailbus_error_t *error)
{
    bool good = path[0] == '/';
    for (const char *c = path; good && *c != '\0'; c++) {
        good = *c > ' ' && *c <= '~' && strchr("?#%", *c) == NULL;
    }
    if (!good) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "http.path must begin with / and have no blank, ?, # or %% in it");
    }
    return MAILBUS_OK;
}

static mailbus_code_t check_range(const char *key, int64_t value, int64_t min, int64_t max,
                                  mailbus_error_t *error)
{
    if (value < min || value > max) {
        return mailbus_fail(error, MAILBUS_EINVAL, "%s must be from %lld to %lld", key,
                            (long long)min, (long long)max);
    }
    return MAILBUS_OK;
}

mailbus_code_t http_check_fields(const http_options_t *o, mailbus_error_t *error)
{
    const struct {
        const char *key;
        int64_t value, min, max;
    } ranges[] = {
        {"http.threads", o->threads, 1, HTTP_THREADS_MAX},
        {"http.connections", o->connections, 1, 1000000},
        {"http.connections_per_address", o->connections_per_address, 0, 1000000},
        {"http.body_budget", (int64_t)o->body_budget, BUDGET_FIRST_CHUNK, INT64_MAX},
        {"http.max_body", (int64_t)o->max_body, 1, BODY_MOST},
        {"http.idle_timeout", o->idle_timeout_ms, 1, DAY_MS},
        {"http.request_timeout", o->request_timeout_ms, 1, HOUR_MS},
        {"http.answer_timeout", o->answer_timeout_ms, 1, HOUR_MS},
        {"verify.tolerance", o->tolerance_s, 0, DAY_MS / 1000},
        {"limits.rate", o->rate, 0, LIMIT_TOKENS_MAX},
        {"limits.burst", o->burst, 0, LIMIT_TOKENS_MAX},
        {"limits.auth_failures", o->auth_failures, 0, LIMIT_TOKENS_MAX},
    };
    mailbus_code_t code = check_path(o->path, error);
    for (size_t i = 0; code == MAILBUS_OK && i < sizeof ranges / sizeof ranges[0]; i++) {
        code = check_range(ranges[i].key, ranges[i].value, ranges[i].min, ranges[i].max, error);
    }
    if (code == MAILBUS_OK && o->body_budget < o->max_body) {
        code = mailbus_fail(error, MAILBUS_EINVAL,
                            "http.body_budget is below http.max_body: the largest body could never "
                            "be taken");
    }
    if (code == MAILBUS_OK && (o->tls_cert[0] == '\0') != (o->tls_key[0] == '\0')) {
        code = mailbus_fail(error, MAILBUS_EINVAL,
                            "http.tls_cert and http.tls_key belong together: set both, or none");
    }
    return code;
}

mailbus_code_t http_check_tls_support(mailbus_error_t *error)
{
    if (MHD_is_feature_supported(MHD_FEATURE_SSL) != MHD_YES ||
        MHD_is_feature_supported(MHD_FEATURE_HTTPS_CERT_CALLBACK) != MHD_YES) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "http.tls_cert: this libmicrohttpd was built without TLS");
    }
    return MAILBUS_OK;
}

mailbus_code_t http_check(const http_options_t *options, mailbus_error_t *error)
{
    proxy_list_t proxies;
    mailbus_code_t code = http_check_fields(options, error);
    if (code == MAILBUS_OK) {
        code = proxy_list_parse(options->trusted_proxies, &proxies, error);
    }
    if (code == MAILBUS_OK && options->tls_cert[0] != '\0') {
        tls_t *tls = NULL;
        code = http_check_tls_support(error);
        if (code == MAILBUS_OK) {
            code = tls_new(options->tls_cert, options->tls_key, &tls, error);
        }
        tls_destroy(&tls);
    }
    return code;
}
