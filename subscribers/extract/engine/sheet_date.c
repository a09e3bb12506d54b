#include "sheet_date.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    MAX_STYLES = 65536, /* Excel's own limit is 65490 */
    MAX_FORMATS = 1024, /* formats of a workbook's own; Excel's limit is 250 or so */
    FORMAT_SIZE = 128,
    DAY_S = 86400,
    LAST_DAY = 2958465,     /* 9999-12-31 */
    DAYS_1904 = 1462,       /* from the one beginning to the other */
    EPOCH_DAYS = 25569,     /* 1970-01-01 */
    FIRST_DATE_FORMAT = 14, /* built-in formats, §18.8.30 */
    LAST_DATE_FORMAT = 22,
    FIRST_ELAPSED_FORMAT = 45,
    LAST_ELAPSED_FORMAT = 47,
};

typedef struct {
    sheet_dates_t *dates;
    long *formats; /* numbers of formats of its own that show dates */
    size_t format_count;
    int in_cells; /* in cellXfs, not in cellStyleXfs */
    bool no_memory;
} styles_t;

bool sheet_date_format(const char *format)
{
    for (const char *at = format; *at != '\0'; at++) {
        if (*at == '"' || *at == '[') { /* text, or a colour, a currency, a condition */
            const char *close = strchr(at + 1, *at == '"' ? '"' : ']');
            bool elapsed = *at == '[' && at[1] != '\0' && strchr("hHmMsS", at[1]) != NULL &&
                           (at[2] == ']' || at[2] == at[1]);
            if (elapsed) {
                return true;
            }
            if (close == NULL) {
                return false;
            }
            at = close;
        } else if (*at == '\\' || *at == '_' || *at == '*') { /* the next one as it stands */
            if (at[1] == '\0') {
                return false;
            }
            at++;
        } else if (strchr("yYdDhHsS", *at) != NULL || *at == 'm' || *at == 'M') {
            return true;
        } else if (strncmp(at, "General", 7) == 0) {
            return false;
        }
    }
    return false;
}

static bool is_date(const styles_t *self, long format)
{
    if ((format >= FIRST_DATE_FORMAT && format <= LAST_DATE_FORMAT) ||
        (format >= FIRST_ELAPSED_FORMAT && format <= LAST_ELAPSED_FORMAT)) {
        return true;
    }
    for (size_t i = 0; i < self->format_count; i++) {
        if (self->formats[i] == format) {
            return true;
        }
    }
    return false;
}

static void add_style(styles_t *self, bool date)
{
    sheet_dates_t *dates = self->dates;
    if (dates->count == dates->capacity) {
        size_t capacity = dates->capacity == 0 ? 64 : dates->capacity * 2;
        bool *styles = realloc(dates->styles, capacity * sizeof *styles);
        if (styles == NULL) {
            self->no_memory = true;
            return;
        }
        dates->styles = styles;
        dates->capacity = capacity;
    }
    dates->styles[dates->count++] = date;
}

static void start(void *context, const xml_element_t *element)
{
    styles_t *self = context;
    if (strcmp(element->name, "numFmt") == 0 && self->format_count < MAX_FORMATS) {
        char format[FORMAT_SIZE];
        if (xml_attribute(element, "formatCode", format, sizeof format) &&
            sheet_date_format(format)) {
            self->formats[self->format_count++] = xml_number(element, "numFmtId", INT32_MAX, -1);
        }
    } else if (strcmp(element->name, "cellXfs") == 0) {
        self->in_cells++;
    } else if (strcmp(element->name, "xf") == 0 && self->in_cells > 0 &&
               self->dates->count < MAX_STYLES) {
        add_style(self, is_date(self, xml_number(element, "numFmtId", INT32_MAX, 0)));
    } else if (strcmp(element->name, "workbookPr") == 0) {
        char flag[8];
        xml_attribute(element, "date1904", flag, sizeof flag);
        self->dates->since_1904 = strcmp(flag, "1") == 0 || strcmp(flag, "true") == 0;
    }
}

static void end(void *context, const char *name)
{
    styles_t *self = context;
    self->in_cells -= strcmp(name, "cellXfs") == 0 ? 1 : 0;
}

static void text(void *context, const char *data, size_t size)
{
    (void)context, (void)data, (void)size;
}

engine_status_t sheet_dates_read(package_t *package, sheet_dates_t *dates, mailbus_error_t *why)
{
    static const xml_handler_t handler = {start, end, text};
    styles_t styles = {.dates = dates, .formats = calloc(MAX_FORMATS, sizeof(long))};
    engine_status_t status = ENGINE_OK;
    if (styles.formats == NULL) {
        return engine_fail(why, ENGINE_MEMORY, "out of memory");
    }
    if (package_has(package, "xl/styles.xml")) {
        status = xml_read(package, "xl/styles.xml", &handler, &styles, why);
    }
    if (status == ENGINE_OK) {
        status = xml_read(package, "xl/workbook.xml", &handler, &styles, why);
    }
    if (status == ENGINE_OK && styles.no_memory) {
        status = engine_fail(why, ENGINE_MEMORY, "out of memory");
    }
    free(styles.formats);
    return status;
}

void sheet_dates_free(sheet_dates_t *dates)
{
    free(dates->styles);
    *dates = (sheet_dates_t)SHEET_DATES_INIT;
}

bool sheet_date_text(const char *number, bool since_1904, char text[SHEET_DATE_SIZE])
{
    char *behind = NULL;
    double value = strtod(number, &behind);
    if (behind == number || *behind != '\0' || !isfinite(value) || value < 0 ||
        value >= LAST_DAY + 1) {
        return false;
    }
    double days = floor(value);
    long long seconds = llround((value - days) * DAY_S);
    time_t at = (time_t)((long long)days + (since_1904 ? DAYS_1904 : 0) - EPOCH_DAYS) * DAY_S;
    at += (time_t)seconds;
    struct tm parts;
    if (gmtime_r(&at, &parts) == NULL) {
        return false;
    }
    if (seconds == 0) {
        return strftime(text, SHEET_DATE_SIZE, "%Y-%m-%d", &parts) > 0;
    }
    return days < 1 ? strftime(text, SHEET_DATE_SIZE, "%H:%M:%S", &parts) > 0
                    : strftime(text, SHEET_DATE_SIZE, "%Y-%m-%d %H:%M:%S", &parts) > 0;
}
