#include "guard.h"

#include <string.h>
#include <strings.h>

/* Fields that decide where a body ends, whom it is for, what it is, or whether it is genuine. Which
 * of two would count is a matter of the reader's taste, so there may be one only. */
static const char *const single_fields[] = {
    "Content-Length",
    "Host",
    "Content-Type",
    "Content-Encoding",
    "svix-id",
    "svix-timestamp",
    "svix-signature",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "X-AgentMail-Signature",
};
#define SINGLE_FIELDS (sizeof single_fields / sizeof single_fields[0])

#define LENGTH_DIGITS_MAX 19 /* fits uint64_t without looking for an overflow */

/* RFC 9110 §5.6.2. */
static bool is_token(const char *text, size_t size)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < size; i++) {
        const char c = text[i];
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        const bool digit = c >= '0' && c <= '9';
        if (!letter && !digit && (c == '\0' || strchr(marks, c) == NULL)) {
            return false;
        }
    }
    return size > 0;
}

/* RFC 9110 §5.5: CR, LF and NUL are dangerous, other control characters are never needed. */
static bool is_clean_value(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        const unsigned char c = (unsigned char)text[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

static bool is_named(const guard_field_t *field, const char *name)
{
    return field->name_size == strlen(name) &&
           strncasecmp(field->name, name, field->name_size) == 0;
}

/* Begins with `name` and goes on: a folded or forged framing field. */
static bool is_lookalike(const guard_field_t *field, const char *name)
{
    const size_t size = strlen(name);
    return field->name_size > size && strncasecmp(field->name, name, size) == 0;
}

static guard_result_t check_field(const guard_field_t *field)
{
    /* Before the token rule, so that "Transfer-Encoding : chunked" is counted as what it is. */
    if (is_lookalike(field, "Content-Length") || is_lookalike(field, "Transfer-Encoding")) {
        return GUARD_LOOKALIKE;
    }
    if (!is_token(field->name, field->name_size)) {
        return GUARD_BAD_NAME;
    }
    if (!is_clean_value(field->value, field->value_size)) {
        return GUARD_BAD_VALUE;
    }
    return is_named(field, "Transfer-Encoding") ? GUARD_TRANSFER_ENCODING : GUARD_OK;
}

static guard_result_t read_length(const guard_field_t *field, uint64_t *ret_length)
{
    if (field->value_size == 0 || field->value_size > LENGTH_DIGITS_MAX) {
        return GUARD_BAD_LENGTH;
    }
    uint64_t length = 0;
    for (size_t i = 0; i < field->value_size; i++) {
        const char c = field->value[i];
        if (c < '0' || c > '9') {
            return GUARD_BAD_LENGTH;
        }
        length = length * 10 + (uint64_t)(c - '0');
    }
    *ret_length = length;
    return GUARD_OK;
}

static guard_result_t check_single(const guard_field_t *fields, size_t count)
{
    unsigned seen[SINGLE_FIELDS] = {0};
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < SINGLE_FIELDS; k++) {
            if (is_named(&fields[i], single_fields[k]) && ++seen[k] > 1) {
                return GUARD_DOUBLED;
            }
        }
    }
    return GUARD_OK;
}

guard_result_t guard_check_framing(const char *version, const guard_field_t *fields, size_t count,
                                   bool *ret_has_length, uint64_t *ret_length)
{
    if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0) {
        return GUARD_BAD_VERSION;
    }
    if (count > GUARD_FIELDS_MAX) {
        return GUARD_TOO_MANY_FIELDS;
    }
    for (size_t i = 0; i < count; i++) {
        const guard_result_t result = check_field(&fields[i]);
        if (result != GUARD_OK) {
            return result;
        }
    }
    guard_result_t result = check_single(fields, count);
    uint64_t length = 0;
    const guard_field_t *field = guard_find(fields, count, "Content-Length");
    if (result == GUARD_OK && field != NULL) {
        result = read_length(field, &length);
    }
    if (result == GUARD_OK) {
        *ret_has_length = field != NULL;
        *ret_length = length;
    }
    return result;
}

/* application/json or application/<something>+json (RFC 6839 §3.1); parameters are not looked at,
 * because RFC 8259 knows no encoding of JSON but UTF-8. */
static bool is_json_type(const char *value, size_t size)
{
    const char *semicolon = memchr(value, ';', size);
    if (semicolon != NULL) {
        size = (size_t)(semicolon - value);
    }
    while (size > 0 && (value[size - 1] == ' ' || value[size - 1] == '\t')) {
        size--;
    }
    static const char prefix[] = "application/";
    const size_t prefix_size = sizeof prefix - 1;
    if (size <= prefix_size || strncasecmp(value, prefix, prefix_size) != 0) {
        return false;
    }
    value += prefix_size;
    size -= prefix_size;
    if (!is_token(value, size)) {
        return false;
    }
    if (size == 4) {
        return strncasecmp(value, "json", 4) == 0;
    }
    return size > 5 && strncasecmp(value + size - 5, "+json", 5) == 0;
}

guard_result_t guard_check_post(const guard_field_t *fields, size_t count, bool has_length,
                                uint64_t length, uint64_t max_body)
{
    if (!has_length) {
        return GUARD_NO_LENGTH;
    }
    if (length > max_body) {
        return GUARD_TOO_LARGE;
    }
    const guard_field_t *type = guard_find(fields, count, "Content-Type");
    if (type != NULL && !is_json_type(type->value, type->value_size)) {
        return GUARD_BAD_TYPE;
    }
    const guard_field_t *encoding = guard_find(fields, count, "Content-Encoding");
    if (encoding != NULL &&
        !(encoding->value_size == 8 && strncasecmp(encoding->value, "identity", 8) == 0)) {
        return GUARD_BAD_TYPE;
    }
    return GUARD_OK;
}

const guard_field_t *guard_find(const guard_field_t *fields, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (is_named(&fields[i], name)) {
            return &fields[i];
        }
    }
    return NULL;
}
