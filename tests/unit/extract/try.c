/* extract_try [OPTION…] FILE…: what the extractor makes of files, as it is shipped. One JSON object
 * a file, the text in it.
 *
 *   --memory BYTES --output BYTES --wall MS --cpu S --pages N --file BYTES --no-ocr --types FILE
 *   --libexec FOLDER     as in extractor_options_t
 *
 * For the tests, for tables of figures, and for people who have a strange file. */
#include <cjson/cJSON.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "extractor.h"

static void print(const char *path, const extraction_t *extraction)
{
    cJSON *line = cJSON_CreateObject();
    cJSON_AddStringToObject(line, "file", path);
    cJSON_AddStringToObject(line, "status", extract_status_name(extraction->status));
    cJSON_AddStringToObject(line, "type", extraction->type);
    cJSON_AddStringToObject(line, "engine", extraction->engine);
    cJSON_AddStringToObject(line, "version", extraction->version);
    cJSON_AddNumberToObject(line, "pages", extraction->pages);
    cJSON_AddStringToObject(line, "detail", extraction->detail);
    cJSON_AddNumberToObject(line, "wall_ms", (double)extraction->wall_ms);
    cJSON_AddNumberToObject(line, "cpu_ms", (double)extraction->cpu_ms);
    cJSON_AddNumberToObject(line, "peak_memory", (double)extraction->peak_memory);
    cJSON_AddStringToObject(line, "text",
                            extraction->text.data != NULL ? extraction->text.data : "");
    char *text = cJSON_PrintUnformatted(line);
    printf("%s\n", text);
    free(text);
    cJSON_Delete(line);
}

static int try_file(extractor_t *extractor, const char *path)
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
        fprintf(stderr, "%s: %s: %s\n", path, mailbus_code_name(code), error.text);
        return EXIT_FAILURE;
    }
    print(path, &extraction);
    extraction_free(&extraction);
    return EXIT_SUCCESS;
}

static bool read_options(int argc, char **argv, extractor_options_t *options)
{
    static const struct option names[] = {
        {"memory", required_argument, NULL, 'm'},  {"output", required_argument, NULL, 'o'},
        {"wall", required_argument, NULL, 'w'},    {"cpu", required_argument, NULL, 'c'},
        {"pages", required_argument, NULL, 'p'},   {"file", required_argument, NULL, 'f'},
        {"no-ocr", no_argument, NULL, 'n'},        {"types", required_argument, NULL, 't'},
        {"libexec", required_argument, NULL, 'l'}, {NULL, 0, NULL, 0},
    };
    int64_t *numbers[128] = {['m'] = &options->max_memory,
                             ['o'] = &options->max_output,
                             ['w'] = &options->wall_ms,
                             ['c'] = &options->cpu_s,
                             ['f'] = &options->max_file};
    int option;
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (option == '?') {
            return false;
        }
        if (option == 'p') {
            options->max_pages = atoi(optarg);
        } else if (option == 'n') {
            options->ocr = false;
        } else if (option == 't') {
            options->types = optarg;
        } else if (option == 'l') {
            options->libexec = optarg;
        } else {
            *numbers[option] = strtoll(optarg, NULL, 10);
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    extractor_options_t options = EXTRACTOR_DEFAULTS;
    extractor_t *extractor = NULL;
    mailbus_error_t error = {.text = ""};
    int result = EXIT_SUCCESS;
    if (!read_options(argc, argv, &options)) {
        return 64;
    }
    if (extractor_new(&options, &extractor, &error) != MAILBUS_OK) {
        fprintf(stderr, "%s: %s\n", mailbus_code_name(error.code), error.text);
        return EXIT_FAILURE;
    }
    fprintf(stderr, "%s\n", extractor_engines(extractor));
    for (int i = optind; i < argc && result == EXIT_SUCCESS; i++) {
        result = try_file(extractor, argv[i]);
    }
    extractor_destroy(&extractor);
    return result;
}
