/* Which numbers of a sheet are dates (ECMA-376 part 1, §18.8.30), and which (§18.17.4). */
#ifndef ENGINE_SHEET_DATE_H
#define ENGINE_SHEET_DATE_H

#include "xml.h"

#define SHEET_DATE_SIZE 32

typedef struct {
    bool *styles; /* by a cell's style: it is a date */
    size_t count, capacity;
    bool since_1904; /* day 0 is 1904-01-01, not 1899-12-30 */
} sheet_dates_t;

#define SHEET_DATES_INIT                                                                           \
    {                                                                                              \
        NULL, 0, 0, false                                                                          \
    }

/* Read xl/styles.xml and xl/workbook.xml. Without the first no number is a date. Free it, also
 * after a failure. */
engine_status_t sheet_dates_read(package_t *package, sheet_dates_t *dates, mailbus_error_t *why);
void sheet_dates_free(sheet_dates_t *dates);

/* True where a format of a number shows a date or a time: "yyyy\-mm\-dd", not "0.00 \d\a\y\s". */
bool sheet_date_format(const char *format);
/* "2026-10-12", "2026-10-12 09:31:04", "09:31:04" below day 1; false where it is none (negative,
 * beyond the year 9999, no number). */
bool sheet_date_text(const char *number, bool since_1904, char text[SHEET_DATE_SIZE]);

#endif
