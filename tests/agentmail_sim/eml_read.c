/* Stage: a file in the Internet Message Format → a mail. Bounded in size, depth and parts: whoever
 * feeds it files may have got them from anywhere. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "address.h"
#include "mail.h"
#include "memory.h"
#include "mime.h"

enum {
    HEADERS_MAX = 1000,             /* of one part */
    HEADERS_SIZE_MAX = 1024 * 1024, /* bytes of all of them */
    DEPTH_MAX = 16,                 /* multiparts within multiparts */
    PARTS_MAX = 500,                /* of a mail */
    BOUNDARY_MAX = 200,             /* RFC 2046 says 70 */
    ADDRESSES_MAX = 1000,           /* of one header */
};

typedef struct {
    char *name;
    char *value; /* unfolded, not decoded */
    size_t size;
} header_t;

typedef struct {
    header_t *headers;
    size_t count;
    const char *body; /* behind the empty line */
    size_t size;
} part_t;

typedef struct {
    mail_t *mail;
    unsigned parts;
} reader_t;

static void part_clear(part_t *part)
{
    for (size_t at = 0; at < part->count; at++) {
        free(part->headers[at].name);
        free(part->headers[at].value);
    }
    free(part->headers);
}

static const char *part_header(const part_t *part, const char *name)
{
    for (size_t at = 0; at < part->count; at++) {
        if (strcasecmp(part->headers[at].name, name) == 0) {
            return part->headers[at].value;
        }
    }
    return NULL;
}

/* The end of the line at `at`, its newline excluded; `ret_next` is where the next one begins. */
static const char *line_end(const char *at, const char *end, const char **ret_next)
{
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    *ret_next = newline != NULL ? newline + 1 : end;
    const char *last = newline != NULL ? newline : end;
    return last > at && last[-1] == '\r' ? last - 1 : last;
}

/* One header from a line that continues nothing; its further lines are appended to it later. */
static bool add_header(part_t *part, const char *line, size_t size)
{
    const char *colon = memchr(line, ':', size);
    if (colon == NULL || colon == line || part->count == HEADERS_MAX) {
        return false;
    }
    const char *name_end = colon;
    while (name_end > line && (name_end[-1] == ' ' || name_end[-1] == '\t')) {
        name_end--;
    }
    for (const char *at = line; at < name_end; at++) {
        if (*at <= ' ' || *at >= 0x7f) { /* RFC 5322 §2.2 */
            return false;
        }
    }
    const char *value = colon + 1;
    while (value < line + size && (*value == ' ' || *value == '\t')) {
        value++;
    }
    part->headers = memory_grow(part->headers, part->count + 1, sizeof *part->headers);
    part->headers[part->count++] = (header_t){
        .name = memory_copy(line, (size_t)(name_end - line)),
        .value = memory_copy(value, (size_t)(line + size - value)),
        .size = (size_t)(line + size - value),
    };
    return true;
}

static void continue_header(header_t *header, const char *line, size_t size)
{
    header->value = memory_grow(header->value, header->size + size + 1, 1);
    memcpy(header->value + header->size, line, size);
    header->size += size;
    header->value[header->size] = '\0';
}

/* Headers and body of `data`. A line that is no header ends the headers, and belongs to the body.
 */
static void part_read(const char *data, size_t size, part_t *part)
{
    const char *end = data + size;
    const char *at = data;
    *part = (part_t){.body = end};
    while (at < end && at - data <= HEADERS_SIZE_MAX) {
        const char *next = NULL;
        size_t length = (size_t)(line_end(at, end, &next) - at);
        if (length == 0) {
            at = next;
            break;
        }
        bool folded = *at == ' ' || *at == '\t';
        if (folded && part->count > 0) {
            continue_header(&part->headers[part->count - 1], at, length);
        } else if (folded || !add_header(part, at, length)) {
            break;
        }
        at = next;
    }
    part->body = at;
    part->size = (size_t)(end - at);
}

/* Append the addresses of a header: cut at commas outside quotes, comments and brackets. */
static void add_addresses(const char *value, cJSON *array)
{
    int count = 0;
    while (value != NULL && *value != '\0' && count++ < ADDRESSES_MAX) {
        const char *at = value;
        bool quoted = false;
        int depth = 0;
        for (; *at != '\0' && (quoted || depth > 0 || (*at != ',' && *at != ';')); at++) {
            if (*at == '\\' && at[1] != '\0') {
                at++;
            } else if (*at == '"') {
                quoted = !quoted;
            } else if (!quoted) {
                depth += *at == '<' || *at == '(';
                depth -= (*at == '>' || *at == ')') && depth > 0;
            }
        }
        char bare[ADDRESS_MAX + 1];
        char *text = mime_header_text(value, (size_t)(at - value));
        const char *start = text + strspn(text, " ");
        if (address_bare(start, bare)) {
            cJSON_AddItemToArray(array, cJSON_CreateString(start));
        }
        free(text);
        value = *at != '\0' ? at + 1 : at;
    }
}

/* The message ids in a header: what stands in angle brackets. */
static void add_ids(const char *value, cJSON *array)
{
    int count = 0;
    while (value != NULL && (value = strchr(value, '<')) != NULL && count++ < ADDRESSES_MAX) {
        size_t size = strcspn(value, "> \t");
        if (value[size] == '>' && size > 1) {
            char *raw = memory_copy(value, size + 1);
            char *id = mime_header_text(raw, size + 1);
            cJSON_AddItemToArray(array, cJSON_CreateString(id));
            free(id);
            free(raw);
        }
        value += size;
    }
}

static char *first_id(const char *value)
{
    cJSON *ids = cJSON_CreateArray();
    add_ids(value, ids);
    char *id = ids->child != NULL ? memory_text(ids->child->valuestring) : NULL;
    cJSON_Delete(ids);
    return id;
}

static void take_headers(const part_t *part, mail_t *mail)
{
    cJSON *from = cJSON_CreateArray();
    const char *subject = part_header(part, "Subject");
    add_addresses(part_header(part, "From"), from);
    mail->from = from->child != NULL ? memory_text(from->child->valuestring) : NULL;
    cJSON_Delete(from);
    add_addresses(part_header(part, "To"), mail->to);
    add_addresses(part_header(part, "Cc"), mail->cc);
    add_addresses(part_header(part, "Reply-To"), mail->reply_to);
    add_ids(part_header(part, "References"), mail->references);
    mail->in_reply_to = first_id(part_header(part, "In-Reply-To"));
    mail->message_id = first_id(part_header(part, "Message-ID"));
    mail->subject = subject != NULL ? mime_header_text(subject, strlen(subject)) : NULL;
    for (size_t at = 0; at < part->count; at++) { /* of several of one name the uppermost */
        const header_t *header = &part->headers[at];
        if (mail_header(mail, header->name) == NULL) {
            char *value = mime_header_text(header->value, strlen(header->value));
            cJSON_AddStringToObject(mail->headers, header->name, value);
            free(value);
        }
    }
}

/* The type of a part, "text/plain" in lower case and without parameters. The caller frees. */
static char *part_type(const part_t *part)
{
    const char *value = part_header(part, "Content-Type");
    if (value == NULL) {
        return memory_text("text/plain"); /* RFC 2045 §5.2 */
    }
    char *type = memory_copy(value, strcspn(value, "; \t"));
    for (char *at = type; *at != '\0'; at++) {
        *at = (char)(*at >= 'A' && *at <= 'Z' ? *at - 'A' + 'a' : *at);
    }
    return type;
}

static void decode_body(const part_t *part, mailbus_buf_t *out)
{
    const char *encoding = part_header(part, "Content-Transfer-Encoding");
    mailbus_buf_text(out, "");
    if (encoding != NULL && strncasecmp(encoding, "base64", 6) == 0) {
        mime_base64(part->body, part->size, out);
    } else if (encoding != NULL && strncasecmp(encoding, "quoted-printable", 16) == 0) {
        mime_quoted_printable(part->body, part->size, false, out);
    } else {
        mailbus_buf_append(out, part->body, part->size);
    }
}

static char *decode_text(const part_t *part)
{
    const char *type = part_header(part, "Content-Type");
    char *charset = type != NULL ? mime_parameter(type, "charset") : NULL;
    mailbus_buf_t bytes = MAILBUS_BUF_INIT;
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    decode_body(part, &bytes);
    mailbus_buf_text(&text, "");
    mime_to_utf8(charset, bytes.data, bytes.size, &text);
    mailbus_buf_free(&bytes);
    free(charset);
    return mailbus_buf_take(&text, NULL);
}

static void add_attachment(const part_t *part, const char *type, mail_t *mail)
{
    const char *disposition = part_header(part, "Content-Disposition");
    const char *content_type = part_header(part, "Content-Type");
    const char *content_id = part_header(part, "Content-ID");
    attachment_t *attachment = mail_add_attachment(mail);
    mailbus_buf_t bytes = MAILBUS_BUF_INIT;
    decode_body(part, &bytes);
    attachment->size = bytes.size;
    attachment->data = mailbus_buf_take(&bytes, NULL);
    attachment->content_type = mime_header_text(type, strlen(type));
    bool in_line = disposition != NULL && strncasecmp(disposition, "inline", 6) == 0;
    attachment->disposition = memory_text(in_line ? "inline" : "attachment");
    attachment->filename = disposition != NULL ? mime_parameter(disposition, "filename") : NULL;
    if (attachment->filename == NULL && content_type != NULL) {
        attachment->filename = mime_parameter(content_type, "name");
    }
    if (content_id != NULL) {
        size_t size = strlen(content_id);
        bool brackets = size > 2 && content_id[0] == '<' && content_id[size - 1] == '>';
        attachment->content_id = brackets ? mime_header_text(content_id + 1, size - 2)
                                          : mime_header_text(content_id, size);
    }
}

static void read_part(reader_t *self, const part_t *part, unsigned depth);

/* Cut a multipart at its boundary lines (RFC 2046 §5.1) and read what stands between them. */
static void read_multipart(reader_t *self, const part_t *part, const char *boundary, unsigned depth)
{
    const char *end = part->body + part->size;
    const char *start = NULL; /* of the part that is open */
    size_t size = strlen(boundary);
    for (const char *at = part->body, *next; at < end; at = next) {
        const char *last = line_end(at, end, &next);
        bool is_boundary = (size_t)(last - at) >= size + 2 && memcmp(at, "--", 2) == 0 &&
                           memcmp(at + 2, boundary, size) == 0;
        bool closes =
            is_boundary && (size_t)(last - at) >= size + 4 && memcmp(at + 2 + size, "--", 2) == 0;
        bool at_end = next == end && !is_boundary; /* never closed: all that is left */
        if (start != NULL && (is_boundary || at_end)) {
            const char *stop = is_boundary ? at : end;
            if (is_boundary && stop > start && stop[-1] == '\n') { /* belongs to the boundary */
                stop -= stop - 1 > start && stop[-2] == '\r' ? 2 : 1;
            }
            part_t child;
            part_read(start, (size_t)(stop - start), &child);
            read_part(self, &child, depth + 1);
            part_clear(&child);
        }
        if (closes) {
            return;
        }
        start = is_boundary ? next : start;
    }
}

static void read_part(reader_t *self, const part_t *part, unsigned depth)
{
    if (++self->parts > PARTS_MAX || depth > DEPTH_MAX) {
        return;
    }
    char *type = part_type(part);
    const char *disposition = part_header(part, "Content-Disposition");
    bool attached = disposition != NULL && strncasecmp(disposition, "attachment", 10) == 0;
    if (strncmp(type, "multipart/", 10) == 0) {
        char *boundary = mime_parameter(part_header(part, "Content-Type"), "boundary");
        if (boundary != NULL && *boundary != '\0' && strlen(boundary) <= BOUNDARY_MAX) {
            read_multipart(self, part, boundary, depth);
        }
        free(boundary);
    } else if (!attached && strcmp(type, "text/plain") == 0 && self->mail->text == NULL) {
        self->mail->text = decode_text(part);
    } else if (!attached && strcmp(type, "text/html") == 0 && self->mail->html == NULL) {
        self->mail->html = decode_text(part);
    } else {
        add_attachment(part, type, self->mail);
    }
    free(type);
}

mailbus_code_t eml_read(const char *data, size_t size, mail_t *self, mailbus_error_t *error)
{
    part_t part;
    part_read(data, size, &part);
    if (part.count == 0) {
        part_clear(&part);
        return mailbus_fail(error, MAILBUS_EINVAL, "the body does not begin with mail headers");
    }
    reader_t reader = {.mail = self};
    take_headers(&part, self);
    read_part(&reader, &part, 0);
    part_clear(&part);
    self->raw = memory_copy(data, size);
    self->raw_size = size;
    return MAILBUS_OK;
}
