#include <arpa/inet.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy.h"

static proxy_address_t address_of(const char *text)
{
    struct sockaddr_storage storage = {.ss_family = AF_UNSPEC};
    struct sockaddr_in *ipv4 = (struct sockaddr_in *)&storage;
    struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)&storage;
    if (inet_pton(AF_INET, text, &ipv4->sin_addr) == 1) {
        storage.ss_family = AF_INET;
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &ipv6->sin6_addr), 1);
        storage.ss_family = AF_INET6;
    }
    return proxy_from_socket((const struct sockaddr *)&storage);
}

static proxy_list_t list_of(const char *text)
{
    proxy_list_t list;
    mailbus_error_t error;
    if (proxy_list_parse(text, &list, &error) != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
    return list;
}

/* The client of a request from `peer` with up to two X-Forwarded-For fields. */
static const char *client_of(const char *trusted, const char *peer, const char *first,
                             const char *second)
{
    static char text[PROXY_ADDRESS_TEXT];
    const guard_field_t fields[] = {
        {"x-forwarded-FOR", 15, first, strlen(first)},
        {"Accept", 6, "9.9.9.9", 7},
        {"X-Forwarded-For", 15, second, strlen(second)},
    };
    const proxy_list_t list = list_of(trusted);
    const proxy_address_t address = address_of(peer);
    const proxy_address_t client = proxy_client(&list, &address, fields + (*first == '\0'),
                                                *second == '\0' ? 1 : 3 - (*first == '\0'));
    proxy_format(&client, text);
    return text;
}
#define PROXIES "10.0.0.0/8 2001:db8::/32"

static void test_header_of_strangers_counts_for_nothing(void **state)
{
    (void)state;
    assert_string_equal(client_of(PROXIES, "8.8.8.8", "1.2.3.4", ""), "8.8.8.8");
    assert_string_equal(client_of("", "10.0.0.1", "1.2.3.4", ""), "10.0.0.1");
}

static void test_rightmost_untrusted_address_is_the_client(void **state)
{
    (void)state;
    assert_string_equal(client_of(PROXIES, "10.0.0.1", "1.2.3.4", ""), "1.2.3.4");
    assert_string_equal(client_of(PROXIES, "10.0.0.1", "6.6.6.6, 1.2.3.4", ""), "1.2.3.4");
    assert_string_equal(client_of(PROXIES, "10.0.0.1", "6.6.6.6, 1.2.3.4 ,10.9.9.9", ""),
                        "1.2.3.4");
    assert_string_equal(client_of(PROXIES, "2001:db8::7", "6.6.6.6,2001:470::1", ""),
                        "2001:470::1");
    assert_string_equal(client_of(PROXIES, "10.0.0.1", "10.0.0.3, 10.0.0.2", ""), "10.0.0.3");
}

static void test_several_fields_are_one_list(void **state)
{
    (void)state;
    assert_string_equal(client_of(PROXIES, "10.0.0.1", "6.6.6.6", "1.2.3.4"), "1.2.3.4");
    assert_string_equal(client_of(PROXIES, "10.0.0.1", "1.2.3.4", "10.0.0.2"), "1.2.3.4");
}

static void test_ports_and_brackets_are_understood(void **state)
{
    (void)state;
    assert_string_equal(client_of(PROXIES, "10.0.0.1", "1.2.3.4:5678", ""), "1.2.3.4");
    assert_string_equal(client_of(PROXIES, "10.0.0.1", "[2001:470::1]:5678", ""), "2001:470::1");
    assert_string_equal(client_of(PROXIES, "10.0.0.1", "[2001:470::1]", ""), "2001:470::1");
    assert_string_equal(client_of(PROXIES, "10.0.0.1", "::ffff:1.2.3.4", ""), "1.2.3.4");
}

static void test_nonsense_ends_the_walk_at_the_last_good_address(void **state)
{
    (void)state;
    const char *const bad[] = {
        "unknown",     "",
        " ",           ",",
        "1.2.3",       "1.2.3.4.5",
        "[::1",        "[::1]x",
        "1.2.3.4:5:6", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_string_equal(client_of(PROXIES, "10.0.0.1", "Accept", bad[i]), "10.0.0.1");
        char text[128];
        snprintf(text, sizeof text, "6.6.6.6, %s, 10.0.0.5", bad[i]);
        assert_string_equal(client_of(PROXIES, "10.0.0.1", text, ""), "10.0.0.5");
    }
}

static void test_networks_match_to_the_bit(void **state)
{
    (void)state;
    const proxy_list_t list = list_of("192.168.4.0/22 172.16.0.1 2001:db8:8000::/33");
    const struct {
        const char *address;
        bool trusted;
    } cases[] = {
        {"192.168.4.0", true},        {"192.168.7.255", true},    {"192.168.8.0", false},
        {"192.168.3.255", false},     {"172.16.0.1", true},       {"172.16.0.2", false},
        {"2001:db8:8000::1", true},   {"2001:db8:ffff::1", true}, {"2001:db8:7fff::1", false},
        {"::ffff:192.168.4.9", true}, {"::192.168.4.9", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const proxy_address_t address = address_of(cases[i].address);
        assert_int_equal(proxy_is_trusted(&list, &address), cases[i].trusted);
    }
    const proxy_list_t all = list_of("0.0.0.0/0");
    const proxy_address_t ipv4 = address_of("8.8.8.8");
    const proxy_address_t ipv6 = address_of("2001:470::1");
    assert_true(proxy_is_trusted(&all, &ipv4));
    assert_false(proxy_is_trusted(&all, &ipv6));
}

static void test_bad_lists_are_told(void **state)
{
    (void)state;
    const char *const bad[] = {"10.0.0.0/33",
                               "10.0.0.0/",
                               "10.0.0.0/x",
                               "10.0.0/8",
                               "::/129",
                               "localhost",
                               "10.0.0.0/8,10.1.0.0/16",
                               "10.0.0.0/-1",
                               "/8"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        proxy_list_t list;
        mailbus_error_t error;
        char text[64];
        snprintf(text, sizeof text, "127.0.0.1 %s", bad[i]);
        assert_int_equal(proxy_list_parse(text, &list, &error), MAILBUS_EINVAL);
        assert_non_null(strstr(error.text, bad[i]));
        assert_non_null(strstr(error.text, "http.trusted_proxies"));
    }
}

static void test_limits_count_ipv4_addresses_and_ipv6_networks(void **state)
{
    (void)state;
    const proxy_address_t a = address_of("1.2.3.4"), b = address_of("1.2.3.5"),
                          c = address_of("2001:470:1:2::1"), d = address_of("2001:470:1:2:ffff::9"),
                          e = address_of("2001:470:1:3::1"), f = address_of("::ffff:1.2.3.4");
    assert_true(proxy_limit_key(&a) != proxy_limit_key(&b));
    assert_true(proxy_limit_key(&c) == proxy_limit_key(&d));
    assert_true(proxy_limit_key(&c) != proxy_limit_key(&e));
    assert_true(proxy_limit_key(&a) == proxy_limit_key(&f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header_of_strangers_counts_for_nothing),
        cmocka_unit_test(test_rightmost_untrusted_address_is_the_client),
        cmocka_unit_test(test_several_fields_are_one_list),
        cmocka_unit_test(test_ports_and_brackets_are_understood),
        cmocka_unit_test(test_nonsense_ends_the_walk_at_the_last_good_address),
        cmocka_unit_test(test_networks_match_to_the_bit),
        cmocka_unit_test(test_bad_lists_are_told),
        cmocka_unit_test(test_limits_count_ipv4_addresses_and_ipv6_networks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
