#include "mailbus/event.h"

#include <string.h>

static bool is_topic_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

mailbus_code_t mailbus_topic_check(const char *topic, size_t size, mailbus_error_t *error)
{
    if (size == 0) {
        return mailbus_fail(error, MAILBUS_EINVAL, "the topic is empty");
    }
    if (size > MAILBUS_TOPIC_MAX) {
        return mailbus_fail(error, MAILBUS_EINVAL, "the topic has %zu bytes, more than %d", size,
                            MAILBUS_TOPIC_MAX);
    }
    bool in_part = false;
    for (size_t i = 0; i < size; i++) {
        if (is_topic_character(topic[i])) {
            in_part = true;
        } else if (topic[i] == '.' && in_part && i + 1 < size) {
            in_part = false;
        } else {
            return mailbus_fail(error, MAILBUS_EINVAL,
                                "the topic is not of the form [a-z0-9_-]+(.[a-z0-9_-]+)*: byte %zu",
                                i);
        }
    }
    static const size_t reserved = sizeof MAILBUS_RESERVED - 1;
    if (size >= reserved && memcmp(topic, MAILBUS_RESERVED, reserved) == 0) {
        return mailbus_fail(error, MAILBUS_EACCESS,
                            "topics that begin with \"" MAILBUS_RESERVED "\" are the bus's own");
    }
    return MAILBUS_OK;
}

/* RFC 3986 pchar: unreserved, sub-delims, ':' and '@'. */
static bool is_pchar(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~!$&'()*+,;=:@", c) != NULL);
}

void mailbus_source_encode(const char *inbox, mailbus_buf_t *out)
{
    static const char hex[] = "0123456789ABCDEF";
    mailbus_buf_text(out, "/agentmail");
    if (inbox == NULL || inbox[0] == '\0') {
        return;
    }
    mailbus_buf_text(out, "/inboxes/");
    for (const unsigned char *c = (const unsigned char *)inbox; *c != '\0'; c++) {
        if (is_pchar(*c)) {
            mailbus_buf_char(out, (char)*c);
        } else {
            const char escape[3] = {'%', hex[*c >> 4], hex[*c & 15]};
            mailbus_buf_append(out, escape, sizeof escape);
        }
    }
}

mailbus_code_t mailbus_sequence_parse(const char *text, uint64_t *ret_sequence)
{
    uint64_t value = 0;
    if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0')) {
        return MAILBUS_EINVAL;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || value > (UINT64_MAX - (uint64_t)(*text - '0')) / 10) {
            return MAILBUS_EINVAL;
        }
        value = value * 10 + (uint64_t)(*text - '0');
    }
    *ret_sequence = value;
    return MAILBUS_OK;
}
