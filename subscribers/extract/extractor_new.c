/* Making an extractor: where its programs are, and whether the sandbox holds here. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clean.h"
#include "clock.h"
#include "extractor_internal.h"

enum {
    PATH_SIZE = 4096,
    MIN_MEMORY = 64 << 20, /* bytes: less than a library or two */
    PROBE_MS = 10000,      /* for all that is tried at the start, one by one */
    PROBE_SLEEP_MS = 50,
    PROBE_OUTPUT = 8192,
};

static mailbus_code_t check(const extractor_options_t *options, mailbus_error_t *error)
{
    if (options->max_file < 1 || options->max_output < 1 || options->wall_ms < 1 ||
        options->cpu_s < 1 || options->max_pages < 1) {
        return mailbus_fail(error, MAILBUS_EINVAL, "limits of extraction begin at 1");
    }
    if (options->max_memory < MIN_MEMORY) {
        return mailbus_fail(error, MAILBUS_EINVAL, "no engine runs in less than %d bytes of memory",
                            MIN_MEMORY);
    }
    return MAILBUS_OK;
}

/* Where mailbus-extract-helper is, beginning at the running program: ../libexec/mailbus where it is
 * installed, its own folder where it was built. */
static char *find_libexec(void)
{
    char self[PATH_SIZE];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    if (size <= 0) {
        return NULL;
    }
    self[size] = '\0';
    *strrchr(self, '/') = '\0';
    static const char *const places[] = {MAILBUS_LIBEXEC_FROM_BIN, ".", "../bin"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char *folder = NULL, *helper = NULL;
        if (asprintf(&folder, "%s/%s", self, places[i]) < 0) {
            return NULL;
        }
        bool there = asprintf(&helper, "%s/mailbus-extract-helper", folder) >= 0 &&
                     access(helper, X_OK) == 0;
        free(helper);
        if (there) {
            return folder;
        }
        free(folder);
    }
    return NULL;
}

static mailbus_code_t find_programs(extractor_t *self, mailbus_error_t *error)
{
    const char *wanted = self->options.libexec;
    self->libexec = wanted[0] != '\0' ? realpath(wanted, NULL) : find_libexec();
    if (self->libexec == NULL) {
        return mailbus_fail(error, MAILBUS_ENOTFOUND, "%s: no mailbus-extract-helper there",
                            wanted[0] != '\0' ? wanted : "beside this program or in its libexec");
    }
    if (asprintf(&self->helper, "%s/mailbus-extract-helper", self->libexec) < 0 ||
        asprintf(&self->engine, "%s/mailbus-extract-engine", self->libexec) < 0) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    if (access(self->helper, X_OK) != 0 || access(self->engine, X_OK) != 0) {
        return mailbus_fail(error, MAILBUS_ENOTFOUND,
                            "%s: mailbus-extract-helper or mailbus-extract-engine: %s",
                            self->libexec, strerror(errno));
    }
    self->pdfinfo = types_program("pdfinfo", self->libexec);
    self->pdftoppm = types_program("pdftoppm", self->libexec);
    return MAILBUS_OK;
}

static mailbus_code_t copy_options(extractor_t *self, const extractor_options_t *options,
                                   mailbus_error_t *error)
{
    self->options = *options;
    self->languages = strdup(options->ocr_languages);
    self->table = strdup(options->types);
    if (self->languages == NULL || self->table == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    self->options.ocr_languages = self->languages;
    self->options.types = self->table;
#ifdef MAILBUS_TEST_POINTS
    self->without = getenv("MAILBUS_TEST_SANDBOX_WITHOUT");
#endif
    return MAILBUS_OK;
}

mailbus_code_t extractor_new(const extractor_options_t *options, extractor_t **ret_self,
                             mailbus_error_t *error)
{
    mailbus_code_t code = check(options, error);
    extractor_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    if (code == MAILBUS_OK) {
        code = copy_options(self, options, error);
    }
    if (code == MAILBUS_OK) {
        code = find_programs(self, error);
    }
    if (code == MAILBUS_OK) {
        self->options.libexec = self->libexec;
        const types_options_t types = {self->table, self->libexec, options->max_pages,
                                       self->languages};
        code = types_load(&types, &self->types, error);
    }
    if (code == MAILBUS_OK) {
        code = extractor_probe(self, error);
    }
    if (code == MAILBUS_OK) {
        code = extractor_versions(self, error);
    }
    if (code != MAILBUS_OK) {
        extractor_destroy(&self);
        return code;
    }
    *ret_self = self;
    return MAILBUS_OK;
}

void extractor_destroy(extractor_t **self_p)
{
    extractor_t *self = *self_p;
    if (self != NULL) {
        types_destroy(&self->types);
        free(self->languages);
        free(self->table);
        free(self->libexec);
        free(self->helper);
        free(self->engine);
        free(self->pdfinfo);
        free(self->pdftoppm);
        free(self);
    }
    *self_p = NULL;
}

/* --- probes -------------------------------------------------------------------------------------
 */

/* Run `argv` with nothing to read. */
static mailbus_code_t run_alone(extractor_t *self, const char *const *argv,
                                const char *const *reads, int64_t wall_ms, int64_t max_output,
                                sandbox_result_t *ret_result, mailbus_error_t *error)
{
    int input = -1;
    mailbus_code_t code = sandbox_input("", 0, &input, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    extraction_t ignored = {.text = MAILBUS_BUF_INIT};
    extract_task_t task = {self, input, mb_clock_monotonic_ms() + wall_ms, &ignored};
    const extract_command_t command = {
        .argv = argv, .reads = reads, .input = input, .max_output = max_output};
    code = extractor_command(&task, &command, ret_result, error);
    close(input);
    return code;
}

/* The first line of the probe's report that does not say "stopped". */
static mailbus_code_t name_layer(const sandbox_result_t *result, mailbus_error_t *error)
{
    char line[128] = "the probe did not end as it should";
    const char *at = result->out.data != NULL ? result->out.data : "";
    while (*at != '\0') {
        size_t size = strcspn(at, "\n");
        static const char stopped[] = ": stopped";
        size_t tail = sizeof stopped - 1;
        if (size < tail || memcmp(at + size - tail, stopped, tail) != 0) {
            clean_line(at, size, line, sizeof line);
            break;
        }
        at += size + (at[size] == '\n' ? 1 : 0);
    }
    return mailbus_fail(error, MAILBUS_EACCESS, "the sandbox does not hold: %s", line);
}

static mailbus_code_t expect(extractor_t *self, const char *probe, int64_t wall_ms,
                             sandbox_end_t end, const char *layer, mailbus_error_t *error)
{
    const char *const argv[] = {self->engine, "probe", probe, NULL};
    sandbox_result_t result;
    mailbus_code_t code = run_alone(self, argv, NULL, wall_ms, PROBE_OUTPUT, &result, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    if (result.end != end || (end == SANDBOX_EXITED && result.number != 0)) {
        code = layer == NULL
                   ? name_layer(&result, error)
                   : mailbus_fail(error, MAILBUS_EACCESS, "the sandbox does not hold: %s", layer);
    }
    sandbox_result_free(&result);
    return code;
}

mailbus_code_t extractor_probe(extractor_t *self, mailbus_error_t *error)
{
    mailbus_code_t code = expect(self, "layers", PROBE_MS, SANDBOX_EXITED, NULL, error);
    if (code == MAILBUS_OK) {
        code =
            expect(self, "write", PROBE_MS, SANDBOX_OVERFLOW, "output: writes without end", error);
    }
    if (code == MAILBUS_OK) {
        code =
            expect(self, "sleep", PROBE_SLEEP_MS, SANDBOX_TIMEOUT, "time: sleeps for ever", error);
    }
    return code;
}

/* --- versions -----------------------------------------------------------------------------------
 */

/* The word behind `before` in what the program says about itself; "" where it is not installed. */
static mailbus_code_t read_version(extractor_t *self, const char *program, const char *option,
                                   const char *before, char *version, size_t size,
                                   mailbus_error_t *error)
{
    char *path = types_program(program, self->libexec);
    if (path == NULL) {
        return MAILBUS_OK;
    }
    const char *const argv[] = {path, option, NULL};
    const char *const reads[] = {"/usr/share/poppler", NULL};
    sandbox_result_t result;
    mailbus_code_t code =
        run_alone(self, argv, reads, PROBE_MS, EXTRACTOR_ERROR_OUTPUT, &result, error);
    free(path);
    if (code != MAILBUS_OK) {
        return code;
    }
    const char *text = result.err_size > 0 ? result.err : result.out.data;
    size_t text_size = result.err_size > 0 ? result.err_size : result.out.size;
    const char *found = text_size > 0 ? memmem(text, text_size, before, strlen(before)) : NULL;
    if (found == NULL) {
        code = mailbus_fail(error, MAILBUS_EIO, "%s does not run in the sandbox", program);
    } else {
        found += strlen(before);
        size_t left = text_size - (size_t)(found - text), length = 0;
        while (length < left && length + 1 < size && found[length] > ' ') {
            length++;
        }
        memcpy(version, found, length);
        version[length] = '\0';
    }
    sandbox_result_free(&result);
    return code;
}

mailbus_code_t extractor_versions(extractor_t *self, mailbus_error_t *error)
{
    mailbus_code_t code =
        read_version(self, "pdftotext", "-v", "pdftotext version ", self->pdftotext_version,
                     sizeof self->pdftotext_version, error);
    if (code == MAILBUS_OK) {
        code = read_version(self, "tesseract", "--version", "tesseract ", self->tesseract_version,
                            sizeof self->tesseract_version, error);
    }
    snprintf(self->engines, sizeof self->engines, "pdftotext %s, tesseract %s",
             self->pdftotext_version[0] != '\0' ? self->pdftotext_version : "not installed",
             self->tesseract_version[0] != '\0' ? self->tesseract_version : "not installed");
    return code;
}
