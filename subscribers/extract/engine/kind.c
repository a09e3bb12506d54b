/* What a file is, by its content alone: its name and what the mail says about it are hostile. */
#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "engine.h"
#include "package.h"
#include "text.h"

enum {
    PDF_HEADER_WITHIN = 1024, /* readers take a PDF that has as much in front of its header */
    HTML_WITHIN = 1024,       /* bytes in which a first tag must be */
    TEXT_LOOKED_AT = 65536,   /* bytes without control characters make a text */
    MIMETYPE_MAX = 100,       /* of OpenDocument's first part */
};

typedef struct {
    const char *magic;
    size_t size;
    const char *type;
} magic_t;

static const magic_t magics[] = {
    {"\x89PNG\r\n\x1a\n", 8, "image/png"},
    {"\xff\xd8\xff", 3, "image/jpeg"},
    {"GIF87a", 6, "image/gif"},
    {"GIF89a", 6, "image/gif"},
    {"II*\0", 4, "image/tiff"},
    {"MM\0*", 4, "image/tiff"},
    {"{\\rtf", 5, "application/rtf"},
    {"\x1f\x8b", 2, "application/gzip"},
    {"BZh", 3, "application/x-bzip2"},
    {"\xfd"
     "7zXZ\0",
     6, "application/x-xz"},
    {"7z\xbc\xaf\x27\x1c", 6, "application/x-7z-compressed"},
    {"Rar!\x1a\x07", 6, "application/vnd.rar"},
    {"\x7f"
     "ELF",
     4, "application/x-executable"},
    {"MZ", 2, "application/vnd.microsoft.portable-executable"},
};

static bool begins(const engine_input_t *input, const char *magic, size_t size)
{
    return input->size >= size && memcmp(input->data, magic, size) == 0;
}

static bool holds(const engine_input_t *input, size_t within, const char *needle, size_t size)
{
    size_t most = input->size < within ? input->size : within;
    return memmem(input->data, most, needle, size) != NULL;
}

/* --- Microsoft's compound files: the old Office, and the new one behind a password ---------------
 */

/* Streams have UTF-16 names. */
#define WIDE_ENCRYPTED  "E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e"
#define WIDE_WORD       "W\0o\0r\0d\0D\0o\0c\0u\0m\0e\0n\0t"
#define WIDE_EXCEL      "W\0o\0r\0k\0b\0o\0o\0k"
#define WIDE_POWERPOINT "P\0o\0w\0e\0r\0P\0o\0i\0n\0t\0 \0D\0o\0c\0u\0m\0e\0n\0t"

static engine_status_t compound_kind(const engine_input_t *input, const char **ret_type,
                                     mailbus_error_t *why)
{
    *ret_type = "application/x-ole-storage";
    if (holds(input, input->size, WIDE_ENCRYPTED, sizeof WIDE_ENCRYPTED)) {
        return engine_fail(why, ENGINE_ENCRYPTED, "an Office document behind a password");
    }
    if (holds(input, input->size, WIDE_WORD, sizeof WIDE_WORD)) {
        *ret_type = "application/msword";
    } else if (holds(input, input->size, WIDE_EXCEL, sizeof WIDE_EXCEL)) {
        *ret_type = "application/vnd.ms-excel";
    } else if (holds(input, input->size, WIDE_POWERPOINT, sizeof WIDE_POWERPOINT)) {
        *ret_type = "application/vnd.ms-powerpoint";
    }
    return ENGINE_OK;
}

/* --- ZIP ----------------------------------------------------------------------------------------
 */

#define OOXML "application/vnd.openxmlformats-officedocument."
#define ODF   "application/vnd.oasis.opendocument."

typedef struct {
    char text[MIMETYPE_MAX + 1];
    size_t size;
} mimetype_t;

static engine_status_t take_mimetype(void *context, const char *data, size_t size,
                                     mailbus_error_t *why)
{
    mimetype_t *mimetype = context;
    (void)why;
    size_t room = MIMETYPE_MAX - mimetype->size;
    size_t keep = size < room ? size : room;
    memcpy(mimetype->text + mimetype->size, data, keep);
    mimetype->size += keep;
    return size <= room ? ENGINE_OK : ENGINE_TOO_LARGE;
}

static const char *package_kind(package_t *package)
{
    static const struct {
        const char *part;
        const char *type;
    } parts[] = {
        {"word/document.xml", OOXML "wordprocessingml.document"},
        {"xl/workbook.xml", OOXML "spreadsheetml.sheet"},
        {"ppt/presentation.xml", OOXML "presentationml.presentation"},
    };
    static const char *const mimetypes[] = {ODF "text", ODF "spreadsheet", ODF "presentation",
                                            "application/epub+zip"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (package_has(package, "[Content_Types].xml") && package_has(package, parts[i].part)) {
            return parts[i].type;
        }
    }
    mimetype_t mimetype = {.size = 0};
    mailbus_error_t ignored;
    if (package_has(package, "mimetype") &&
        package_read(package, "mimetype", take_mimetype, &mimetype, &ignored) == ENGINE_OK) {
        for (size_t i = 0; i < sizeof mimetypes / sizeof mimetypes[0]; i++) {
            if (strcmp(mimetype.text, mimetypes[i]) == 0) {
                return mimetypes[i];
            }
        }
    }
    return "application/zip";
}

static engine_status_t zip_kind(const engine_input_t *input, const char **ret_type,
                                mailbus_error_t *why)
{
    package_t *package = NULL;
    *ret_type = "application/zip";
    engine_status_t status = package_open(input, &package, why);
    if (status == ENGINE_OK) {
        *ret_type = package_kind(package);
    }
    package_close(&package);
    return status;
}

/* --- text ---------------------------------------------------------------------------------------
 */

static bool is_image(const engine_input_t *input, const char **ret_type)
{
    if (begins(input, "RIFF", 4) && input->size >= 12 && memcmp(input->data + 8, "WEBP", 4) == 0) {
        *ret_type = "image/webp";
        return true;
    }
    /* Both sizes of a bitmap's header are small numbers, and so some of their bytes are 0. */
    if (begins(input, "BM", 2) && input->size >= 26 &&
        memcmp(input->data + 6, "\0\0\0\0", 4) == 0) {
        *ret_type = "image/bmp";
        return true;
    }
    if (input->size > 3 && input->data[0] == 'P' && input->data[1] >= '1' &&
        input->data[1] <= '6' && isspace(input->data[2]) &&
        (isdigit(input->data[3]) || input->data[3] == '#')) {
        *ret_type = "image/x-portable-anymap";
        return true;
    }
    return false;
}

static bool is_text(const engine_input_t *input)
{
    size_t mark;
    text_charset_t charset = text_charset(input, &mark);
    if (charset != TEXT_UTF_8 && charset != TEXT_WINDOWS_1252) {
        return true;
    }
    size_t most = input->size < TEXT_LOOKED_AT ? input->size : TEXT_LOOKED_AT;
    for (size_t i = mark; i < most; i++) {
        unsigned char c = input->data[i];
        if ((c < 0x20 && strchr("\t\n\v\f\r\x1b", c) == NULL) || c == '\0' || c == 0x7f) {
            return false;
        }
    }
    return true;
}

/* The first tag, behind marks, blanks, comments and an XML declaration; NULL where there is none.
 */
static const unsigned char *first_tag(const engine_input_t *input, size_t *ret_left)
{
    const unsigned char *at = input->data;
    const unsigned char *end = at + (input->size < HTML_WITHIN ? input->size : HTML_WITHIN);
    at += begins(input, "\xEF\xBB\xBF", 3) ? 3 : 0;
    while (at < end) {
        const char *close = NULL;
        if (isspace(*at)) {
            at++;
            continue;
        }
        if (end - at > 4 && memcmp(at, "<!--", 4) == 0) {
            close = "-->";
        } else if (end - at > 2 && memcmp(at, "<?", 2) == 0) {
            close = "?>";
        }
        if (close == NULL) {
            break;
        }
        const unsigned char *found = memmem(at, (size_t)(end - at), close, strlen(close));
        if (found == NULL) {
            return NULL;
        }
        at = found + strlen(close);
    }
    *ret_left = (size_t)(end - at);
    return at < end && *at == '<' ? at : NULL;
}

static bool is_html(const engine_input_t *input)
{
    static const char *const tags[] = {"<!doctype html", "<html", "<head",  "<body", "<title",
                                       "<meta",          "<div",  "<table", "<p",    "<style",
                                       "<script",        "<h1",   "<br",    "<a",    "<span"};
    size_t left = 0;
    const unsigned char *tag = first_tag(input, &left);
    for (size_t i = 0; tag != NULL && i < sizeof tags / sizeof tags[0]; i++) {
        size_t size = strlen(tags[i]);
        if (left > size && strncasecmp((const char *)tag, tags[i], size) == 0 &&
            (isspace(tag[size]) || tag[size] == '>' || tag[size] == '/')) {
            return true;
        }
    }
    return false;
}

static engine_status_t find(const engine_input_t *input, const char **ret_type,
                            mailbus_error_t *why)
{
    for (size_t i = 0; i < sizeof magics / sizeof magics[0]; i++) {
        if (begins(input, magics[i].magic, magics[i].size)) {
            *ret_type = magics[i].type;
            return ENGINE_OK;
        }
    }
    if (is_image(input, ret_type)) {
        return ENGINE_OK;
    }
    if (begins(input, "PK\3\4", 4) || begins(input, "PK\5\6", 4)) {
        return zip_kind(input, ret_type, why);
    }
    if (begins(input, "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", 8)) {
        return compound_kind(input, ret_type, why);
    }
    if (holds(input, PDF_HEADER_WITHIN, "%PDF-", 5)) {
        *ret_type = "application/pdf";
    } else if (!is_text(input)) {
        *ret_type = "application/octet-stream";
    } else {
        *ret_type = is_html(input) ? "text/html" : "text/plain";
    }
    return ENGINE_OK;
}

engine_status_t engine_kind(const engine_input_t *input, FILE *out, mailbus_error_t *why)
{
    const char *type = "application/octet-stream";
    engine_status_t status = find(input, &type, why);
    fprintf(out, "%s\n", type);
    return status;
}
