#include "suppression_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agentmail/text.h"
#include "csv.h"
#include "mailbus/json.h"
#include "suppression_row.h"

enum {
    NAME_MAX_BYTES = 32, /* of a column that is known */
    JSON_LINE_MAX = CSV_RECORD_MAX,
    NOTE_MAX = 500,
    IGNORED_SHOWN = 60, /* bytes of the name of a column that is ignored */
};

static const struct {
    const char *name; /* without what does not matter */
    field_t field;
} names[] = {
    {"address", FIELD_ADDRESS},
    {"emailaddress", FIELD_ADDRESS},
    {"email", FIELD_ADDRESS},
    {"reason", FIELD_REASON},
    {"first", FIELD_FIRST},
    {"last", FIELD_LAST},
    {"lastupdatetime", FIELD_LAST},
    {"createdat", FIELD_CREATED},
    {"count", FIELD_COUNT},
    {"ambiguous", FIELD_AMBIGUOUS},
    {"eventid", FIELD_EVENT},
    {"messageid", FIELD_MESSAGE},
    {"note", FIELD_NOTE},
    {"code", FIELD_CODE},
    {"error", FIELD_ERROR},
    {"tags", FIELD_TAGS},
    {"tag", FIELD_TAGS},
};

struct suppression_file {
    FILE *in;
    const char *as;
    bool json;
    csv_t *csv;
    field_t columns[CSV_FIELDS_MAX]; /* FIELDS: ignored */
    size_t column_count;
    bool begun;   /* the header was read */
    bool pending; /* the first record is a row: there was no header */
    bool has[FIELDS];
    size_t line;
    char *text; /* of a JSON line */
    size_t text_size;
    mailbus_buf_t ignored;
    mailbus_buf_t note;
};

mailbus_code_t suppression_file_new(FILE *in, bool json, const char *as,
                                    suppression_file_t **ret_self, mailbus_error_t *error)
{
    suppression_file_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    self->in = in;
    self->json = json;
    self->as = as;
    self->ignored.limit = NOTE_MAX;
    mailbus_code_t code = json ? MAILBUS_OK : csv_new(in, &self->csv, error);
    if (code != MAILBUS_OK) {
        suppression_file_destroy(&self);
        return code;
    }
    *ret_self = self;
    return MAILBUS_OK;
}

void suppression_file_destroy(suppression_file_t **self_p)
{
    suppression_file_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    csv_destroy(&self->csv);
    mailbus_buf_free(&self->ignored);
    mailbus_buf_free(&self->note);
    free(self->text);
    free(self);
}

size_t suppression_file_line(const suppression_file_t *self)
{
    return self->line;
}

const char *suppression_file_note(const suppression_file_t *self)
{
    return self->note.data != NULL ? self->note.data : "";
}

/* --- columns ------------------------------------------------------------------------------------
 */

static field_t field_of(const char *name)
{
    char plain[NAME_MAX_BYTES];
    size_t size = 0;
    for (; *name != '\0' && size + 1 < sizeof plain; name++) {
        if (strchr(" _-", *name) == NULL) {
            plain[size++] = agentmail_text_lower(*name);
        }
    }
    plain[size] = '\0';
    for (size_t i = 0; *name == '\0' && i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i].name, plain) == 0) {
            return names[i].field;
        }
    }
    return FIELDS;
}

static void ignore(suppression_file_t *self, const char *name)
{
    mailbus_buf_text(&self->ignored, self->ignored.size > 0 ? ", " : "");
    agentmail_text_line(name, strlen(name), IGNORED_SHOWN, &self->ignored);
}

static const char *assumed_reason(const suppression_file_t *self)
{
    return self->as[0] != '\0'                               ? self->as
           : self->has[FIELD_CODE] || self->has[FIELD_ERROR] ? "bounce"
           : self->has[FIELD_TAGS]                           ? "unsubscribe"
           : self->has[FIELD_CREATED]                        ? "complaint"
                                                             : "";
}

static void write_note(suppression_file_t *self)
{
    if (!self->has[FIELD_REASON]) {
        mailbus_buf_printf(&self->note, "taken as \"%s\"%s", assumed_reason(self),
                           self->as[0] != '\0' ? "" : " by the columns (--as says otherwise)");
    }
    if (self->ignored.size > 0) {
        mailbus_buf_printf(&self->note, "%signored: %s", self->note.size > 0 ? "; " : "",
                           self->ignored.data);
    }
}

/* Amazon's import form has no header: an address, and a reason behind it. */
static bool is_headerless(const csv_t *csv)
{
    return csv_count(csv) <= 2 && strchr(csv_field(csv, 0), '@') != NULL;
}

static mailbus_code_t check_columns(const suppression_file_t *self, mailbus_error_t *error)
{
    if (!self->has[FIELD_ADDRESS]) {
        return mailbus_fail(error, MAILBUS_ENOTFOUND,
                            "there is no column \"address\" or \"EmailAddress\"");
    }
    if (!self->has[FIELD_REASON] && assumed_reason(self)[0] == '\0') {
        return mailbus_fail(error, MAILBUS_ENOTFOUND,
                            "nothing says why these addresses are suppressed: --as complaint, "
                            "bounce, unsubscribe, rejected or manual");
    }
    return MAILBUS_OK;
}

/* What is wrong is not one row: the text stays. */
static mailbus_code_t no_such_file(mailbus_error_t *error)
{
    if (error != NULL) {
        error->code = MAILBUS_ENOTFOUND;
    }
    return MAILBUS_ENOTFOUND;
}

static mailbus_code_t read_header(suppression_file_t *self, mailbus_error_t *error)
{
    if (is_headerless(self->csv)) {
        self->column_count = csv_count(self->csv);
        self->columns[0] = FIELD_ADDRESS;
        self->columns[1] = FIELD_REASON;
        self->has[FIELD_ADDRESS] = true;
        self->has[FIELD_REASON] = self->column_count > 1;
        self->pending = true;
    } else {
        mailbus_code_t code = csv_take_header(self->csv, error);
        if (code != MAILBUS_OK) { /* no row can be read under it */
            return no_such_file(error);
        }
        self->column_count = csv_count(self->csv);
        for (size_t i = 0; i < self->column_count; i++) {
            const char *name = csv_field(self->csv, (int)i);
            field_t field = field_of(name);
            if (field == FIELDS || self->has[field]) {
                ignore(self, name);
                self->columns[i] = FIELDS;
            } else {
                self->columns[i] = field;
                self->has[field] = true;
            }
        }
    }
    return check_columns(self, error);
}

/* --- CSV ----------------------------------------------------------------------------------------
 */

/* A blank around a value is somebody's typing. The record is csv's, and stays as it is. */
static char *trimmed(const char *text)
{
    text += strspn(text, " \t");
    size_t size = strlen(text);
    while (size > 0 && strchr(" \t", text[size - 1]) != NULL) {
        size--;
    }
    return strndup(text, size);
}

static mailbus_code_t row_from_csv(const suppression_file_t *self, cJSON **ret_row,
                                   mailbus_error_t *error)
{
    char *owned[FIELDS] = {NULL};
    const char *values[FIELDS];
    mailbus_code_t code = MAILBUS_OK;
    for (size_t i = 0; i < FIELDS; i++) {
        values[i] = "";
    }
    for (size_t i = 0; code == MAILBUS_OK && i < self->column_count; i++) {
        field_t field = self->columns[i];
        if (field < FIELDS) {
            owned[field] = trimmed(csv_field(self->csv, (int)i));
            values[field] = owned[field];
            code = owned[field] == NULL ? mailbus_fail(error, MAILBUS_ENOMEM, "out of memory")
                                        : MAILBUS_OK;
        }
    }
    if (code == MAILBUS_OK) {
        code = suppression_row(values, self->line, assumed_reason(self), ret_row, error);
    }
    for (size_t i = 0; i < FIELDS; i++) {
        free(owned[i]);
    }
    return code;
}

static mailbus_code_t next_csv(suppression_file_t *self, cJSON **ret_row, mailbus_error_t *error)
{
    bool read = true;
    mailbus_code_t code = self->pending ? MAILBUS_OK : csv_read(self->csv, &read, error);
    self->pending = false;
    self->line = csv_line(self->csv);
    if (code == MAILBUS_OK && read && !self->begun) {
        self->begun = true;
        code = read_header(self, error);
        if (code == MAILBUS_OK) {
            write_note(self);
            return next_csv(self, ret_row, error); /* the record behind it, or itself */
        }
    }
    if (code == MAILBUS_EINVAL && !self->begun) {
        return no_such_file(error);
    }
    if (code != MAILBUS_OK || !read) {
        *ret_row = code == MAILBUS_OK ? NULL : *ret_row;
        return code;
    }
    return row_from_csv(self, ret_row, error);
}

/* --- JSON ---------------------------------------------------------------------------------------
 */

/* A value as a column would have it. NULL: no memory. */
static char *text_of(const cJSON *item)
{
    return cJSON_IsString(item) ? strdup(item->valuestring)
           : cJSON_IsNull(item) ? strdup("")
                                : cJSON_PrintUnformatted(item);
}

static mailbus_code_t row_from_json(suppression_file_t *self, const cJSON *object, cJSON **ret_row,
                                    mailbus_error_t *error)
{
    char *owned[FIELDS] = {NULL};
    const char *values[FIELDS];
    mailbus_code_t code = MAILBUS_OK;
    memset(self->has, 0, sizeof self->has);
    for (size_t i = 0; i < FIELDS; i++) {
        values[i] = "";
    }
    for (const cJSON *item = object->child; code == MAILBUS_OK && item != NULL; item = item->next) {
        field_t field = field_of(item->string);
        if (field == FIELDS || owned[field] != NULL) {
            if (!self->begun) {
                ignore(self, item->string);
            }
            continue;
        }
        owned[field] = text_of(item);
        values[field] = owned[field];
        self->has[field] = true;
        code = owned[field] == NULL ? mailbus_fail(error, MAILBUS_ENOMEM, "out of memory")
                                    : MAILBUS_OK;
    }
    if (code == MAILBUS_OK) {
        code = check_columns(self, error);
        code = code == MAILBUS_ENOTFOUND ? MAILBUS_EINVAL : code; /* of this row alone */
    }
    if (code == MAILBUS_OK && !self->begun) {
        write_note(self);
        self->begun = true;
    }
    if (code == MAILBUS_OK) {
        code = suppression_row(values, self->line, assumed_reason(self), ret_row, error);
    }
    for (size_t i = 0; i < FIELDS; i++) {
        free(owned[i]);
    }
    return code;
}

static mailbus_code_t next_json(suppression_file_t *self, cJSON **ret_row, mailbus_error_t *error)
{
    ssize_t size = 0;
    size_t blanks = 0;
    do {
        size = getline(&self->text, &self->text_size, self->in);
        self->line += size >= 0;
        blanks = size >= 0 ? strspn(self->text, " \t\r\n") : 0;
    } while (size >= 0 && blanks == (size_t)size);
    if (size < 0) {
        *ret_row = NULL;
        return ferror(self->in) != 0 ? mailbus_fail(error, MAILBUS_EIO, "%s", strerror(errno))
                                     : MAILBUS_OK;
    }
    if (size > JSON_LINE_MAX) {
        return mailbus_fail(error, MAILBUS_EINVAL, "more than %d bytes", JSON_LINE_MAX);
    }
    cJSON *object = NULL;
    mailbus_code_t code = mailbus_json_parse_object(self->text, (size_t)size, &object, error);
    if (code == MAILBUS_OK) {
        code = row_from_json(self, object, ret_row, error);
    }
    cJSON_Delete(object);
    return code == MAILBUS_ETOOBIG ? MAILBUS_EINVAL : code;
}

mailbus_code_t suppression_file_next(suppression_file_t *self, cJSON **ret_row,
                                     mailbus_error_t *error)
{
    return self->json ? next_json(self, ret_row, error) : next_csv(self, ret_row, error);
}
