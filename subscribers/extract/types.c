#include "types.h"

#include <czmq.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mailbus/buf.h"

enum {
    MAX_ENTRIES = 128,
    MAX_FILE = 65536, /* bytes of the operator's table */
};

#define OOXML "application/vnd.openxmlformats-officedocument."
#define ODF   "application/vnd.oasis.opendocument."
#define OWN   "mailbus-extract-engine "
/* A thread for every processor would be refused to it, and gains little for one page. */
#define OCR      "OMP_THREAD_LIMIT=1 tesseract stdin stdout -l {languages}"
#define OCR_DATA "/usr/share/tesseract-ocr /usr/share/tessdata"

static const struct {
    const char *type;
    const char *command;
    const char *reads;
} shipped[] = {
    {"application/pdf", "pdftotext -l {pages} -enc UTF-8 - -", "/usr/share/poppler"},
    {"text/plain", OWN "text", ""},
    {"text/html", OWN "html", ""},
    {OOXML "wordprocessingml.document", OWN "docx", ""},
    {OOXML "spreadsheetml.sheet", OWN "xlsx", ""},
    {OOXML "presentationml.presentation", OWN "pptx", ""},
    {ODF "text", OWN "odf", ""},
    {ODF "spreadsheet", OWN "odf", ""},
    {ODF "presentation", OWN "odf", ""},
    {"image/png", OCR, OCR_DATA},
    {"image/jpeg", OCR, OCR_DATA},
    {"image/tiff", OCR, OCR_DATA},
    {"image/gif", OCR, OCR_DATA},
    {"image/bmp", OCR, OCR_DATA},
    {"image/webp", OCR, OCR_DATA},
    {"image/x-portable-anymap", OCR, OCR_DATA},
};

struct types {
    types_entry_t *entries; /* MAX_ENTRIES of them */
    size_t count;
};

char *types_program(const char *name, const char *libexec)
{
    const char *const folders[] = {libexec, "/usr/local/bin", "/usr/bin", "/bin"};
    if (strchr(name, '/') != NULL) {
        return name[0] == '/' && access(name, X_OK) == 0 ? strdup(name) : NULL;
    }
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char *path = NULL;
        if (asprintf(&path, "%s/%s", folders[i], name) < 0) {
            return NULL;
        }
        if (access(path, X_OK) == 0) {
            return path;
        }
        free(path);
    }
    return NULL;
}

/* Append `text` with its placeholders filled in, and a NUL. */
static void fill(const char *text, const types_options_t *options, mailbus_buf_t *out)
{
    char pages[16];
    snprintf(pages, sizeof pages, "%d", options->pages);
    const struct {
        const char *name;
        const char *value;
    } values[] = {{"{pages}", pages}, {"{languages}", options->languages}};
    while (*text != '\0') {
        size_t i = 0;
        while (i < 2 && strncmp(text, values[i].name, strlen(values[i].name)) != 0) {
            i++;
        }
        if (i < 2) {
            mailbus_buf_text(out, values[i].value);
            text += strlen(values[i].name);
        } else {
            mailbus_buf_char(out, *text++);
        }
    }
    mailbus_buf_append(out, "", 1);
}

/* Cut `text` at its blanks. False where there are too many words. */
static bool split(char *text, const char **words, size_t *ret_count)
{
    char *rest = NULL;
    size_t count = 0;
    for (char *one = strtok_r(text, " \t", &rest); one != NULL;
         one = strtok_r(NULL, " \t", &rest)) {
        if (count == TYPES_MAX_WORDS) {
            return false;
        }
        words[count++] = one;
    }
    words[count] = NULL;
    *ret_count = count;
    return true;
}

/* NAME=value, as a shell takes it. */
static bool is_assignment(const char *text)
{
    size_t name = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
    return name > 0 && text[name] == '=';
}

/* Put the program's path in front of the arguments. It goes behind the words in one piece of
 * memory, so `words` holds everything. */
static mailbus_code_t find_program(types_entry_t *entry, const types_options_t *options,
                                   mailbus_error_t *error)
{
    char *path = types_program(entry->argv[0], options->libexec);
    if (path == NULL) {
        entry->missing = strdup(entry->argv[0]);
        if (entry->missing == NULL) {
            return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
        }
        return entry->shipped ? MAILBUS_OK
                              : mailbus_fail(error, MAILBUS_EINVAL, "%s: there is no program %.80s",
                                             entry->type, entry->missing);
    }
    entry->program = path;
    entry->argv[0] = path;
    return MAILBUS_OK;
}

static mailbus_code_t make(const char *type, const char *command, const char *reads,
                           const types_options_t *options, types_entry_t *entry,
                           mailbus_error_t *error)
{
    mailbus_buf_t words = MAILBUS_BUF_INIT;
    fill(command, options, &words);
    size_t second = words.size;
    fill(reads, options, &words);
    entry->type = strdup(type);
    entry->words = mailbus_buf_take(&words, NULL);
    if (entry->type == NULL || entry->words == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    size_t count = 0, reads_count = 0, env_count = 0;
    if (!split(entry->words, entry->argv, &count) ||
        !split(entry->words + second, entry->reads, &reads_count)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "%s: more than %d words", type, TYPES_MAX_WORDS);
    }
    for (size_t i = 0; i < reads_count; i++) {
        if (entry->reads[i][0] != '/') {
            return mailbus_fail(error, MAILBUS_EINVAL, "%s: reads: %.80s does not begin with /",
                                type, entry->reads[i]);
        }
    }
    while (env_count < count && is_assignment(entry->argv[env_count])) {
        entry->env[env_count] = entry->argv[env_count];
        env_count++;
    }
    if (env_count > TYPES_MAX_ENV) {
        return mailbus_fail(error, MAILBUS_EINVAL, "%s: more than %d variables", type,
                            TYPES_MAX_ENV);
    }
    memmove(entry->argv, entry->argv + env_count, (count - env_count + 1) * sizeof entry->argv[0]);
    return entry->argv[0] == NULL ? MAILBUS_OK : find_program(entry, options, error);
}

static void free_entry(types_entry_t *entry)
{
    free(entry->type);
    free(entry->missing);
    free(entry->words);
    free(entry->program);
    *entry = (types_entry_t){.type = NULL};
}

static mailbus_code_t add(types_t *self, const char *type, const char *command, const char *reads,
                          bool threads, bool is_shipped, const types_options_t *options,
                          mailbus_error_t *error)
{
    types_entry_t entry = {.shipped = is_shipped, .threads = threads};
    mailbus_code_t code = make(type, command, reads, options, &entry, error);
    types_entry_t *place = (types_entry_t *)types_find(self, type);
    if (code == MAILBUS_OK && place == NULL && self->count == MAX_ENTRIES) {
        code = mailbus_fail(error, MAILBUS_EFULL, "more than %d types", MAX_ENTRIES);
    }
    if (code != MAILBUS_OK) {
        free_entry(&entry);
        return code;
    }
    if (place == NULL) {
        place = &self->entries[self->count++];
    } else {
        free_entry(place);
    }
    *place = entry;
    return MAILBUS_OK;
}

static mailbus_code_t add_section(types_t *self, zconfig_t *section, const types_options_t *options,
                                  mailbus_error_t *error)
{
    const char *type = zconfig_name(section), *value = zconfig_value(section);
    bool has_value = value != NULL && value[0] != '\0';
    bool has_keys = zconfig_child(section) != NULL;
    const char *command = has_keys ? NULL : value, *reads = "";
    bool threads = false;
    if (strchr(type, '/') == NULL || (has_value && has_keys)) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "%.80s: a media type with a command or a section is meant", type);
    }
    for (zconfig_t *item = zconfig_child(section); item != NULL; item = zconfig_next(item)) {
        const char *key = zconfig_name(item);
        value = zconfig_value(item) != NULL ? zconfig_value(item) : "";
        if (strcmp(key, "command") == 0) {
            command = value;
        } else if (strcmp(key, "reads") == 0) {
            reads = value;
        } else if (strcmp(key, "threads") == 0 && strcmp(value, "yes") == 0) {
            threads = true;
        } else if (strcmp(key, "threads") != 0 || strcmp(value, "no") != 0) {
            return mailbus_fail(error, MAILBUS_EINVAL,
                                "%s: %.40s = \"%.40s\" is no key or value; known are command, "
                                "reads, threads = yes|no",
                                type, key, value);
        }
    }
    if (command == NULL) {
        return mailbus_fail(error, MAILBUS_EINVAL, "%s: it has no command", type);
    }
    return add(self, type, command, reads, threads, false, options, error);
}

static mailbus_code_t read_file(const char *path, char **ret_text, mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    FILE *file = fopen(path, "re");
    char *text = calloc(1, MAX_FILE + 1);
    if (file == NULL) {
        code = mailbus_fail(error, errno == ENOENT ? MAILBUS_ENOTFOUND : MAILBUS_EIO, "%s: %s",
                            path, strerror(errno));
    } else if (text == NULL) {
        code = mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    } else if (fread(text, 1, MAX_FILE + 1, file) > MAX_FILE) {
        code = mailbus_fail(error, MAILBUS_ETOOBIG, "%s is longer than %d bytes", path, MAX_FILE);
    } else if (ferror(file)) {
        code = mailbus_fail(error, MAILBUS_EIO, "%s: %s", path, strerror(errno));
    } else {
        text[MAX_FILE] = '\0';
        *ret_text = text;
        text = NULL;
    }
    if (file != NULL) {
        fclose(file);
    }
    free(text);
    return code;
}

static mailbus_code_t load_file(types_t *self, const types_options_t *options,
                                mailbus_error_t *error)
{
    char *text = NULL;
    mailbus_code_t code = read_file(options->path, &text, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    zconfig_t *root = zconfig_str_load(text);
    free(text);
    if (root == NULL) {
        return mailbus_fail(error, MAILBUS_EINVAL, "%s is not ZPL (rfc.zeromq.org/spec/4)",
                            options->path);
    }
    for (zconfig_t *one = zconfig_child(root); code == MAILBUS_OK && one != NULL;
         one = zconfig_next(one)) {
        code = add_section(self, one, options, error);
    }
    zconfig_destroy(&root);
    return code;
}

mailbus_code_t types_load(const types_options_t *options, types_t **ret_self,
                          mailbus_error_t *error)
{
    types_t *self = calloc(1, sizeof *self);
    mailbus_code_t code = MAILBUS_OK;
    if (self == NULL || (self->entries = calloc(MAX_ENTRIES, sizeof *self->entries)) == NULL) {
        free(self);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    for (size_t i = 0; code == MAILBUS_OK && i < sizeof shipped / sizeof shipped[0]; i++) {
        code = add(self, shipped[i].type, shipped[i].command, shipped[i].reads, false, true,
                   options, error);
    }
    if (code == MAILBUS_OK && options->path[0] != '\0') {
        code = load_file(self, options, error);
    }
    if (code != MAILBUS_OK) {
        types_destroy(&self);
        return code;
    }
    *ret_self = self;
    return MAILBUS_OK;
}

void types_destroy(types_t **self_p)
{
    types_t *self = *self_p;
    if (self != NULL) {
        for (size_t i = 0; i < self->count; i++) {
            free_entry(&self->entries[i]);
        }
        free(self->entries);
        free(self);
    }
    *self_p = NULL;
}

const types_entry_t *types_find(const types_t *self, const char *type)
{
    for (size_t i = 0; i < self->count; i++) {
        if (strcmp(self->entries[i].type, type) == 0) {
            return &self->entries[i];
        }
    }
    return NULL;
}
