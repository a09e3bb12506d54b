/* RFC 3339 times, by the calendar alone: no time zone database, no locale. */
#include "mailbus/replay.h"

#include <string.h>

/* Days from 1970-01-01 to a date of the proleptic Gregorian calendar, counted in 400-year cycles
 * from a year that begins in March, so that the leap day is a year's last. */
static int64_t days_from_date(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t cycle = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_cycle = year - cycle * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return cycle * 146097 + year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 +
           day_of_year - 719468;
}

static void date_from_days(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day)
{
    days += 719468;
    int64_t cycle = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day = days - cycle * 146097;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    int64_t day_of_year = day - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    *ret_day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
    *ret_month = (int)(month + (month < 10 ? 3 : -9));
    *ret_year = year + cycle * 400 + (*ret_month <= 2);
}

static void digits(char *at, int value, int count)
{
    while (count-- > 0) {
        at[count] = (char)('0' + value % 10);
        value /= 10;
    }
}

void mailbus_time_format(int64_t ms, char text[MAILBUS_TIME_SIZE])
{
    /* RFC 3339 has four digits of year: 0000-01-01 to 9999-12-31. */
    static const int64_t first_ms = -62167219200000;
    static const int64_t last_ms = 253402300799999;
    static const int64_t day_ms = 86400000;
    ms = ms < first_ms ? first_ms : ms > last_ms ? last_ms : ms;
    int64_t days = ms >= 0 ? ms / day_ms : -((day_ms - 1 - ms) / day_ms); /* rounded down */
    int rest = (int)(ms - days * day_ms);
    int64_t year;
    int month, day;
    date_from_days(days, &year, &month, &day);
    memcpy(text, "0000-00-00T00:00:00.000Z", sizeof "0000-00-00T00:00:00.000Z");
    digits(text, (int)year, 4);
    digits(text + 5, month, 2);
    digits(text + 8, day, 2);
    digits(text + 11, rest / 3600000, 2);
    digits(text + 14, rest / 60000 % 60, 2);
    digits(text + 17, rest / 1000 % 60, 2);
    digits(text + 20, rest % 1000, 3);
}

/* `digits` decimal digits at *text, which moves on; -1 where they are not. */
static int number(const char **text, int digits)
{
    int value = 0;
    for (int i = 0; i < digits; i++, (*text)++) {
        if (**text < '0' || **text > '9') {
            return -1;
        }
        value = value * 10 + (**text - '0');
    }
    return value;
}

static bool expect(const char **text, char c)
{
    if (**text != c && !(c >= 'A' && c <= 'Z' && **text == (char)(c + 32))) {
        return false;
    }
    (*text)++;
    return true;
}

/* ".123456" → 123; nothing → 0; -1 where a point has no digit behind it. */
static int fraction_ms(const char **text)
{
    if (**text != '.') {
        return 0;
    }
    (*text)++;
    int ms = 0, scale = 100;
    const char *start = *text;
    for (; **text >= '0' && **text <= '9'; (*text)++, scale /= 10) {
        ms += (**text - '0') * scale;
    }
    return *text == start ? -1 : ms;
}

static bool offset_minutes(const char **text, int *ret_minutes)
{
    if (expect(text, 'Z')) {
        *ret_minutes = 0;
        return true;
    }
    int sign = **text == '+' ? 1 : **text == '-' ? -1 : 0;
    if (sign == 0) {
        return false;
    }
    (*text)++;
    int hours = number(text, 2);
    bool colon = hours >= 0 && expect(text, ':');
    int minutes = colon ? number(text, 2) : -1;
    *ret_minutes = sign * (hours * 60 + minutes);
    return minutes >= 0 && minutes < 60 && hours < 24;
}

mailbus_code_t mailbus_time_parse(const char *text, int64_t *ret_ms)
{
    static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = number(&text, 4);
    int month = year >= 0 && expect(&text, '-') ? number(&text, 2) : -1;
    int day = month >= 1 && month <= 12 && expect(&text, '-') ? number(&text, 2) : -1;
    if (day < 1 || !expect(&text, 'T')) {
        return MAILBUS_EINVAL;
    }
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    int hour = number(&text, 2);
    int minute = hour >= 0 && hour < 24 && expect(&text, ':') ? number(&text, 2) : -1;
    int second = minute >= 0 && minute < 60 && expect(&text, ':') ? number(&text, 2) : -1;
    int ms = second >= 0 && second <= 60 ? fraction_ms(&text) : -1; /* 60: a leap second */
    int offset = 0;
    if (day > month_days[month - 1] + (month == 2 && leap) || ms < 0 ||
        !offset_minutes(&text, &offset) || *text != '\0') {
        return MAILBUS_EINVAL;
    }
    const int64_t minutes = (int64_t)hour * 60 + minute - offset;
    const int64_t seconds = days_from_date(year, month, day) * 86400 + minutes * 60 + second;
    *ret_ms = seconds * 1000 + ms;
    return MAILBUS_OK;
}
