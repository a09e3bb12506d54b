/* The gateway's table of settings, and the rules over several keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway_settings.h"

#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

/* Read a command line of --set pairs ("key=value", up to a NULL) with this secret. */
static mailbus_code_t read_with(const char *secret, const char *const *pairs,
                                mb_settings_t **ret_settings, mailbus_error_t *error)
{
    char *argv[32] = {(char *)(uintptr_t) "mailbus-gateway"};
    int argc = 1;
    for (; *pairs != NULL; pairs++) {
        argv[argc++] = (char *)(uintptr_t) "--set";
        argv[argc++] = (char *)(uintptr_t)*pairs;
    }
    if (secret != NULL) {
        setenv("MAILBUS_VERIFY_SECRET", secret, 1);
    } else {
        unsetenv("MAILBUS_VERIFY_SECRET");
    }
    mb_settings_t *settings =
        mb_settings_new("mailbus-gateway", "a test", gateway_settings_table());
    assert_non_null(settings);
    mb_settings_set_check(settings, gateway_settings_check);
    mb_settings_action_t action;
    *error = (mailbus_error_t){.text = ""};
    mailbus_code_t code = mb_settings_read(settings, argc, argv, stdout, NULL, &action, error);
    *ret_settings = settings;
    return code;
}

static void expect_refused(const char *secret, const char *const *pairs, const char *word)
{
    mb_settings_t *settings;
    mailbus_error_t error;
    mailbus_code_t code = read_with(secret, pairs, &settings, &error);
    assert_int_not_equal(code, MAILBUS_OK);
    if (strstr(error.text, word) == NULL) {
        fail_msg("\"%s\" does not name %s", error.text, word);
    }
    mb_settings_destroy(&settings);
}

static void test_a_secret_is_all_that_must_be_set(void **state)
{
    (void)state;
    static const char *const none[] = {NULL};
    mb_settings_t *settings;
    mailbus_error_t error;
    if (read_with(SECRET, none, &settings, &error) != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
    http_options_t http;
    gateway_http_options(settings, &http);
    assert_string_equal(http.listen, "127.0.0.1:8080");
    assert_string_equal(http.path, "/webhook");
    assert_int_equal(http.max_body, HTTP_DEFAULT_MAX_BODY);
    assert_int_equal(http.body_budget, HTTP_DEFAULT_BODY_BUDGET);
    assert_int_equal(http.threads, HTTP_DEFAULT_THREADS);
    assert_int_equal(http.connections, HTTP_DEFAULT_CONNECTIONS);
    assert_int_equal(http.request_timeout_ms, HTTP_DEFAULT_REQUEST_TIMEOUT);
    assert_int_equal(http.idle_timeout_ms, HTTP_DEFAULT_IDLE_TIMEOUT);
    assert_int_equal(http.answer_timeout_ms, HTTP_DEFAULT_ANSWER_TIMEOUT);
    assert_int_equal(http.tolerance_s, 300);
    assert_int_equal(http.rate, 2000);
    assert_int_equal(http.auth_failures, 60);
    gateway_bus_options_t bus;
    gateway_bus_options(settings, &bus);
    assert_string_equal(bus.journal.path, "mailbus-data/journal.db");
    assert_true(bus.journal.keep_bodies_ms == INT64_C(30) * 86400000);
    assert_true(bus.journal.keep_ids_ms == INT64_C(35) * 86400000);
    assert_string_equal(bus.publisher.endpoint, "tcp://127.0.0.1:5556");
    assert_int_equal(bus.publisher.heads_interval_ms, 1000);
    assert_false(bus.publisher.open);
    assert_string_equal(bus.replay.endpoint, "tcp://127.0.0.1:5557");
    assert_string_equal(bus.curve_dir, "");
    mb_settings_destroy(&settings);
}

static void test_without_a_secret_it_refuses(void **state)
{
    (void)state;
    static const char *const none[] = {NULL};
    static const char *const open[] = {"verify.insecure_accept_all=yes", "http.listen=0.0.0.0:8080",
                                       NULL};
    expect_refused(NULL, none, "MAILBUS_VERIFY_SECRET");
    expect_refused("whsec_!", none, "verify.secret");
    expect_refused(NULL, open, "verify.insecure_accept_all");
}

static void test_accepting_all_is_for_loopback(void **state)
{
    (void)state;
    static const char *const loopback[] = {"verify.insecure_accept_all=yes", NULL};
    mb_settings_t *settings;
    mailbus_error_t error;
    if (read_with(NULL, loopback, &settings, &error) != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
    verify_keys_t *keys = NULL;
    assert_int_equal(gateway_verify_keys(settings, &keys, NULL), MAILBUS_OK);
    assert_true(verify_keys_accepts_all(keys));
    verify_keys_free(&keys);
    mb_settings_destroy(&settings);
}

static void test_rules_over_several_keys_name_what_to_set(void **state)
{
    (void)state;
    static const struct {
        const char *pairs[4];
        const char *word;
    } cases[] = {
        {{"http.tls_cert=/nowhere/cert.pem"}, "http.tls_key"},
        {{"http.tls_key=/nowhere/key.pem"}, "http.tls_cert"},
        {{"http.listen="}, "http.listen"},
        {{"http.max_body=2MiB", "http.body_budget=1MiB"}, "http.body_budget"},
        {{"http.path=webhook"}, "http.path"},
        {{"http.trusted_proxies=10.0.0.0/99"}, "http.trusted_proxies"},
        {{"journal.keep_ids=1d"}, "journal.keep_bodies"},
        {{"journal.path="}, "journal.path"},
        {{"journal.backend=postgres"}, "journal.backend"},
        {{"bus.publish=tcp://0.0.0.0:5556"}, "bus.curve_dir"},
        {{"bus.publish=tcp://*:5556"}, "bus.publish"},
        {{"bus.replay=tcp://192.0.2.1:5557"}, "bus.open"},
        {{"bus.publish="}, "bus.publish"},
        {{"bus.replay=tcp://127.0.0.1:5556"}, "bus.publish"},
        {{"bus.curve_dir=/nowhere/keys"}, "/nowhere/keys"},
        {{"log.level=loud"}, "log.level"},
        {{"verify.secret=" SECRET}, "verify.secret"},
        {{"http.lisen=127.0.0.1:1"}, "http.listen"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect_refused(SECRET, cases[i].pairs, cases[i].word);
    }
}

static void test_open_in_so_many_words_lets_the_bus_be_open(void **state)
{
    (void)state;
    static const char *const pairs[] = {"bus.publish=tcp://0.0.0.0:5556", "bus.open=yes", NULL};
    mb_settings_t *settings;
    mailbus_error_t error;
    assert_int_equal(read_with(SECRET, pairs, &settings, &error), MAILBUS_OK);
    gateway_bus_options_t bus;
    gateway_bus_options(settings, &bus);
    assert_true(bus.publisher.open);
    assert_true(bus.replay.open);
    mb_settings_destroy(&settings);
}

static void test_every_key_has_help_and_a_default_in_its_bounds(void **state)
{
    (void)state;
    for (const mb_setting_t *setting = gateway_settings_table(); setting->key != NULL; setting++) {
        assert_non_null(strchr(setting->key, '.'));
        assert_non_null(setting->value);
        assert_true(strlen(setting->help) > 10);
        assert_int_not_equal(setting->help[strlen(setting->help) - 1], '.');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_secret_is_all_that_must_be_set),
        cmocka_unit_test(test_without_a_secret_it_refuses),
        cmocka_unit_test(test_accepting_all_is_for_loopback),
        cmocka_unit_test(test_rules_over_several_keys_name_what_to_set),
        cmocka_unit_test(test_open_in_so_many_words_lets_the_bus_be_open),
        cmocka_unit_test(test_every_key_has_help_and_a_default_in_its_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
