/* mailbus-extract-engine: reads one kind of file on standard input, writes its text. Run inside the
 * sandbox by mailbus-extract-helper; not a program for people. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine.h"
#include "probe.h"

static const struct {
    const char *name;
    engine_fn *run;
} engines[] = {
    {"kind", engine_kind}, {"text", engine_text}, {"html", engine_html}, {"docx", engine_docx},
    {"xlsx", engine_xlsx}, {"pptx", engine_pptx}, {"odf", engine_odf},
};

/* Standard input is a file in memory: it is looked at where it is. */
static engine_status_t open_input(engine_input_t *ret_input, mailbus_error_t *why)
{
    struct stat info;
    if (fstat(STDIN_FILENO, &info) != 0 || !S_ISREG(info.st_mode)) {
        return engine_fail(why, ENGINE_USAGE, "standard input is not a file");
    }
    *ret_input = (engine_input_t){(const unsigned char *)"", 0};
    if (info.st_size == 0) {
        return ENGINE_OK;
    }
    void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, STDIN_FILENO, 0);
    if (data == MAP_FAILED) {
        return engine_fail(why, ENGINE_MEMORY, "the file does not fit into memory: %s",
                           strerror(errno));
    }
    *ret_input = (engine_input_t){data, (size_t)info.st_size};
    return ENGINE_OK;
}

static engine_status_t run(const char *name, mailbus_error_t *why)
{
    for (size_t i = 0; i < sizeof engines / sizeof engines[0]; i++) {
        if (strcmp(name, engines[i].name) == 0) {
            engine_input_t input;
            engine_status_t status = open_input(&input, why);
            return status == ENGINE_OK ? engines[i].run(&input, stdout, why) : status;
        }
    }
    return engine_fail(why, ENGINE_USAGE, "started by mailbus-extract, see there");
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "probe") == 0) {
        return probe_run(argv[2]);
    }
    mailbus_error_t why = {.text = ""};
    engine_status_t status = run(argc == 2 ? argv[1] : "", &why);
    if (fflush(stdout) != 0 && status == ENGINE_OK) {
        status = ENGINE_IO;
    }
    if (status != ENGINE_OK) {
        fprintf(stderr, "%s\n", why.text);
    }
    return (int)status;
}
