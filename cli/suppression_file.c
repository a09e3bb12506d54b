#include "suppression_file.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agentmail/text.h"
#include "csv.h"
#include "mailbus/event.h"
#include "mailbus/json.h"
#include "mailbus/replay.h"

enum {
    NAME_MAX_BYTES = 32, /* of a column that is known */
    JSON_LINE_MAX = CSV_RECORD_MAX,
    NOTE_MAX = 500,
    IGNORED_SHOWN = 60, /* bytes of the name of a column that is ignored */
};

/* What a column holds. */
typedef enum {
    FIELD_ADDRESS,
    FIELD_REASON,
    FIELD_FIRST,
    FIELD_LAST,
    FIELD_CREATED,
    FIELD_COUNT,
    FIELD_AMBIGUOUS,
    FIELD_EVENT,
    FIELD_MESSAGE,
    FIELD_NOTE,
    FIELD_CODE,
    FIELD_ERROR,
    FIELD_TAGS,
    FIELDS,
} field_t;

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
            return mailbus_fail(error, MAILBUS_ENOTFOUND, "%s", error->text);
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

/* --- values -------------------------------------------------------------------------------------
 */

bool suppression_file_time(const char *value, char *text, size_t size)
{
    int64_t ms = 0;
    char *end = NULL;
    if (size < MAILBUS_TIME_SIZE) {
        return false;
    }
    if (mailbus_time_parse(value, &ms) != MAILBUS_OK) {
        double seconds = strtod(value, &end);
        bool plain = value[0] >= '0' && value[0] <= '9' && *end == '\0' &&
                     value[strspn(value, "0123456789.")] == '\0';
        if (plain && seconds < 253402300800.0) { /* the year 10000 */
            ms = (int64_t)(seconds * 1000);
        } else {
            time_t parsed = plain ? -1 : curl_getdate(value, NULL);
            if (parsed < 0) {
                return false;
            }
            ms = (int64_t)parsed * 1000;
        }
    }
    mailbus_time_format(ms, text);
    return true;
}

static mailbus_code_t add_time(cJSON *row, const char *name, const char *value,
                               mailbus_error_t *error)
{
    char text[MAILBUS_TIME_SIZE];
    if (!suppression_file_time(value, text, sizeof text)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"%.60s\" is no time", value);
    }
    cJSON_AddStringToObject(row, name, text);
    return MAILBUS_OK;
}

static mailbus_code_t add_count(cJSON *row, const char *value, mailbus_error_t *error)
{
    enum { DIGITS_MAX = 12 };
    size_t digits = strspn(value, "0123456789");
    if (digits == 0 || digits > DIGITS_MAX || value[digits] != '\0') {
        return mailbus_fail(error, MAILBUS_EINVAL, "the count \"%.40s\" is no number", value);
    }
    cJSON_AddNumberToObject(row, "count", strtod(value, NULL));
    return MAILBUS_OK;
}

static mailbus_code_t add_ambiguous(cJSON *row, const char *value, mailbus_error_t *error)
{
    bool yes = agentmail_text_equal(value, "true") || agentmail_text_equal(value, "yes");
    if (!yes && !agentmail_text_equal(value, "false") && !agentmail_text_equal(value, "no")) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"ambiguous\" is true or false");
    }
    if (yes) {
        cJSON_AddTrueToObject(row, "ambiguous");
    }
    return MAILBUS_OK;
}

/* The reason in the words of the list: SES writes BOUNCE. */
static void add_reason(cJSON *row, const char *value)
{
    mailbus_buf_t lower = MAILBUS_BUF_INIT;
    for (; *value != '\0'; value++) {
        mailbus_buf_char(&lower, agentmail_text_lower(*value));
    }
    cJSON_AddStringToObject(row, "reason", lower.data != NULL ? lower.data : "");
    mailbus_buf_free(&lower);
}

/* Mailgun's "550" and "No such mailbox" are one note; a note of ours goes before them. */
static void add_note(cJSON *row, const char *const values[FIELDS])
{
    mailbus_buf_t note = MAILBUS_BUF_INIT;
    const field_t parts[] = {FIELD_NOTE, FIELD_CODE, FIELD_ERROR};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const char *value = values[parts[i]];
        if (value[0] != '\0') {
            mailbus_buf_text(&note, note.size > 0 ? " " : "");
            mailbus_buf_text(&note, value);
        }
    }
    if (note.size > 0) {
        cJSON_AddStringToObject(row, "note", note.data);
    }
    mailbus_buf_free(&note);
}

static mailbus_code_t check_tags(const char *tags, mailbus_error_t *error)
{
    return tags[0] == '\0' || strcmp(tags, "*") == 0 || strcmp(tags, "[\"*\"]") == 0
               ? MAILBUS_OK
               : mailbus_fail(error, MAILBUS_EINVAL,
                              "unsubscribed from \"%.60s\" alone, not from everything", tags);
}

static mailbus_code_t fill_row(const suppression_file_t *self, const char *const values[FIELDS],
                               cJSON *row, mailbus_error_t *error)
{
    static const struct {
        field_t field;
        const char *name;
    } texts[] = {{FIELD_EVENT, "event_id"}, {FIELD_MESSAGE, "message_id"}},
      times[] = {{FIELD_FIRST, "first"}, {FIELD_CREATED, "first"}, {FIELD_LAST, "last"}};
    mailbus_code_t code = values[FIELD_ADDRESS][0] != '\0'
                              ? check_tags(values[FIELD_TAGS], error)
                              : mailbus_fail(error, MAILBUS_EINVAL, "no address");
    cJSON_AddNumberToObject(row, "line", (double)self->line);
    cJSON_AddStringToObject(row, "address", values[FIELD_ADDRESS]);
    add_reason(row, values[FIELD_REASON][0] != '\0' ? values[FIELD_REASON] : assumed_reason(self));
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (values[texts[i].field][0] != '\0') {
            cJSON_AddStringToObject(row, texts[i].name, values[texts[i].field]);
        }
    }
    for (size_t i = 0; code == MAILBUS_OK && i < sizeof times / sizeof times[0]; i++) {
        if (values[times[i].field][0] != '\0' && mailbus_json_item(row, times[i].name) == NULL) {
            code = add_time(row, times[i].name, values[times[i].field], error);
        }
    }
    if (code == MAILBUS_OK && values[FIELD_COUNT][0] != '\0') {
        code = add_count(row, values[FIELD_COUNT], error);
    }
    if (code == MAILBUS_OK && values[FIELD_AMBIGUOUS][0] != '\0') {
        code = add_ambiguous(row, values[FIELD_AMBIGUOUS], error);
    }
    add_note(row, values);
    return code;
}

static mailbus_code_t make_row(const suppression_file_t *self, const char *const values[FIELDS],
                               cJSON **ret_row, mailbus_error_t *error)
{
    cJSON *row = cJSON_CreateObject();
    mailbus_code_t code = row != NULL ? fill_row(self, values, row, error)
                                      : mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    if (code != MAILBUS_OK) {
        cJSON_Delete(row);
        return code;
    }
    *ret_row = row;
    return MAILBUS_OK;
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
        code = make_row(self, values, ret_row, error);
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
        return mailbus_fail(error, MAILBUS_ENOTFOUND, "%s", error->text);
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
        code = make_row(self, values, ret_row, error);
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
