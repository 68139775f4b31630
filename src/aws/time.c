#include "aws/time.h"

/* Exactly `digits` digits at the front of *text, which moves on. */
static bool take(struct span *text, size_t digits, int *ret_number)
{
    int number = 0;
    if (text->len < digits)
        return false;
    for (size_t i = 0; i < digits; i++) {
        if (text->data[i] < '0' || text->data[i] > '9')
            return false;
        number = number * 10 + (text->data[i] - '0');
    }
    *text = span_of(text->data + digits, text->len - digits);
    *ret_number = number;
    return true;
}

static bool skip(struct span *text, char c)
{
    if (!text->len || text->data[0] != (uint8_t)c)
        return false;
    *text = span_of(text->data + 1, text->len - 1);
    return true;
}

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_in(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days from 1970-01-01. */
static int64_t days_before(int year, int month)
{
    int y = year - 1;
    int64_t days = (int64_t)y * 365 + y / 4 - y / 100 + y / 400 - 719162;
    for (int m = 1; m < month; m++)
        days += days_in(year, m);
    return days;
}

static bool take_day(struct span *text, int64_t *ret_days)
{
    int year, month, day;
    if (!take(text, 4, &year) || !skip(text, '-') || !take(text, 2, &month) || !skip(text, '-') ||
        !take(text, 2, &day))
        return false;
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > days_in(year, month))
        return false;
    *ret_days = days_before(year, month) + day - 1;
    return true;
}

static bool take_clock(struct span *text, int64_t *ret_seconds)
{
    int hour, minute, second, digit;
    if (!take(text, 2, &hour) || !skip(text, ':') || !take(text, 2, &minute) || !skip(text, ':') ||
        !take(text, 2, &second))
        return false;
    if (hour > 23 || minute > 59 || second > 60)
        return false;
    if (skip(text, '.')) {
        if (!take(text, 1, &digit))
            return false;
        while (take(text, 1, &digit))
            continue;
    }
    *ret_seconds = hour * 3600 + minute * 60 + second;
    return true;
}

/* Z, UTC, +01:00, +0100 */
static bool take_zone(struct span text, int64_t *ret_offset)
{
    int hour, minute;
    *ret_offset = 0;
    if (span_is(text, "Z") || span_is(text, "UTC"))
        return true;
    bool plus = skip(&text, '+');
    if (!plus && !skip(&text, '-'))
        return false;
    if (!take(&text, 2, &hour))
        return false;
    (void)skip(&text, ':');
    if (!take(&text, 2, &minute) || text.len || hour > 23 || minute > 59)
        return false;
    *ret_offset = (plus ? 1 : -1) * (hour * 3600 + minute * 60);
    return true;
}

CC_ERR aws_time_parse(struct span text, int64_t *ret_seconds)
{
    int64_t days, seconds, offset;
    if (!take_day(&text, &days) || !skip(&text, 'T') || !take_clock(&text, &seconds) ||
        !take_zone(text, &offset))
        return CC_FAIL(MALFORMED, "a time");
    *ret_seconds = days * 86400 + seconds - offset;
    return CC_OK;
}
