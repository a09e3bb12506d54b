#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "webhook_signature.h"

#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

static void test_the_published_vector_of_standard_webhooks(void **state)
{
    (void)state;
    mb_webhook_key_t key;
    assert_int_equal(mb_webhook_key_parse(SECRET, &key, NULL), MAILBUS_OK);
    assert_int_equal(key.size, 24);
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    static const char body[] = "{\"test\": 2432232314}";
    assert_int_equal(mb_webhook_sign(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body,
                                     sizeof body - 1, &out),
                     MAILBUS_OK);
    assert_string_equal(out.data, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    mailbus_buf_free(&out);
}

static void test_every_part_of_the_content_counts(void **state)
{
    (void)state;
    mb_webhook_key_t key;
    assert_int_equal(mb_webhook_key_parse(SECRET, &key, NULL), MAILBUS_OK);
    uint8_t first[MB_SHA256_SIZE];
    uint8_t other[MB_SHA256_SIZE];
    assert_int_equal(mb_webhook_digest(&key, "a", "1", "xy", 2, first), MAILBUS_OK);
    assert_int_equal(mb_webhook_digest(&key, "b", "1", "xy", 2, other), MAILBUS_OK);
    assert_memory_not_equal(first, other, sizeof first);
    assert_int_equal(mb_webhook_digest(&key, "a", "2", "xy", 2, other), MAILBUS_OK);
    assert_memory_not_equal(first, other, sizeof first);
    assert_int_equal(mb_webhook_digest(&key, "a", "1", "x", 1, other), MAILBUS_OK);
    assert_memory_not_equal(first, other, sizeof first);
    key.data[23] ^= 1;
    assert_int_equal(mb_webhook_digest(&key, "a", "1", "xy", 2, other), MAILBUS_OK);
    assert_memory_not_equal(first, other, sizeof first);
}

static void test_a_signature_is_appended(void **state)
{
    (void)state;
    mb_webhook_key_t key;
    assert_int_equal(mb_webhook_key_parse(SECRET, &key, NULL), MAILBUS_OK);
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mailbus_buf_text(&out, "v1a,other ");
    assert_int_equal(mb_webhook_sign(&key, "a", "1", NULL, 0, &out), MAILBUS_OK);
    assert_memory_equal(out.data, "v1a,other v1,", 13);
    assert_int_equal(out.size, 13 + 44);
    mailbus_buf_free(&out);
}

/* A secret of `size` key bytes. */
static void make_secret(size_t size, char text[128])
{
    uint8_t key[80];
    memset(key, 0x5a, sizeof key);
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mailbus_buf_text(&out, "whsec_");
    mb_base64_encode(key, size, &out);
    strcpy(text, out.data);
    mailbus_buf_free(&out);
}

static void test_keys_have_24_to_64_bytes(void **state)
{
    (void)state;
    for (size_t size = 0; size <= 70; size++) {
        char secret[128];
        mb_webhook_key_t key = {.size = 7};
        make_secret(size, secret);
        mailbus_code_t code = mb_webhook_key_parse(secret, &key, NULL);
        bool good = size >= 24 && size <= 64;
        assert_int_equal(code, good ? MAILBUS_OK : MAILBUS_EINVAL);
        assert_int_equal(key.size, good ? size : 7);
    }
}

static void test_a_bad_secret_is_named_but_never_quoted(void **state)
{
    (void)state;
    static const struct {
        const char *secret, *text;
    } bad[] = {
        {"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "begin with whsec_"},
        {"WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "begin with whsec_"},
        {"whpk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "begin with whsec_"},
        {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "base64"},
        {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa w", "base64"},
        {"whsec_", "fewer than 24"},
        {"whsec_MfKQ9r8GKYqrTwjU", "fewer than 24"},
    };
    for (size_t at = 0; at < sizeof bad / sizeof *bad; at++) {
        mb_webhook_key_t key;
        mailbus_error_t error;
        assert_int_equal(mb_webhook_key_parse(bad[at].secret, &key, &error), MAILBUS_EINVAL);
        assert_non_null(strstr(error.text, bad[at].text));
        assert_null(strstr(error.text, "MfKQ"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_published_vector_of_standard_webhooks),
        cmocka_unit_test(test_every_part_of_the_content_counts),
        cmocka_unit_test(test_a_signature_is_appended),
        cmocka_unit_test(test_keys_have_24_to_64_bytes),
        cmocka_unit_test(test_a_bad_secret_is_named_but_never_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
