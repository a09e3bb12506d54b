#include "choose.h"

#include <stdlib.h>
#include <string.h>

#include "agentmail/text.h"

enum { TYPE_MAX = 127 + 1 + 127 }; /* bytes of a media type: RFC 6838 §4.2 */

/* The names of extract.types: what they stand for, and the extensions such files bear. */
typedef struct {
    const char *name;
    const char *types[5];
    const char *extensions[9];
} kind_t;

static const kind_t kinds[] = {
    {"pdf", {"application/pdf", "application/x-pdf"}, {"pdf"}},
    {"text",
     {"text/plain", "text/csv", "text/markdown", "text/tab-separated-values"},
     {"txt", "text", "csv", "tsv", "md", "log"}},
    {"html", {"text/html", "application/xhtml+xml"}, {"html", "htm", "xhtml"}},
    {"docx", {"application/vnd.openxmlformats-officedocument.wordprocessingml.document"}, {"docx"}},
    {"odt", {"application/vnd.oasis.opendocument.text"}, {"odt"}},
    {"xlsx", {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}, {"xlsx"}},
    {"image", {"image/*"}, {"png", "jpg", "jpeg", "tif", "tiff", "gif", "bmp", "webp"}},
};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* What senders say that know nothing about a file. */
static const char *const generic[] = {
    "application/octet-stream", "binary/octet-stream",        "application/x-download",
    "application/download",     "application/force-download", "application/unknown",
    "application/x-unknown",
};

struct choose {
    bool wanted[KINDS];
    bool inline_images;
    size_t count;
    char types[CHOOSE_TYPES_MAX][TYPE_MAX + 1]; /* "text/calendar", "image/" and a star */
};

static bool type_matches(const char *pattern, const char *type)
{
    size_t size = strlen(pattern);
    if (strcmp(pattern, "*/*") == 0) {
        return true;
    }
    if (size > 2 && strcmp(pattern + size - 2, "/*") == 0) {
        return strncmp(pattern, type, size - 1) == 0;
    }
    return strcmp(pattern, type) == 0;
}

/* A media type's characters; one slash; a star only as all of the second half, or of both. */
static bool is_type(const char *word)
{
    static const char characters[] = "abcdefghijklmnopqrstuvwxyz0123456789!#$&-^_.+";
    size_t first = strspn(word, characters);
    if (strcmp(word, "*/*") == 0) {
        return true;
    }
    const char *second = word + first + 1;
    return first > 0 && word[first] == '/' && second[0] != '\0' &&
           (strcmp(second, "*") == 0 || second[strspn(second, characters)] == '\0');
}

static mailbus_code_t add_word(choose_t *self, const char *word, mailbus_error_t *error)
{
    for (int i = 0; i < KINDS; i++) {
        if (strcmp(kinds[i].name, word) == 0) {
            self->wanted[i] = true;
            return MAILBUS_OK;
        }
    }
    if (!is_type(word) || strlen(word) > TYPE_MAX) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "extract.types: \"%.60s\" is neither pdf, text, html, docx, odt, xlsx "
                            "or image, nor a type like application/pdf",
                            word);
    }
    if (self->count == CHOOSE_TYPES_MAX) {
        return mailbus_fail(error, MAILBUS_EINVAL, "extract.types: more than %d types",
                            CHOOSE_TYPES_MAX);
    }
    memcpy(self->types[self->count++], word, strlen(word) + 1);
    return MAILBUS_OK;
}

/* Lower-cased; false where it doesn't fit (then it is no type that we know). */
static bool lower(const char *text, size_t size, char *out, size_t room)
{
    if (size >= room) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        out[i] = agentmail_text_lower(text[i]);
    }
    out[size] = '\0';
    return true;
}

mailbus_code_t choose_new(const char *types, bool images, bool inline_images, choose_t **ret_self,
                          mailbus_error_t *error)
{
    choose_t *self = calloc(1, sizeof *self);
    char *words = strdup(types);
    mailbus_code_t code = MAILBUS_OK;
    if (self == NULL || words == NULL) {
        code = mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
        goto out;
    }
    self->inline_images = inline_images;
    lower(types, strlen(types), words, strlen(types) + 1);
    char *rest = NULL;
    for (char *word = strtok_r(words, " \t", &rest); word != NULL && code == MAILBUS_OK;
         word = strtok_r(NULL, " \t", &rest)) {
        code = add_word(self, word, error);
    }
    if (code == MAILBUS_OK && images) {
        code = add_word(self, "image", error);
    }
    if (code == MAILBUS_OK) {
        *ret_self = self;
        self = NULL;
    }
out:
    free(words);
    choose_destroy(&self);
    return code;
}

void choose_destroy(choose_t **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

/* The claimed type, lower-cased and without its parameters; "" where there is none. */
static void read_claim(const char *content_type, char claim[TYPE_MAX + 1])
{
    const char *text = content_type == NULL ? "" : content_type;
    text += strspn(text, " \t");
    if (!lower(text, strcspn(text, "; \t"), claim, TYPE_MAX + 1)) {
        claim[0] = '\0';
    }
}

/* The kind whose extension the name bears; KINDS: none of them. */
static int kind_of_name(const char *filename)
{
    const char *dot = filename == NULL ? NULL : strrchr(filename, '.');
    char extension[16];
    if (dot == NULL || !lower(dot + 1, strlen(dot + 1), extension, sizeof extension)) {
        return KINDS;
    }
    for (int i = 0; i < KINDS; i++) {
        for (const char *const *known = kinds[i].extensions; *known != NULL; known++) {
            if (strcmp(*known, extension) == 0) {
                return i;
            }
        }
    }
    return KINDS;
}

static bool wants_type(const choose_t *self, const char *type)
{
    for (size_t i = 0; i < self->count; i++) {
        if (type_matches(self->types[i], type)) {
            return true;
        }
    }
    for (int i = 0; i < KINDS; i++) {
        for (const char *const *known = kinds[i].types; self->wanted[i] && *known != NULL;
             known++) {
            if (type_matches(*known, type)) {
                return true;
            }
        }
    }
    return false;
}

static bool is_generic(const char *claim)
{
    bool found = claim[0] == '\0';
    for (size_t i = 0; i < sizeof generic / sizeof generic[0] && !found; i++) {
        found = strcmp(generic[i], claim) == 0;
    }
    return found;
}

choose_verdict_t choose_attachment(const choose_t *self, const agentmail_attachment_t *attachment)
{
    char claim[TYPE_MAX + 1];
    read_claim(attachment->content_type, claim);
    int kind = kind_of_name(attachment->filename);
    bool wanted = kind < KINDS && self->wanted[kind];
    if (is_generic(claim)) {
        return kind == KINDS || wanted || wants_type(self, "application/octet-stream")
                   ? CHOOSE_LOOK
                   : CHOOSE_TYPE;
    }
    if (type_matches("image/*", claim) && attachment->is_inline && !self->inline_images) {
        return CHOOSE_INLINE;
    }
    return wanted || wants_type(self, claim) ? CHOOSE_LOOK : CHOOSE_TYPE;
}
