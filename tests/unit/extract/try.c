/* extract_try FILE…: one line about each file, "status type engine version pages wall cpu memory
 * bytes detail", and with -t its text. For people who look at a file, and for the table of figures;
 * the limits are the shipped ones. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "extractor.h"

static int try_file(extractor_t *extractor, const char *path, bool text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0) {
        perror(path);
        return EXIT_FAILURE;
    }
    size_t size = (size_t)info.st_size;
    void *data = size > 0 ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    extraction_t extraction;
    mailbus_error_t error = {.text = ""};
    mailbus_code_t code = extractor_run(extractor, data, size, &extraction, &error);
    if (size > 0) {
        munmap(data, size);
    }
    close(fd);
    if (code != MAILBUS_OK) {
        fprintf(stderr, "%s: %s\n", path, error.text);
        return EXIT_FAILURE;
    }
    printf("%s: %s %s %s %s pages=%d wall=%lldms cpu=%lldms memory=%lldKiB text=%zu %s\n", path,
           extract_status_name(extraction.status), extraction.type, extraction.engine,
           extraction.version, extraction.pages, (long long)extraction.wall_ms,
           (long long)extraction.cpu_ms, (long long)extraction.peak_memory / 1024,
           extraction.text.size, extraction.detail);
    if (text && extraction.text.size > 0) {
        printf("%s\n", extraction.text.data);
    }
    extraction_free(&extraction);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    extractor_options_t options = EXTRACTOR_DEFAULTS;
    extractor_t *extractor = NULL;
    mailbus_error_t error = {.text = ""};
    int result = EXIT_SUCCESS;
    bool text = argc > 1 && strcmp(argv[1], "-t") == 0;
    if (extractor_new(&options, &extractor, &error) != MAILBUS_OK) {
        fprintf(stderr, "%s\n", error.text);
        return EXIT_FAILURE;
    }
    for (int i = text ? 2 : 1; i < argc && result == EXIT_SUCCESS; i++) {
        result = try_file(extractor, argv[i], text);
    }
    extractor_destroy(&extractor);
    return result;
}
