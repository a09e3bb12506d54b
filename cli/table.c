#include "table.h"

#include <assert.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "agentmail/text.h"
#include "csv.h"
#include "mailbus/buf.h"
#include "mailbus/json.h"
#include "mailbus/replay.h"
#include "show.h"

static const char ELLIPSIS[] = "…";
static const char GAP[] = "  ";

#define NO_LIMIT (SIZE_MAX / 2) /* of columns */

struct table {
    const table_column_t *columns;
    table_format_t format;
    FILE *out;
    size_t count;                     /* of columns */
    size_t widths[TABLE_COLUMNS_MAX]; /* on the terminal; 0: not padded */
    bool begun;                       /* the head is printed */
    locale_t utf8;                    /* for the width of characters, whatever the user's locale */
};

mailbus_code_t table_new(const table_column_t *columns, table_format_t format, FILE *out,
                         table_t **ret_self, mailbus_error_t *error)
{
    table_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    self->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (self->utf8 == (locale_t)0) { /* libc's own, of which every system has one: bytes count */
        self->utf8 = newlocale(LC_CTYPE_MASK, "C", (locale_t)0);
    }
    self->columns = columns;
    self->format = format;
    self->out = out;
    while (columns[self->count].key != NULL) {
        self->count++;
    }
    assert(self->count <= TABLE_COLUMNS_MAX);
    *ret_self = self;
    return MAILBUS_OK;
}

void table_destroy(table_t **self_p)
{
    if (*self_p == NULL) {
        return;
    }
    freelocale((*self_p)->utf8);
    free(*self_p);
    *self_p = NULL;
}

/* --- width --------------------------------------------------------------------------------------
 */

/* Bytes of the longest beginning of `text` that takes at most `most` columns of a terminal;
 * *ret_width: how many it takes. East Asian wide characters take two, combining ones none. wcwidth
 * goes by the thread's locale, which is changed for the time being. */
static size_t measure(const table_t *self, const char *text, size_t most, size_t *ret_width)
{
    locale_t before = uselocale(self->utf8);
    mbstate_t state = {0};
    size_t left = strlen(text);
    size_t used = 0;
    size_t width = 0;
    while (left > 0) {
        wchar_t character = L'?';
        size_t size = mbrtowc(&character, text + used, left, &state);
        int columns = 1; /* also of what this libc doesn't know */
        if (size == 0 || size > left) {
            size = 1;
            state = (mbstate_t){0};
        } else if (wcwidth(character) >= 0) {
            columns = wcwidth(character);
        }
        if (width + (size_t)columns > most) {
            break;
        }
        width += (size_t)columns;
        used += size;
        left -= size;
    }
    uselocale(before);
    *ret_width = width;
    return used;
}

static size_t display_width(const table_t *self, const char *text)
{
    size_t width;
    measure(self, text, NO_LIMIT, &width);
    return width;
}

/* --- cells --------------------------------------------------------------------------------------
 */

static void append_time(int64_t ms, mailbus_buf_t *out)
{
    char text[MAILBUS_TIME_SIZE];
    mailbus_time_format(ms, text);
    mailbus_buf_printf(out, "%.10s %.8sZ", text, text + 11);
}

/* The value of a cell on one line. */
static void append_cell(const table_t *self, const cJSON *row, const table_column_t *column,
                        mailbus_buf_t *out)
{
    const cJSON *item = mailbus_json_item(row, column->key);
    int64_t ms;
    mailbus_buf_text(out, "");
    if (cJSON_IsString(item)) {
        const char *text = cJSON_GetStringValue(item);
        if (self->format == TABLE_TEXT && mailbus_time_parse(text, &ms) == MAILBUS_OK) {
            append_time(ms, out);
        } else {
            agentmail_text_line(text, strlen(text), 0, out);
        }
    } else if (item != NULL && !cJSON_IsNull(item)) {
        char *json = cJSON_PrintUnformatted(item);
        if (json != NULL) {
            agentmail_text_line(json, strlen(json), 0, out);
        }
        cJSON_free(json);
    }
}

static void print_padded(const table_t *self, const char *text, size_t most, size_t pad)
{
    size_t width = 0;
    size_t size = measure(self, text, most, &width);
    const char *mark = "";
    if (text[size] != '\0') { /* room for the mark */
        size = measure(self, text, most - 1, &width);
        mark = ELLIPSIS;
        width++;
    }
    fwrite(text, 1, size, self->out);
    fputs(mark, self->out);
    if (pad > width) {
        fprintf(self->out, "%*s", (int)(pad - width), "");
    }
}

/* One cell of a table; the last is not padded. */
static void print_cell(const table_t *self, size_t at, const char *text)
{
    bool last = at + 1 == self->count;
    size_t most = self->columns[at].width > 0 ? (size_t)self->columns[at].width : NO_LIMIT;
    print_padded(self, text, most, last ? 0 : self->widths[at]);
    fputs(last ? "\n" : GAP, self->out);
}

static void print_text_row(const table_t *self, const cJSON *row)
{
    mailbus_buf_t cell = MAILBUS_BUF_INIT;
    for (size_t i = 0; i < self->count; i++) {
        mailbus_buf_clear(&cell);
        append_cell(self, row, &self->columns[i], &cell);
        print_cell(self, i, cell.data != NULL ? cell.data : "");
    }
    mailbus_buf_free(&cell);
}

static void print_csv_row(const table_t *self, const cJSON *row)
{
    mailbus_buf_t line = MAILBUS_BUF_INIT;
    mailbus_buf_t cell = MAILBUS_BUF_INIT;
    for (size_t i = 0; i < self->count; i++) {
        const cJSON *item = mailbus_json_item(row, self->columns[i].key);
        mailbus_buf_clear(&cell);
        append_cell(self, row, &self->columns[i], &cell);
        if (i > 0) {
            mailbus_buf_char(&line, ',');
        }
        /* A number that is one in JSON is no formula. */
        csv_write_field(cell.data != NULL ? cell.data : "", !cJSON_IsNumber(item), &line);
    }
    mailbus_buf_text(&line, "\r\n");
    fwrite(line.data != NULL ? line.data : "", 1, line.size, self->out);
    mailbus_buf_free(&cell);
    mailbus_buf_free(&line);
}

static void print_json_row(const table_t *self, const cJSON *row)
{
    mailbus_buf_t line = MAILBUS_BUF_INIT;
    char *json = cJSON_PrintUnformatted(row);
    if (json != NULL) {
        show_json(json, strlen(json), &line);
        fprintf(self->out, "%s\n", line.data != NULL ? line.data : "");
    }
    cJSON_free(json);
    mailbus_buf_free(&line);
}

/* --- table --------------------------------------------------------------------------------------
 */

static void fit_columns(table_t *self, const cJSON *rows)
{
    mailbus_buf_t cell = MAILBUS_BUF_INIT;
    for (size_t i = 0; i < self->count; i++) {
        size_t most = (size_t)self->columns[i].width;
        size_t width = display_width(self, self->columns[i].title);
        const cJSON *row;
        cJSON_ArrayForEach(row, rows)
        {
            mailbus_buf_clear(&cell);
            append_cell(self, row, &self->columns[i], &cell);
            size_t own = display_width(self, cell.data != NULL ? cell.data : "");
            own = most > 0 && own > most ? most : own;
            width = own > width ? own : width;
        }
        self->widths[i] = width;
    }
    mailbus_buf_free(&cell);
}

static void begin(table_t *self, const cJSON *rows)
{
    self->begun = true;
    if (self->format == TABLE_TEXT) {
        fit_columns(self, rows);
        for (size_t i = 0; i < self->count; i++) {
            print_cell(self, i, self->columns[i].title);
        }
    } else if (self->format == TABLE_CSV) {
        mailbus_buf_t line = MAILBUS_BUF_INIT;
        for (size_t i = 0; i < self->count; i++) {
            mailbus_buf_text(&line, i > 0 ? "," : "");
            csv_write_field(self->columns[i].key, true, &line);
        }
        fprintf(self->out, "%s\r\n", line.data != NULL ? line.data : "");
        mailbus_buf_free(&line);
    }
}

void table_rows(table_t *self, const cJSON *rows)
{
    static void (*const print[])(const table_t *self, const cJSON *row) = {
        [TABLE_TEXT] = print_text_row,
        [TABLE_JSON] = print_json_row,
        [TABLE_CSV] = print_csv_row,
    };
    if (!self->begun) {
        begin(self, rows);
    }
    const cJSON *row;
    cJSON_ArrayForEach(row, rows)
    {
        print[self->format](self, row);
    }
}

void table_object(table_t *self, const cJSON *object)
{
    if (self->format == TABLE_JSON) {
        print_json_row(self, object);
        return;
    }
    if (self->format == TABLE_CSV) {
        begin(self, NULL);
        print_csv_row(self, object);
        return;
    }
    mailbus_buf_t cell = MAILBUS_BUF_INIT;
    size_t width = 0;
    for (size_t i = 0; i < self->count; i++) {
        size_t own = display_width(self, self->columns[i].title);
        width = own > width ? own : width;
    }
    for (size_t i = 0; i < self->count; i++) {
        mailbus_buf_clear(&cell);
        append_cell(self, object, &self->columns[i], &cell);
        print_padded(self, self->columns[i].title, NO_LIMIT, width);
        fprintf(self->out, "%s%s\n", GAP, cell.data != NULL ? cell.data : "");
    }
    mailbus_buf_free(&cell);
}
