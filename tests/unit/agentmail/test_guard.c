/* agentmail/guard.h: where a client may connect to. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agentmail/guard.h"

static struct sockaddr_storage address_of(const char *text)
{
    struct sockaddr_storage storage;
    memset(&storage, 0, sizeof storage);
    if (strchr(text, ':') == NULL) {
        struct sockaddr_in in = {.sin_family = AF_INET};
        assert_int_equal(inet_pton(AF_INET, text, &in.sin_addr), 1);
        memcpy(&storage, &in, sizeof in);
    } else {
        struct sockaddr_in6 in = {.sin6_family = AF_INET6};
        assert_int_equal(inet_pton(AF_INET6, text, &in.sin6_addr), 1);
        memcpy(&storage, &in, sizeof in);
    }
    return storage;
}

static void check_public(const char *const *texts, size_t count, bool expected)
{
    for (size_t i = 0; i < count; i++) {
        struct sockaddr_storage storage = address_of(texts[i]);
        if (agentmail_address_is_public((struct sockaddr *)&storage) != expected) {
            fail_msg("%s", texts[i]);
        }
    }
}

static void test_special_addresses_are_not_public(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.8.8.8",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "febf::1",
        "fc00::1",
        "fd12::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "2001::1",
        "3fff::1",
        "100::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:7f00:1::1",
        "2002:c0a8:1::1",
    };
    check_public(texts, sizeof texts / sizeof texts[0], false);
}

static void test_public_addresses_are(void **state)
{
    (void)state;
    static const char *const texts[] = {"1.1.1.1",        "9.255.255.255",    "11.0.0.0",
                                        "100.63.255.255", "100.128.0.0",      "172.15.255.255",
                                        "172.32.0.0",     "192.167.1.1",      "198.17.255.255",
                                        "198.20.0.0",     "223.255.255.255",  "2606:4700::1111",
                                        "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::1"};
    check_public(texts, sizeof texts / sizeof texts[0], true);
}

static void test_other_families_are_not_public(void **state)
{
    (void)state;
    struct sockaddr address = {.sa_family = AF_UNIX};
    assert_false(agentmail_address_is_public(&address));
    assert_false(agentmail_address_is_loopback(&address));
}

static void test_loopback(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool loopback;
    } rows[] = {{"127.0.0.1", true},        {"127.9.9.9", true},       {"::1", true},
                {"::ffff:127.0.0.1", true}, {"10.0.0.1", false},       {"::2", false},
                {"128.0.0.1", false},       {"::ffff:10.0.0.1", false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sockaddr_storage storage = address_of(rows[i].text);
        assert_int_equal(agentmail_address_is_loopback((struct sockaddr *)&storage),
                         rows[i].loopback);
    }
}

static void test_urls(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        bool good, https, loopback;
    } rows[] = {
        {"https://api.agentmail.to/v0", true, true, false},
        {"http://127.0.0.1:8090/v0", true, false, true},
        {"http://localhost/v0", true, false, true},
        {"http://[::1]:80/", true, false, true},
        {"http://127.0.0.1.evil.org/", true, false, false},
        {"http://localhost.evil.org/", true, false, false},
        {"http://example.com/", true, false, false},
        {"https://user:pw@example.com/", false, false, false},
        {"https://127.0.0.1@example.com/", false, false, false},
        {"https://example.com/#x", false, false, false},
        {"ftp://example.com/", false, false, false},
        {"file:///etc/passwd", false, false, false},
        {"gopher://127.0.0.1/", false, false, false},
        {"example.com", false, false, false},
        {"", false, false, false},
        {"https://exa mple.com/", false, false, false},
        {"https://example.com/\r\nX: y", false, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        agentmail_url_t url = {false, false};
        mailbus_code_t code = agentmail_url_check(rows[i].url, &url, NULL);
        if ((code == MAILBUS_OK) != rows[i].good || url.https != rows[i].https ||
            url.loopback != rows[i].loopback) {
            fail_msg("%s: %d %d %d", rows[i].url, code, url.https, url.loopback);
        }
    }
}

static void test_a_url_has_a_limit(void **state)
{
    (void)state;
    char *url = malloc(10001);
    assert_non_null(url);
    memset(url, 'a', 10000);
    url[10000] = '\0';
    memcpy(url, "https://example.com/", 20);
    agentmail_url_t checked;
    assert_int_equal(agentmail_url_check(url, &checked, NULL), MAILBUS_ETOOBIG);
    free(url);
}

static void test_an_origin_is_scheme_host_and_port(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        bool same;
    } rows[] = {
        {"https://api.example.com/v0", true},
        {"HTTPS://API.example.com:443/x?y", true},
        {"http://api.example.com/v0", false},
        {"https://api.example.com:444/v0", false},
        {"https://api.example.com.evil/v0", false},
        {"https://example.com/v0", false},
        {"api", false},
        {"", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (agentmail_url_same_origin(rows[i].url, "https://api.example.com/") != rows[i].same) {
            fail_msg("%s", rows[i].url);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_special_addresses_are_not_public),
        cmocka_unit_test(test_public_addresses_are),
        cmocka_unit_test(test_other_families_are_not_public),
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_a_url_has_a_limit),
        cmocka_unit_test(test_an_origin_is_scheme_host_and_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
