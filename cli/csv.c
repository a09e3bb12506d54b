#include "csv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agentmail/text.h"
#include "mailbus/json.h"

struct csv {
    FILE *in;
    size_t line;               /* that is being read */
    size_t begin;              /* where the record began */
    mailbus_buf_t text;        /* the fields of the record, each with its NUL */
    size_t at[CSV_FIELDS_MAX]; /* where they begin in it */
    size_t count;
    mailbus_buf_t names; /* the header's, kept the same way */
    size_t name_at[CSV_FIELDS_MAX];
    size_t name_count; /* 0: no header yet */
    bool begun;        /* the byte order mark has been looked for */
    int last;          /* what next gave last */
};

mailbus_code_t csv_new(FILE *in, csv_t **ret_self, mailbus_error_t *error)
{
    csv_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    self->in = in;
    self->line = 1;
    self->text.limit = CSV_RECORD_MAX;
    *ret_self = self;
    return MAILBUS_OK;
}

void csv_destroy(csv_t **self_p)
{
    if (*self_p == NULL) {
        return;
    }
    mailbus_buf_free(&(*self_p)->text);
    mailbus_buf_free(&(*self_p)->names);
    free(*self_p);
    *self_p = NULL;
}

/* --- formulas -----------------------------------------------------------------------------------
 */

static bool is_formula(const char *text)
{
    return text[0] != '\0' && strchr("=+-@\t\r", text[0]) != NULL;
}

/* Apostrophes and then a formula. */
static bool is_marked(const char *text)
{
    size_t marks = strspn(text, "'");
    return marks > 0 && is_formula(text + marks);
}

void csv_write_field(const char *text, bool disarm, mailbus_buf_t *out)
{
    bool mark = disarm && (is_formula(text) || is_marked(text));
    /* Blanks at the ends are quoted too: some readers trim. */
    bool quote = strpbrk(text, ",\"\r\n") != NULL || text[0] == ' ' ||
                 (text[0] != '\0' && text[strlen(text) - 1] == ' ');
    mailbus_buf_text(out, quote ? "\"" : "");
    mailbus_buf_text(out, mark ? "'" : "");
    for (; *text != '\0'; text++) {
        if (*text == '"') {
            mailbus_buf_char(out, '"');
        }
        mailbus_buf_char(out, *text);
    }
    mailbus_buf_text(out, quote ? "\"" : "");
}

/* --- reading ------------------------------------------------------------------------------------
 */

/* One byte; CRLF, LF and a CR alone in front of the end are one '\n'. EOF at the end. */
static int next(csv_t *self)
{
    int c = getc_unlocked(self->in);
    if (c == '\r') {
        int after = getc_unlocked(self->in);
        if (after == '\n' || after == EOF) {
            c = '\n';
        } else {
            ungetc(after, self->in);
        }
    }
    self->last = c;
    return c;
}

/* Up to the end of a line in which something was wrong: what stands behind it is no record. */
static void skip_line(csv_t *self)
{
    while (self->last != '\n' && self->last != EOF) {
        next(self);
    }
    self->line += self->last == '\n';
}

static mailbus_code_t begin_field(csv_t *self, mailbus_error_t *error)
{
    if (self->count == CSV_FIELDS_MAX) {
        return mailbus_fail(error, MAILBUS_ETOOBIG, "line %zu has more than %d fields", self->begin,
                            CSV_FIELDS_MAX);
    }
    self->at[self->count++] = self->text.size;
    return MAILBUS_OK;
}

/* End it where its last byte stands, and look at it. */
static mailbus_code_t end_field(csv_t *self, mailbus_error_t *error)
{
    size_t at = self->at[self->count - 1];
    size_t size = self->text.size - at;
    mailbus_buf_char(&self->text, '\0');
    if (self->text.failed) {
        return mailbus_fail(error, MAILBUS_ETOOBIG, "line %zu: a record is at most %d bytes long",
                            self->begin, CSV_RECORD_MAX);
    }
    if (!mailbus_utf8_valid(self->text.data + at, size)) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "line %zu is no UTF-8: save the file in that encoding", self->begin);
    }
    if (is_marked(self->text.data + at)) {
        self->at[self->count - 1]++;
    }
    return MAILBUS_OK;
}

/* The inside of quotes, up to the byte behind the closing one. */
static mailbus_code_t read_quoted(csv_t *self, int *ret_after, mailbus_error_t *error)
{
    size_t from = self->line;
    while (!self->text.failed) {
        int c = next(self);
        if (c == EOF) {
            return mailbus_fail(error, MAILBUS_EINVAL, "line %zu: a quote is never closed", from);
        }
        if (c == '\0') {
            return mailbus_fail(error, MAILBUS_EINVAL, "line %zu holds a NUL", self->line);
        }
        if (c == '"') {
            c = next(self);
            if (c != '"') {
                *ret_after = c;
                break;
            }
        }
        self->line += c == '\n';
        mailbus_buf_char(&self->text, (char)c);
    }
    return MAILBUS_OK;
}

/* One field, whose first byte is *c; *c is then the comma, the line's end or EOF behind it. */
static mailbus_code_t read_field(csv_t *self, int *c, mailbus_error_t *error)
{
    mailbus_code_t code = begin_field(self, error);
    if (code == MAILBUS_OK && *c == '"') {
        code = read_quoted(self, c, error);
        if (code == MAILBUS_OK && !self->text.failed && *c != ',' && *c != '\n' && *c != EOF) {
            code = mailbus_fail(error, MAILBUS_EINVAL,
                                "line %zu: text stands behind a closing quote (a quote inside of "
                                "quotes is written twice)",
                                self->line);
        }
    } else {
        while (code == MAILBUS_OK && *c != ',' && *c != '\n' && *c != EOF && !self->text.failed) {
            if (*c == '"' || *c == '\r' || *c == '\0') {
                code = mailbus_fail(error, MAILBUS_EINVAL, "line %zu: a %s stands in the open",
                                    self->line,
                                    *c == '"'    ? "quote"
                                    : *c == '\r' ? "carriage return"
                                                 : "NUL");
            }
            mailbus_buf_char(&self->text, (char)*c);
            *c = next(self);
        }
    }
    return code != MAILBUS_OK ? code : end_field(self, error);
}

static mailbus_code_t read_record(csv_t *self, int c, mailbus_error_t *error)
{
    mailbus_code_t code = read_field(self, &c, error);
    while (code == MAILBUS_OK && c == ',') {
        c = next(self);
        code = read_field(self, &c, error);
    }
    self->line += c == '\n';
    if (code == MAILBUS_OK && ferror(self->in) != 0) {
        code = mailbus_fail(error, MAILBUS_EIO, "line %zu: %s", self->line, strerror(errno));
    }
    if (code == MAILBUS_OK && self->name_count > 0 && self->count != self->name_count) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "line %zu has %zu fields, the header has %zu",
                            self->begin, self->count, self->name_count);
    }
    return code;
}

static int first_byte(csv_t *self)
{
    static const unsigned char mark[] = {0xef, 0xbb, 0xbf};
    int c = next(self);
    if (!self->begun && c == mark[0]) {
        c = next(self);
        if (c == mark[1] && (c = next(self)) == mark[2]) {
            c = next(self);
        } else {
            c = 0xff; /* in no UTF-8: refused where the record is looked at */
        }
    }
    self->begun = true;
    return c;
}

mailbus_code_t csv_read(csv_t *self, bool *ret_read, mailbus_error_t *error)
{
    int c = first_byte(self);
    while (c == '\n') {
        self->line++;
        c = next(self);
    }
    self->begin = self->line;
    self->count = 0;
    mailbus_buf_clear(&self->text);
    if (c == EOF) {
        if (ferror(self->in) != 0) {
            return mailbus_fail(error, MAILBUS_EIO, "line %zu: %s", self->line, strerror(errno));
        }
        *ret_read = false;
        return MAILBUS_OK;
    }
    size_t line = self->line;
    mailbus_code_t code = read_record(self, c, error);
    if (code != MAILBUS_OK) {
        self->count = 0;
        if (self->line == line || self->last != '\n') {
            skip_line(self);
        }
        return code;
    }
    *ret_read = true;
    return MAILBUS_OK;
}

/* --- header and fields --------------------------------------------------------------------------
 */

static size_t trimmed_size(const char *text)
{
    size_t size = strlen(text);
    while (size > 0 && text[size - 1] == ' ') {
        size--;
    }
    return size;
}

/* The same, whatever the case and the blanks around them. */
static bool same_name(const char *a, const char *b)
{
    a += strspn(a, " ");
    b += strspn(b, " ");
    size_t size = trimmed_size(a);
    bool same = size == trimmed_size(b);
    for (size_t i = 0; same && i < size; i++) {
        same = agentmail_text_lower(a[i]) == agentmail_text_lower(b[i]);
    }
    return same;
}

mailbus_code_t csv_take_header(csv_t *self, mailbus_error_t *error)
{
    for (size_t i = 0; i < self->count; i++) {
        const char *name = csv_field(self, (int)i);
        if (trimmed_size(name) == 0) {
            return mailbus_fail(error, MAILBUS_EINVAL, "line %zu: column %zu has no name",
                                self->begin, i + 1);
        }
        for (size_t j = 0; j < i; j++) {
            if (same_name(csv_field(self, (int)j), name)) {
                return mailbus_fail(error, MAILBUS_EINVAL,
                                    "line %zu: columns %zu and %zu have the same name", self->begin,
                                    j + 1, i + 1);
            }
        }
    }
    mailbus_buf_clear(&self->names);
    mailbus_buf_append(&self->names, self->text.data, self->text.size);
    if (self->names.failed) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    memcpy(self->name_at, self->at, sizeof self->at);
    self->name_count = self->count;
    return MAILBUS_OK;
}

int csv_column(const csv_t *self, const char *name)
{
    for (size_t i = 0; i < self->name_count; i++) {
        if (same_name(self->names.data + self->name_at[i], name)) {
            return (int)i;
        }
    }
    return -1;
}

size_t csv_count(const csv_t *self)
{
    return self->count;
}

const char *csv_field(const csv_t *self, int column)
{
    return column >= 0 && (size_t)column < self->count ? self->text.data + self->at[column] : "";
}

size_t csv_line(const csv_t *self)
{
    return self->begin;
}
