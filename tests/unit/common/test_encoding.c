#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "encoding.h"

/* RFC 4648 §10 */
static const char *const base64_vectors[][2] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
};

static void test_base64_is_that_of_rfc_4648(void **state)
{
    (void)state;
    for (size_t at = 0; at < sizeof base64_vectors / sizeof *base64_vectors; at++) {
        const char *plain = base64_vectors[at][0];
        const char *text = base64_vectors[at][1];
        mailbus_buf_t out = MAILBUS_BUF_INIT;
        mailbus_buf_text(&out, "");
        mb_base64_encode((const uint8_t *)plain, strlen(plain), &out);
        assert_string_equal(out.data, text);
        mailbus_buf_free(&out);
        uint8_t bytes[8];
        size_t size = 99;
        assert_int_equal(mb_base64_decode(text, strlen(text), bytes, sizeof bytes, &size),
                         MAILBUS_OK);
        assert_int_equal(size, strlen(plain));
        assert_memory_equal(bytes, plain, size);
    }
}

static void test_base64_of_every_length_comes_back(void **state)
{
    (void)state;
    static uint8_t data[4000];
    static uint8_t back[4000];
    for (size_t at = 0; at < sizeof data; at++) {
        data[at] = (uint8_t)(at * 7 + at / 251);
    }
    for (size_t size = 0; size < sizeof data; size += 1 + size / 9) {
        mailbus_buf_t out = MAILBUS_BUF_INIT;
        mb_base64_encode(data, size, &out);
        size_t got = 0;
        assert_int_equal(mb_base64_decode(out.size > 0 ? out.data : "", out.size, back, size, &got),
                         MAILBUS_OK);
        assert_int_equal(got, size);
        assert_memory_equal(back, data, size);
        mailbus_buf_free(&out);
    }
}

static void test_base64_that_is_not_canonical_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "Zg",    "Zg=",    "Zg===", "Z===", "====",     "=",        "Zh==", "Zm9=",    "Zm9v ",
        " Zm9v", "Zm9v\n", "Zm-v",  "Zm_v", "Zm9vZg=v", "Zg==Zg==", "Z=g=", "Zm9\xc3",
    };
    uint8_t bytes[16];
    for (size_t at = 0; at < sizeof bad / sizeof *bad; at++) {
        size_t size = 77;
        assert_int_equal(mb_base64_decode(bad[at], strlen(bad[at]), bytes, sizeof bytes, &size),
                         MAILBUS_EINVAL);
        assert_int_equal(size, 77);
    }
    size_t size = 0;
    assert_int_equal(mb_base64_decode("Zm\0v", 4, bytes, sizeof bytes, &size), MAILBUS_EINVAL);
}

static void test_base64_is_never_written_beyond_the_capacity(void **state)
{
    (void)state;
    uint8_t bytes[4] = {9, 9, 9, 9};
    size_t size = 0;
    assert_int_equal(mb_base64_decode("Zm9v", 4, bytes, 2, &size), MAILBUS_ETOOBIG);
    assert_int_equal(bytes[2], 9);
    assert_int_equal(mb_base64_decode("Zm9v", 4, bytes, 3, &size), MAILBUS_OK);
    assert_int_equal(bytes[3], 9);
}

static void test_hex_takes_both_cases_and_whole_bytes_only(void **state)
{
    (void)state;
    uint8_t bytes[4];
    size_t size = 0;
    assert_int_equal(mb_hex_decode("00fFAb", 6, bytes, sizeof bytes, &size), MAILBUS_OK);
    assert_int_equal(size, 3);
    assert_memory_equal(bytes, "\x00\xff\xab", 3);
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mb_hex_encode(bytes, 3, &out);
    assert_string_equal(out.data, "00ffab");
    mailbus_buf_free(&out);
    assert_int_equal(mb_hex_decode("abc", 3, bytes, sizeof bytes, &size), MAILBUS_EINVAL);
    assert_int_equal(mb_hex_decode("0g", 2, bytes, sizeof bytes, &size), MAILBUS_EINVAL);
    assert_int_equal(mb_hex_decode("0x", 2, bytes, sizeof bytes, &size), MAILBUS_EINVAL);
    assert_int_equal(mb_hex_decode("0011223344", 10, bytes, sizeof bytes, &size), MAILBUS_ETOOBIG);
}

static void test_url_encoding_makes_one_segment_of_a_message_id(void **state)
{
    (void)state;
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mb_url_encode("<a/b?c@x.y>~-_ é", &out);
    assert_string_equal(out.data, "%3Ca%2Fb%3Fc%40x.y%3E~-_%20%C3%A9");
    mailbus_buf_t back = MAILBUS_BUF_INIT;
    assert_int_equal(mb_url_decode(out.data, out.size, false, &back), MAILBUS_OK);
    assert_string_equal(back.data, "<a/b?c@x.y>~-_ é");
    mailbus_buf_free(&back);
    mailbus_buf_free(&out);
}

static void test_plus_is_a_space_only_where_asked_for(void **state)
{
    (void)state;
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    assert_int_equal(mb_url_decode("a+b", 3, true, &out), MAILBUS_OK);
    assert_int_equal(mb_url_decode("a+b", 3, false, &out), MAILBUS_OK);
    assert_string_equal(out.data, "a ba+b");
    mailbus_buf_free(&out);
}

static void test_broken_escapes_are_refused_and_leave_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {"abc%", "abc%4", "abc%zz", "abc%00", "abc%%41", "abc%4g"};
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mailbus_buf_text(&out, "kept");
    for (size_t at = 0; at < sizeof bad / sizeof *bad; at++) {
        assert_int_equal(mb_url_decode(bad[at], strlen(bad[at]), false, &out), MAILBUS_EINVAL);
        assert_string_equal(out.data, "kept");
    }
    assert_int_equal(mb_url_decode("a\0b", 3, false, &out), MAILBUS_EINVAL);
    assert_string_equal(out.data, "kept");
    mailbus_buf_free(&out);
}

static void hex_of(const uint8_t *data, size_t size, char *text)
{
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mb_hex_encode(data, size, &out);
    strcpy(text, out.data);
    mailbus_buf_free(&out);
}

static void test_sha256_is_that_of_fips_180(void **state)
{
    (void)state;
    uint8_t digest[MB_SHA256_SIZE];
    char hex[65];
    mb_sha256("abc", 3, digest);
    hex_of(digest, sizeof digest, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    mb_sha256("", 0, digest);
    hex_of(digest, sizeof digest, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* RFC 4231 §4: key and data as a byte repeated, or as text. */
static const struct {
    const char *key;
    int key_byte;
    size_t key_size;
    const char *data;
    int data_byte;
    size_t data_size;
    const char *mac;
} hmac_vectors[] = {
    {NULL, 0x0b, 20, "Hi There", 0, 8,
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {"Jefe", 0, 4, "what do ya want for nothing?", 0, 28,
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {NULL, 0xaa, 20, NULL, 0xdd, 50,
     "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {NULL, 0xaa, 131, "Test Using Larger Than Block-Size Key - Hash Key First", 0, 54,
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {NULL, 0xaa, 131,
     "This is a test using a larger than block-size key and a larger than block-size data. The key "
     "needs to be hashed before being used by the HMAC algorithm.",
     0, 152, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
};

static void test_hmac_is_that_of_rfc_4231_however_it_is_cut(void **state)
{
    (void)state;
    for (size_t at = 0; at < sizeof hmac_vectors / sizeof *hmac_vectors; at++) {
        char key[131];
        char data[152];
        memset(key, hmac_vectors[at].key_byte, sizeof key);
        memset(data, hmac_vectors[at].data_byte, sizeof data);
        if (hmac_vectors[at].key != NULL) {
            memcpy(key, hmac_vectors[at].key, hmac_vectors[at].key_size);
        }
        if (hmac_vectors[at].data != NULL) {
            memcpy(data, hmac_vectors[at].data, hmac_vectors[at].data_size);
        }
        size_t size = hmac_vectors[at].data_size;
        for (size_t cut = 0; cut <= size; cut++) {
            const mb_part_t parts[] = {{data, cut}, {NULL, 0}, {data + cut, size - cut}};
            uint8_t mac[MB_SHA256_SIZE];
            char hex[65];
            assert_int_equal(mb_hmac_sha256(key, hmac_vectors[at].key_size, parts, 3, mac),
                             MAILBUS_OK);
            hex_of(mac, sizeof mac, hex);
            assert_string_equal(hex, hmac_vectors[at].mac);
        }
    }
}

static void test_uuids_are_version_4_and_differ(void **state)
{
    (void)state;
    char seen[64][37];
    for (size_t at = 0; at < 64; at++) {
        assert_int_equal(mb_uuid(seen[at]), MAILBUS_OK);
        assert_int_equal(strlen(seen[at]), 36);
        assert_int_equal(strspn(seen[at], "0123456789abcdef-"), 36);
        assert_int_equal(seen[at][14], '4');
        assert_non_null(strchr("89ab", seen[at][19]));
        for (size_t other = 0; other < at; other++) {
            assert_string_not_equal(seen[at], seen[other]);
        }
    }
}

static void test_random_fills_all_of_a_large_buffer(void **state)
{
    (void)state;
    static uint8_t data[200000];
    assert_int_equal(mb_random(data, sizeof data), MAILBUS_OK);
    for (size_t at = 0; at < sizeof data; at += 100) { /* 100 zero bytes in a row: 2^-800 */
        uint8_t any = 0;
        for (size_t in = 0; in < 100; in++) {
            any |= data[at + in];
        }
        assert_int_not_equal(any, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64_is_that_of_rfc_4648),
        cmocka_unit_test(test_base64_of_every_length_comes_back),
        cmocka_unit_test(test_base64_that_is_not_canonical_is_refused),
        cmocka_unit_test(test_base64_is_never_written_beyond_the_capacity),
        cmocka_unit_test(test_hex_takes_both_cases_and_whole_bytes_only),
        cmocka_unit_test(test_url_encoding_makes_one_segment_of_a_message_id),
        cmocka_unit_test(test_plus_is_a_space_only_where_asked_for),
        cmocka_unit_test(test_broken_escapes_are_refused_and_leave_nothing),
        cmocka_unit_test(test_sha256_is_that_of_fips_180),
        cmocka_unit_test(test_hmac_is_that_of_rfc_4231_however_it_is_cut),
        cmocka_unit_test(test_uuids_are_version_4_and_differ),
        cmocka_unit_test(test_random_fills_all_of_a_large_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
