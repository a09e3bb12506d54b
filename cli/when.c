#include "when.h"

#include <stdio.h>
#include <string.h>

#include "mailbus/replay.h"

enum { AGO_DIGITS = 9 }; /* a number of days that still fits in milliseconds */

/* Milliseconds of one unit, 0 for a letter that is none. */
static int64_t unit_ms(char unit)
{
    switch (unit) {
    case 's':
        return 1000;
    case 'm':
        return INT64_C(60) * 1000;
    case 'h':
        return INT64_C(60) * 60 * 1000;
    case 'd':
        return INT64_C(24) * 60 * 60 * 1000;
    default:
        return 0;
    }
}

static bool parse_ago(const char *text, size_t digits, int64_t now_ms, int64_t *ret_ms)
{
    if (digits == 0 || digits > AGO_DIGITS || strlen(text) != digits + 1 ||
        unit_ms(text[digits]) == 0) {
        return false;
    }
    int64_t number = 0;
    for (size_t i = 0; i < digits; i++) {
        number = number * 10 + (text[i] - '0');
    }
    int64_t ago = number * unit_ms(text[digits]);
    *ret_ms = ago < now_ms ? now_ms - ago : 0;
    return true;
}

mailbus_code_t when_parse(const char *text, int64_t now_ms, when_t *ret_when,
                          mailbus_error_t *error)
{
    when_t when = {.is_time = true};
    char day[32];
    size_t digits = strspn(text, "0123456789");
    if (digits > 0 && text[digits] == '\0') {
        when.is_time = false;
        if (mailbus_sequence_parse(text, &when.sequence) != MAILBUS_OK) {
            return mailbus_fail(error, MAILBUS_EINVAL, "\"%.40s\" is no sequence number", text);
        }
    } else if (!parse_ago(text, digits, now_ms, &when.ms)) {
        snprintf(day, sizeof day, "%.10sT00:00:00Z", text);
        if (mailbus_time_parse(text, &when.ms) != MAILBUS_OK &&
            (strlen(text) != 10 || mailbus_time_parse(day, &when.ms) != MAILBUS_OK)) {
            return mailbus_fail(error, MAILBUS_EINVAL,
                                "\"%.40s\" is neither a sequence (1234) nor a time "
                                "(2026-10-12T09:00:00Z, 2026-10-12, or 15m, 2h, 3d ago)",
                                text);
        }
    }
    *ret_when = when;
    return MAILBUS_OK;
}
