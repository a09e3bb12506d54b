#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mailbus/json.h"
#include "verify.h"
#include "webhook_signature.h"

#define SECRET    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define OTHER     "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
#define ID        "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define TIME      "1614265330"
#define NOW       1614265330
#define BODY      "{\"test\": 2432232314}"
#define SIGNATURE "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
#define VECTORS   "tests/vectors/signatures.json"

#define GUIDE_SECRET "the-guides-secret"

static verify_keys_t *keys_of(const char *secrets)
{
    verify_keys_t *keys = NULL;
    mailbus_error_t error = {.text = ""};
    const mailbus_code_t code = verify_keys_parse(secrets, &keys, &error);
    if (code != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
    return keys;
}

/* Verify `body` under `secrets` with header fields given as name, value, …, NULL. */
static verify_result_t judge_at(const char *secrets, const char *const *fields, const char *body,
                                int64_t now_s)
{
    guard_field_t list[32];
    size_t count = 0;
    for (; fields[2 * count] != NULL; count++) {
        const char *name = fields[2 * count];
        const char *value = fields[2 * count + 1];
        list[count] = (guard_field_t){name, strlen(name), value, strlen(value)};
    }
    verify_headers_t headers;
    verify_headers_collect(list, count, &headers);
    verify_keys_t *keys = keys_of(secrets);
    const char *id = "unset";
    const verify_result_t result =
        verify_request(keys, &headers, body, strlen(body), now_s, 300, &id);
    if (result != VERIFY_OK) {
        assert_null(id);
    }
    verify_keys_free(&keys);
    return result;
}
#define FIELDS(...)         ((const char *const[]){__VA_ARGS__, NULL, NULL})
#define judge(secrets, ...) judge_at((secrets), FIELDS(__VA_ARGS__), BODY, NOW)
#define judge_signature(secrets, signature)                                                        \
    judge((secrets), "svix-id", ID, "svix-timestamp", TIME, "svix-signature", (signature))

/* ---- the published and derived vectors ------------------------------------------------------- */

static cJSON *read_vectors(void)
{
    static char text[65536];
    FILE *file = fopen(VECTORS, "r");
    assert_non_null(file);
    const size_t size = fread(text, 1, sizeof text, file);
    fclose(file);
    cJSON *tree = NULL;
    assert_int_equal(mailbus_json_parse(text, size, &tree, NULL), MAILBUS_OK);
    return tree;
}

static verify_result_t judge_vector(const cJSON *vector, const char *secrets, const char *prefix)
{
    char timestamp[32];
    char names[3][32];
    const int64_t now_s = (int64_t)mailbus_json_item(vector, "timestamp")->valuedouble;
    snprintf(timestamp, sizeof timestamp, "%lld", (long long)now_s);
    snprintf(names[0], sizeof names[0], "%s-id", prefix);
    snprintf(names[1], sizeof names[1], "%s-timestamp", prefix);
    snprintf(names[2], sizeof names[2], "%s-signature", prefix);
    return judge_at(secrets,
                    FIELDS(names[0], mailbus_json_string(vector, "id"), names[1], timestamp,
                           names[2], mailbus_json_string(vector, "signature")),
                    mailbus_json_string(vector, "body"), now_s);
}

static void secrets_of(const cJSON *vector, char *out, size_t size)
{
    const char *secret = mailbus_json_string(vector, "secret");
    if (secret == NULL) {
        secret = mailbus_json_string(vector, "public_key");
    }
    snprintf(out, size, "%s", secret != NULL ? secret : "");
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, mailbus_json_item(vector, "secrets"))
    {
        const size_t used = strlen(out);
        snprintf(out + used, size - used, " %s", item->valuestring);
    }
}

static void test_every_published_and_derived_vector_is_accepted(void **state)
{
    (void)state;
    cJSON *vectors = read_vectors();
    int count = 0;
    const char *const groups[] = {"published", "derived"};
    for (size_t i = 0; i < 2; i++) {
        const cJSON *vector = NULL;
        cJSON_ArrayForEach(vector, mailbus_json_item(vectors, groups[i]))
        {
            char secrets[512];
            secrets_of(vector, secrets, sizeof secrets);
            print_message("%s\n", mailbus_json_string(vector, "name"));
            assert_int_equal(judge_vector(vector, secrets, "svix"), VERIFY_OK);
            assert_int_equal(judge_vector(vector, secrets, "webhook"), VERIFY_OK);
            assert_int_equal(judge_vector(vector, secrets, "Svix"), VERIFY_OK);
            count++;
        }
    }
    assert_int_equal(count, 6);
    cJSON_Delete(vectors);
}

static void test_every_vector_fails_under_another_secret(void **state)
{
    (void)state;
    cJSON *vectors = read_vectors();
    const char *const groups[] = {"published", "derived"};
    const char *strangers = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA "
                            "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo= a-guide-secret";
    for (size_t i = 0; i < 2; i++) {
        const cJSON *vector = NULL;
        cJSON_ArrayForEach(vector, mailbus_json_item(vectors, groups[i]))
        {
            assert_int_equal(judge_vector(vector, strangers, "svix"), VERIFY_MISMATCH);
        }
    }
    cJSON_Delete(vectors);
}

static void test_every_published_negative_is_refused(void **state)
{
    (void)state;
    cJSON *vectors = read_vectors();
    const cJSON *negative = NULL;
    int count = 0;
    cJSON_ArrayForEach(negative, mailbus_json_item(vectors, "negative_published"))
    {
        assert_int_not_equal(judge_signature(SECRET, negative->valuestring), VERIFY_OK);
        /* Beside a good one they do no harm. */
        char both[256];
        snprintf(both, sizeof both, "%s " SIGNATURE, negative->valuestring);
        assert_int_equal(judge_signature(SECRET, both), VERIFY_OK);
        count++;
    }
    assert_int_equal(count, 4);
    cJSON_Delete(vectors);
}

/* ---- time ------------------------------------------------------------------------------------ */

static void test_tolerance_is_inclusive_on_both_sides(void **state)
{
    (void)state;
    const char *const *fields =
        FIELDS("svix-id", ID, "svix-timestamp", TIME, "svix-signature", SIGNATURE);
    assert_int_equal(judge_at(SECRET, fields, BODY, NOW + 300), VERIFY_OK);
    assert_int_equal(judge_at(SECRET, fields, BODY, NOW - 300), VERIFY_OK);
    assert_int_equal(judge_at(SECRET, fields, BODY, NOW + 301), VERIFY_STALE);
    assert_int_equal(judge_at(SECRET, fields, BODY, NOW - 301), VERIFY_STALE);
}

static void test_timestamp_is_digits_only(void **state)
{
    (void)state;
    const char *const bad[] = {"",
                               " 1614265330",
                               "1614265330 ",
                               "+1614265330",
                               "-1614265330",
                               "1614265330.0",
                               "1614265330abc",
                               "0x6037b7f2",
                               "now",
                               "1614265330000",
                               "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(
            judge(SECRET, "svix-id", ID, "svix-timestamp", bad[i], "svix-signature", SIGNATURE),
            VERIFY_BAD_TIME);
    }
    assert_int_equal(
        judge(SECRET, "svix-id", ID, "svix-timestamp", "999999999999", "svix-signature", SIGNATURE),
        VERIFY_STALE);
    assert_int_equal(
        judge(SECRET, "svix-id", ID, "svix-timestamp", "0", "svix-signature", SIGNATURE),
        VERIFY_STALE);
}

/* ---- headers --------------------------------------------------------------------------------- */

static void test_each_header_must_be_there(void **state)
{
    (void)state;
    assert_int_equal(judge(SECRET, "Host", "x"), VERIFY_MISSING);
    assert_int_equal(judge(SECRET, "svix-timestamp", TIME, "svix-signature", SIGNATURE),
                     VERIFY_MISSING);
    assert_int_equal(judge(SECRET, "svix-id", ID, "svix-signature", SIGNATURE), VERIFY_MISSING);
    assert_int_equal(judge(SECRET, "svix-id", ID, "svix-timestamp", TIME), VERIFY_MISSING);
    /* One set must not fill the holes of the other. */
    assert_int_not_equal(
        judge(SECRET, "svix-id", ID, "webhook-timestamp", TIME, "svix-signature", SIGNATURE),
        VERIFY_OK);
}

static void test_each_header_must_come_once(void **state)
{
    (void)state;
    assert_int_equal(judge(SECRET, "svix-id", ID, "svix-id", ID, "svix-timestamp", TIME,
                           "svix-signature", SIGNATURE),
                     VERIFY_DOUBLED);
    assert_int_equal(judge(SECRET, "svix-id", ID, "svix-timestamp", TIME, "Svix-Timestamp", TIME,
                           "svix-signature", SIGNATURE),
                     VERIFY_DOUBLED);
    assert_int_equal(judge(SECRET, "svix-id", ID, "svix-timestamp", TIME, "svix-signature", "v1,",
                           "SVIX-SIGNATURE", SIGNATURE),
                     VERIFY_DOUBLED);
}

static void test_both_sets_of_names_must_agree(void **state)
{
    (void)state;
    assert_int_equal(judge(SECRET, "svix-id", ID, "svix-timestamp", TIME, "svix-signature",
                           SIGNATURE, "webhook-id", ID, "webhook-timestamp", TIME,
                           "webhook-signature", SIGNATURE),
                     VERIFY_OK);
    assert_int_equal(judge(SECRET, "svix-id", ID, "svix-timestamp", TIME, "svix-signature",
                           SIGNATURE, "webhook-id", "msg_other", "webhook-timestamp", TIME,
                           "webhook-signature", SIGNATURE),
                     VERIFY_CONFLICT);
    assert_int_equal(judge(SECRET, "svix-id", ID, "svix-timestamp", TIME, "svix-signature",
                           SIGNATURE, "webhook-id", ID),
                     VERIFY_CONFLICT);
}

static void test_id_is_printable_and_bounded(void **state)
{
    (void)state;
    char longest[VERIFY_ID_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[VERIFY_ID_MAX + 1] = '\0';
    const char *const bad[] = {"", "msg one", "msg\tone", "msg\x7f", "msg\xc3\xa9", longest};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(
            judge(SECRET, "svix-id", bad[i], "svix-timestamp", TIME, "svix-signature", SIGNATURE),
            VERIFY_BAD_ID);
    }
    longest[VERIFY_ID_MAX] = '\0';
    assert_int_equal(
        judge(SECRET, "svix-id", longest, "svix-timestamp", TIME, "svix-signature", SIGNATURE),
        VERIFY_MISMATCH);
}

static void test_id_and_time_are_signed_too(void **state)
{
    (void)state;
    assert_int_equal(judge(SECRET, "svix-id", "msg_p5jXN8AQM9LWM0D4loKWxJel", "svix-timestamp",
                           TIME, "svix-signature", SIGNATURE),
                     VERIFY_MISMATCH);
    assert_int_equal(
        judge(SECRET, "svix-id", ID, "svix-timestamp", "1614265331", "svix-signature", SIGNATURE),
        VERIFY_MISMATCH);
    assert_int_equal(
        judge_at(SECRET, FIELDS("svix-id", ID, "svix-timestamp", TIME, "svix-signature", SIGNATURE),
                 BODY " ", NOW),
        VERIFY_MISMATCH);
}

/* ---- the signature header -------------------------------------------------------------------- */

static void test_malformed_entries_match_nothing(void **state)
{
    (void)state;
    const char *const bad[] = {
        "",
        " ",
        "v1",
        "v1,",
        "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",     /* no version */
        "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",  /* another version */
        "V1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",  /* case counts */
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE",   /* no padding */
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE==", /* too much of it */
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OF=",  /* bits behind the end */
        "v1,g0hM9SsE-OTPJTGt_tmIKtSyZlE3uFJELVlNIOLJ1OE=",  /* the URL alphabet */
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1A==",  /* 31 bytes */
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OEA",  /* 33 bytes */
        "v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", /* ed25519 has 64 bytes */
        "v1\t,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        "v1,\"g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=\"",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (judge_signature(SECRET, bad[i]) != VERIFY_MALFORMED) {
            fail_msg("taken: \"%s\"", bad[i]);
        }
    }
}

static void test_blanks_around_entries_do_no_harm(void **state)
{
    (void)state;
    assert_int_equal(judge_signature(SECRET, "  v2,x   " SIGNATURE "  "), VERIFY_OK);
}

static void test_at_most_eight_entries_are_looked_at(void **state)
{
    (void)state;
#define SEVEN "v2,a v2,b v2,c v2,d v2,e v2,f v2,g "
    assert_int_equal(judge_signature(SECRET, SEVEN SIGNATURE), VERIFY_OK);
    assert_int_equal(judge_signature(SECRET, SEVEN "v2,h " SIGNATURE), VERIFY_TOO_MANY);
    assert_int_equal(judge_signature(SECRET, SIGNATURE " " SEVEN "v2,h"), VERIFY_TOO_MANY);
}

static void test_any_secret_with_any_signature_is_enough(void **state)
{
    (void)state;
    const char *wrong = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= ";
    char list[256];
    snprintf(list, sizeof list, "%s%s" SIGNATURE, wrong, wrong);
    assert_int_equal(judge_signature(OTHER " " SECRET, list), VERIFY_OK);
    assert_int_equal(judge_signature(SECRET "\n" OTHER "\n", list), VERIFY_OK);
    assert_int_equal(judge_signature(OTHER, list), VERIFY_MISMATCH);
}

static void test_hmac_signature_is_not_taken_under_an_ed25519_key(void **state)
{
    (void)state;
    const char *key = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
    assert_int_equal(judge_signature(key, SIGNATURE), VERIFY_MISMATCH);
    const char *ed = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/"
                     "enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";
    assert_int_equal(judge_signature(key, ed), VERIFY_OK);
    assert_int_equal(judge_signature(SECRET, ed), VERIFY_MISMATCH);
    assert_int_equal(judge_signature(SECRET " a-guide-secret " OTHER, ed), VERIFY_MISMATCH);
}

static void test_empty_body_can_be_signed(void **state)
{
    (void)state;
    mb_webhook_key_t key;
    mailbus_buf_t signature = MAILBUS_BUF_INIT;
    assert_int_equal(mb_webhook_key_parse(SECRET, &key, NULL), MAILBUS_OK);
    assert_int_equal(mb_webhook_sign(&key, ID, TIME, "", 0, &signature), MAILBUS_OK);
    assert_int_equal(
        judge_at(SECRET,
                 FIELDS("svix-id", ID, "svix-timestamp", TIME, "svix-signature", signature.data),
                 "", NOW),
        VERIFY_OK);
    mailbus_buf_free(&signature);
}

static void test_accepted_id_is_handed_out(void **state)
{
    (void)state;
    const guard_field_t fields[] = {
        {"webhook-id", 10, ID, strlen(ID)},
        {"webhook-timestamp", 17, TIME, strlen(TIME)},
        {"webhook-signature", 17, SIGNATURE, strlen(SIGNATURE)},
    };
    verify_headers_t headers;
    verify_headers_collect(fields, 3, &headers);
    verify_keys_t *keys = keys_of(SECRET);
    const char *id = NULL;
    assert_int_equal(verify_request(keys, &headers, BODY, strlen(BODY), NOW, 300, &id), VERIFY_OK);
    assert_string_equal(id, ID);
    verify_keys_free(&keys);
}

/* ---- the guide's scheme ---------------------------------------------------------------------- */

static const char *guide_signature(const char *secret, const char *prefix, bool upper)
{
    static char text[128];
    uint8_t digest[MB_SHA256_SIZE];
    const mb_part_t part = {BODY, strlen(BODY)};
    assert_int_equal(mb_hmac_sha256(secret, strlen(secret), &part, 1, digest), MAILBUS_OK);
    size_t used = (size_t)snprintf(text, sizeof text, "%s", prefix);
    for (size_t i = 0; i < sizeof digest; i++) {
        used +=
            (size_t)snprintf(text + used, sizeof text - used, upper ? "%02X" : "%02x", digest[i]);
    }
    return text;
}

static void test_guide_signature_with_and_without_prefix_in_any_case(void **state)
{
    (void)state;
    const char *const prefixes[] = {"sha256=", ""};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(judge(GUIDE_SECRET, "x-agentmail-SIGNATURE",
                               guide_signature(GUIDE_SECRET, prefixes[i & 1], i & 2)),
                         VERIFY_OK);
    }
    assert_int_equal(judge(GUIDE_SECRET, "X-AgentMail-Signature",
                           guide_signature("another-secret", "sha256=", false)),
                     VERIFY_MISMATCH);
}

/* From Python: hmac.new(b"the-guides-secret", b'{"test": 2432232314}', "sha256").hexdigest() */
static void test_guide_signature_of_another_implementation(void **state)
{
    (void)state;
    assert_int_equal(judge(GUIDE_SECRET, "X-AgentMail-Signature",
                           "sha256=29a4898328225c8472fb9c7052abd106"
                           "e873fa457e9ace3c8d5489a8cd653c6f"),
                     VERIFY_OK);
}

static void test_guide_signature_is_strict_hex(void **state)
{
    (void)state;
    const char *good = guide_signature(GUIDE_SECRET, "", false);
    char text[160];
    const char *const formats[] = {"sha1=%s", "SHA256=%s", "sha256= %s",      "%s ",
                                   "%s00",    " %s",       "sha256=sha256=%s"};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(text, sizeof text, formats[i], good);
#pragma GCC diagnostic pop
        assert_int_equal(judge(GUIDE_SECRET, "X-AgentMail-Signature", text), VERIFY_MALFORMED);
    }
    snprintf(text, sizeof text, "%.62s", good);
    assert_int_equal(judge(GUIDE_SECRET, "X-AgentMail-Signature", text), VERIFY_MALFORMED);
    assert_int_equal(judge(GUIDE_SECRET, "X-AgentMail-Signature", ""), VERIFY_MALFORMED);
    assert_int_equal(
        judge(GUIDE_SECRET, "X-AgentMail-Signature", good, "X-AgentMail-Signature", good),
        VERIFY_DOUBLED);
}

static void test_guide_counts_only_where_its_secret_is_configured(void **state)
{
    (void)state;
    /* The attacker's best guess: the text of the Svix secret as the guide's secret. */
    assert_int_equal(
        judge(SECRET, "X-AgentMail-Signature", guide_signature(SECRET, "sha256=", false)),
        VERIFY_NO_KEY);
    assert_int_equal(judge(SECRET " " GUIDE_SECRET, "X-AgentMail-Signature",
                           guide_signature(GUIDE_SECRET, "sha256=", false)),
                     VERIFY_OK);
}

static void test_request_with_svix_headers_is_judged_by_them_alone(void **state)
{
    (void)state;
    const char *both = SECRET " " GUIDE_SECRET;
    const char *good = guide_signature(GUIDE_SECRET, "sha256=", false);
    assert_int_equal(judge(both, "X-AgentMail-Signature", good, "svix-id", ID), VERIFY_MISSING);
    assert_int_equal(judge(both, "X-AgentMail-Signature", good, "webhook-id", ID, "svix-timestamp",
                           TIME, "svix-signature", "v1,AAAA"),
                     VERIFY_CONFLICT);
    assert_int_equal(judge(both, "X-AgentMail-Signature", good, "svix-id", ID, "svix-timestamp",
                           TIME, "svix-signature",
                           "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="),
                     VERIFY_MISMATCH);
    assert_int_equal(judge(GUIDE_SECRET, "X-AgentMail-Signature", good, "svix-id", ID,
                           "svix-timestamp", TIME, "svix-signature", SIGNATURE),
                     VERIFY_NO_KEY);
    assert_int_equal(judge(both, "X-AgentMail-Signature", "wrong", "svix-id", ID, "svix-timestamp",
                           TIME, "svix-signature", SIGNATURE),
                     VERIFY_OK);
}

/* ---- secrets and settings -------------------------------------------------------------------- */

static void test_bad_secrets_are_told_without_quoting_them(void **state)
{
    (void)state;
    const struct {
        const char *secrets, *says, *secret;
    } cases[] = {
        {"whsec_notbase64!notbase64!notbase64!no", "number 1", "notbase64"},
        {SECRET " whsec_MfKQ9r8GKYqrTwjUPD8I", "number 2", "MfKQ9r8GKYqrTwjUPD8I"},
        {"whsec_", "number 1", NULL},
        {"WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "mistyped", "MfKQ9r8G"},
        {"whsec-MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "mistyped", "MfKQ9r8G"},
        {"whpk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "32 bytes", "MfKQ9r8G"},
        {"whsk_6Xb/dCcHpPea21PS1N9VY", "private", "6Xb"},
        {"short", "shorter", "short\""},
        {"long-enough-1 long-enough-2 long-enough-3 long-enough-4 long-enough-5", "too many",
         "enough"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        verify_keys_t *keys = NULL;
        mailbus_error_t error;
        assert_int_equal(verify_keys_parse(cases[i].secrets, &keys, &error), MAILBUS_EINVAL);
        assert_null(keys);
        if (strstr(error.text, cases[i].says) == NULL) {
            fail_msg("\"%s\" does not say \"%s\"", error.text, cases[i].says);
        }
        assert_non_null(strstr(error.text, "verify.secret"));
        assert_true(cases[i].secret == NULL || strstr(error.text, cases[i].secret) == NULL);
    }
}

static void test_no_secret_accepts_nothing(void **state)
{
    (void)state;
    assert_int_equal(judge_signature("", SIGNATURE), VERIFY_NO_KEY);
    assert_int_equal(judge_signature(" \n", SIGNATURE), VERIFY_NO_KEY);
}

static void test_accept_all_takes_everything_and_only_usable_ids(void **state)
{
    (void)state;
    verify_keys_t *keys = verify_keys_accept_all();
    const guard_field_t good = {"svix-id", 7, ID, strlen(ID)};
    const guard_field_t bad = {"svix-id", 7, "a b", 3};
    verify_headers_t headers;
    const char *id = NULL;
    verify_headers_collect(&good, 1, &headers);
    assert_int_equal(verify_request(keys, &headers, BODY, 3, NOW, 300, &id), VERIFY_OK);
    assert_string_equal(id, ID);
    verify_headers_collect(&bad, 1, &headers);
    assert_int_equal(verify_request(keys, &headers, BODY, 3, NOW, 300, &id), VERIFY_OK);
    assert_null(id);
    verify_keys_free(&keys);
}

static void test_start_needs_a_secret_or_an_open_loopback(void **state)
{
    (void)state;
    mailbus_error_t error;
    assert_int_equal(verify_check_config(SECRET, false, "0.0.0.0:80", &error), MAILBUS_OK);
    assert_int_equal(verify_check_config("", false, "127.0.0.1:80", &error), MAILBUS_EINVAL);
    assert_non_null(strstr(error.text, "MAILBUS_VERIFY_SECRET"));
    assert_int_equal(verify_check_config("", true, "127.0.0.1:80", &error), MAILBUS_OK);
    assert_int_equal(verify_check_config("", true, "[::1]:80", &error), MAILBUS_OK);
    assert_int_equal(verify_check_config("", true, "0.0.0.0:80", &error), MAILBUS_EACCESS);
    assert_int_equal(verify_check_config("", true, ":80", &error), MAILBUS_EACCESS);
    assert_int_equal(verify_check_config(SECRET, true, "127.0.0.1:80", &error), MAILBUS_EINVAL);
    assert_int_equal(verify_check_config("whsec_x", false, "127.0.0.1:80", &error), MAILBUS_EINVAL);
}

static void test_every_result_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < VERIFY_RESULTS; i++) {
        for (int k = 0; k < i; k++) {
            assert_string_not_equal(verify_result_name((verify_result_t)i),
                                    verify_result_name((verify_result_t)k));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_published_and_derived_vector_is_accepted),
        cmocka_unit_test(test_every_vector_fails_under_another_secret),
        cmocka_unit_test(test_every_published_negative_is_refused),
        cmocka_unit_test(test_tolerance_is_inclusive_on_both_sides),
        cmocka_unit_test(test_timestamp_is_digits_only),
        cmocka_unit_test(test_each_header_must_be_there),
        cmocka_unit_test(test_each_header_must_come_once),
        cmocka_unit_test(test_both_sets_of_names_must_agree),
        cmocka_unit_test(test_id_is_printable_and_bounded),
        cmocka_unit_test(test_id_and_time_are_signed_too),
        cmocka_unit_test(test_malformed_entries_match_nothing),
        cmocka_unit_test(test_blanks_around_entries_do_no_harm),
        cmocka_unit_test(test_at_most_eight_entries_are_looked_at),
        cmocka_unit_test(test_any_secret_with_any_signature_is_enough),
        cmocka_unit_test(test_hmac_signature_is_not_taken_under_an_ed25519_key),
        cmocka_unit_test(test_empty_body_can_be_signed),
        cmocka_unit_test(test_accepted_id_is_handed_out),
        cmocka_unit_test(test_guide_signature_with_and_without_prefix_in_any_case),
        cmocka_unit_test(test_guide_signature_of_another_implementation),
        cmocka_unit_test(test_guide_signature_is_strict_hex),
        cmocka_unit_test(test_guide_counts_only_where_its_secret_is_configured),
        cmocka_unit_test(test_request_with_svix_headers_is_judged_by_them_alone),
        cmocka_unit_test(test_bad_secrets_are_told_without_quoting_them),
        cmocka_unit_test(test_no_secret_accepts_nothing),
        cmocka_unit_test(test_accept_all_takes_everything_and_only_usable_ids),
        cmocka_unit_test(test_start_needs_a_secret_or_an_open_loopback),
        cmocka_unit_test(test_every_result_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
