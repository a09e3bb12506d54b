#include "random_id.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoding.h"
#include "memory.h"

enum { DIGITS_MAX = 64, SECRET_BYTES = 24 };

static void must_random(void *data, size_t size)
{
    mailbus_code_t code = mb_random(data, size);
    assert(code == MAILBUS_OK); /* a system without random bytes runs nothing else either */
}

static char *random_digits(const char *prefix, size_t digits, const char *alphabet)
{
    uint8_t bytes[DIGITS_MAX];
    char text[DIGITS_MAX + 1];
    assert(digits <= DIGITS_MAX);
    must_random(bytes, digits);
    size_t size = strlen(alphabet);
    for (size_t at = 0; at < digits; at++) {
        text[at] = alphabet[bytes[at] % size];
    }
    text[digits] = '\0';
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mailbus_buf_text(&out, prefix);
    mailbus_buf_text(&out, text);
    return mailbus_buf_take(&out, NULL);
}

char *random_uuid(void)
{
    char text[37];
    mailbus_code_t code = mb_uuid(text);
    assert(code == MAILBUS_OK);
    return memory_text(text);
}

char *random_base62(const char *prefix, size_t digits)
{
    return random_digits(prefix, digits,
                         "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
}

char *random_hex(const char *prefix, size_t digits)
{
    return random_digits(prefix, digits, "0123456789abcdef");
}

char *random_message_id(long long now_ms)
{
    char *uuid = random_uuid();
    char text[128];
    snprintf(text, sizeof text, "<0100%012llx-%s-000000@email.amazonses.com>",
             (unsigned long long)now_ms, uuid);
    free(uuid);
    return memory_text(text);
}

char *random_webhook_secret(void)
{
    uint8_t key[SECRET_BYTES];
    must_random(key, sizeof key);
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mailbus_buf_text(&out, "whsec_");
    mb_base64_encode(key, sizeof key, &out);
    return mailbus_buf_take(&out, NULL);
}
