#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agentmail/client.h"
#include "describe.h"
#include "output_bus.h"
#include "reuse.h"

#define MIB INT64_C(1048576)
#define DAY INT64_C(86400000)

enum {
    TABLE_MAX = 65536,       /* bytes of the operator's table that count as its identity */
    ATTACHMENTS_MOST = 1000, /* of one mail: each costs a call and a process */
};

/* --- the table ----------------------------------------------------------------------------------
 */

#define ROW(key, type, value, help)                                                                \
    {                                                                                              \
        key, type, value, help, true, NULL                                                         \
    }
#define ROW_START(key, type, value, help)                                                          \
    {                                                                                              \
        key, type, value, help, false, NULL                                                        \
    }

const mailbus_setting_t config_settings[] = {
    ROW("extract.types", "text", "pdf text html docx odt xlsx",
        "Files that are looked at, blank-separated: pdf text html docx odt xlsx image, or types "
        "like application/rtf, image/*; images are among them where extract.ocr is on"),
    ROW("extract.inline_images", "boolean", "no",
        "Also pictures that the mail's own text shows, such as logos"),
    ROW("extract.max_attachments", "integer", "20", "Files that are looked at in one mail"),
    ROW("extract.max_file", "bytes", "25MiB", "Largest file that is fetched and read"),
    ROW("extract.max_text", "bytes", "1MiB", "Text that is taken out of one file"),
    ROW("extract.max_pages", "integer", "500", "Pages that are read of one file"),
    ROW("extract.timeout", "duration", "60s", "Time for one file, then its process is killed"),
    ROW("extract.cpu", "duration", "60s", "Processor time of one process"),
    ROW("extract.max_memory", "bytes", "512MiB", "Address space of one process"),
    ROW("extract.ocr", "boolean", "yes",
        "Read pictures and scanned pages, where tesseract is installed"),
    ROW("extract.ocr_languages", "text", "eng",
        "Languages to read them in, as tesseract names them"),
    ROW("extract.engines", "path", "",
        "Table of further programs, type = command (ZPL), over the built-in ones; see README.md"),
    ROW("extract.again_after", "duration", "1h",
        "A file that ran out of time or memory is tried again when it comes again after this"),
    ROW("download.timeout", "duration", "60s", "Time for fetching one file"),
    ROW("download.rate", "bytes", "1KiB",
        "A file that comes slower than this, a second, is given up"),
    ROW("download.tries", "integer", "6", "Tries to fetch a file, then it is download_failed"),
    ROW("store.keep", "duration", "365d", "How long mails and texts are kept; 0: for ever"),
    ROW("store.max_size", "bytes", "2GiB",
        "Text that is kept; beyond it what was not seen for longest goes; 0: no limit"),
    ROW("output.max_text", "bytes", "512KiB", "Text in one POST or event; at most 900KiB"),
    ROW("file.folder", "path", "", "Write each text as a file into this folder; empty: no files"),
    ROW("post.url", "text", "",
        "POST each result to this URL: https, or http on loopback; empty: nowhere"),
    ROW("post.secret", "secret", "",
        "whsec_…: signs the POSTs as Standard Webhooks says; several, blank-separated, while one "
        "is changed"),
    ROW("reply.send", "boolean", "no", "Reply to the sender with the text"),
    ROW("reply.text", "text", "I extracted this text from your PDF:", "First line of the reply"),
    ROW("reply.max_text", "bytes", "64KiB", "Text in one reply"),
    ROW_START("publish.bind", "endpoint", "",
              "Where attachment.extracted is published (tcp://127.0.0.1:5560); empty: not at all"),
    ROW_START("publish.replay", "endpoint", "tcp://127.0.0.1:5561",
              "Where those that were missed can be fetched"),
    ROW_START("publish.curve_dir", "path", "",
              "Key folder of these two sockets, their own (\"mailbus keys new NAME --dir FOLDER\" "
              "makes it); SIGHUP reads the clients again"),
    ROW_START("publish.open", "boolean", "no",
              "Let them be bound beyond this machine without keys: everybody who reaches them "
              "reads all texts"),
    ROW_START("publish.journal", "path", "",
              "Their file; empty: beside the state file, <its name>-events.db"),
    ROW("publish.keep", "duration", "30d", "How long these events can be fetched again"),
    ROW("publish.max_size", "bytes", "2GiB",
        "Size of that file above which the oldest events go early; 0: no limit"),
    OUTGOING_SETTINGS,
    {NULL, NULL, NULL, NULL, false, NULL},
};

/* --- reading ------------------------------------------------------------------------------------
 */

typedef struct {
    const char *key;
    int64_t least, most;
    const char *words; /* the same, for people */
} bound_t;

static const bound_t bounds[] = {
    {"extract.max_attachments", 1, ATTACHMENTS_MOST, "1 to 1000"},
    {"extract.max_file", 1024, 1024 * MIB, "1KiB to 1GiB"},
    {"extract.max_text", 1024, 32 * MIB, "1KiB to 32MiB"},
    {"extract.max_pages", 1, 100000, "1 to 100000"},
    {"extract.timeout", 1000, DAY, "1s to 1d"},
    {"extract.cpu", 1000, DAY, "1s to 1d"},
    {"extract.max_memory", 64 * MIB, INT64_C(1048576) * MIB, "64MiB to 1TiB"},
    {"extract.again_after", 0, INT64_MAX, "0 or more"},
    {"download.timeout", 1000, 3600000, "1s to 1h"},
    {"download.rate", 1, 1024 * MIB, "1 or more"},
    {"download.tries", 1, 1000, "1 to 1000"},
    {"store.max_size", 0, INT64_MAX, "0 or more"},
    {"output.max_text", 0, (int64_t)DESCRIBE_TEXT_MAX, "at most 900KiB"},
    {"reply.max_text", 1024, MIB, "1KiB to 1MiB"},
};

static mailbus_code_t check_bounds(const mailbus_runtime_t *runtime, mailbus_error_t *error)
{
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        int64_t value = mailbus_setting_integer(runtime, bounds[i].key);
        if (value < bounds[i].least || value > bounds[i].most) {
            return mailbus_fail(error, MAILBUS_EINVAL, "%s: %s", bounds[i].key, bounds[i].words);
        }
    }
    int64_t keep = mailbus_setting_integer(runtime, "store.keep");
    if (keep != 0 && keep < 7 * DAY) {
        /* What was done with a mail must be known for as long as it may be tried again. */
        return mailbus_fail(error, MAILBUS_EINVAL, "store.keep: at least 7d, or 0 for ever");
    }
    return output_bus_check(runtime, error);
}

void config_extractor(const mailbus_runtime_t *runtime, extractor_options_t *ret_options)
{
    *ret_options = (extractor_options_t){
        .max_file = mailbus_setting_integer(runtime, "extract.max_file"),
        .max_memory = mailbus_setting_integer(runtime, "extract.max_memory"),
        .max_output = mailbus_setting_integer(runtime, "extract.max_text"),
        .wall_ms = mailbus_setting_integer(runtime, "extract.timeout"),
        .cpu_s = (mailbus_setting_integer(runtime, "extract.cpu") + 999) / 1000,
        .max_pages = (int)mailbus_setting_integer(runtime, "extract.max_pages"),
        .ocr = mailbus_setting_boolean(runtime, "extract.ocr"),
        .ocr_languages = mailbus_setting_text(runtime, "extract.ocr_languages"),
        .types = mailbus_setting_text(runtime, "extract.engines"),
        .libexec = "",
    };
}

/* The content of the operator's table, as far as it tells one from another. It was read before. */
static void read_table(const char *path, mailbus_buf_t *out)
{
    char part[4096];
    FILE *file = path[0] == '\0' ? NULL : fopen(path, "re");
    mailbus_buf_text(out, "");
    for (size_t size = 1; file != NULL && size > 0 && out->size < TABLE_MAX;) {
        size = fread(part, 1, sizeof part, file);
        mailbus_buf_append(out, part, size);
    }
    if (file != NULL) {
        fclose(file);
    }
}

static mailbus_code_t load_extractor(const mailbus_runtime_t *runtime, config_t *config,
                                     mailbus_error_t *error)
{
    extractor_options_t options;
    mailbus_buf_t table = MAILBUS_BUF_INIT;
    config_extractor(runtime, &options);
    mailbus_code_t code = extractor_new(&options, &config->extractor, error);
    if (code == MAILBUS_OK) {
        read_table(options.types, &table);
        code = table.failed ? mailbus_fail(error, MAILBUS_ENOMEM, "out of memory")
                            : reuse_setup(&options, extractor_engines(config->extractor),
                                          table.data, config->setup, error);
    }
    if (code == MAILBUS_OK) {
        code = choose_new(mailbus_setting_text(runtime, "extract.types"), options.ocr,
                          mailbus_setting_boolean(runtime, "extract.inline_images"),
                          &config->choose, error);
    }
    mailbus_buf_free(&table);
    config->download = (agentmail_bounds_t){
        .limit = (size_t)options.max_file,
        .timeout_ms = (long)mailbus_setting_integer(runtime, "download.timeout"),
        .least_rate = (long)mailbus_setting_integer(runtime, "download.rate"),
    };
    return code;
}

/* The folder is made where it is missing, its parents are not. */
static mailbus_code_t load_folder(const mailbus_runtime_t *runtime, config_t *config,
                                  mailbus_error_t *error)
{
    struct stat about;
    config->folder = strdup(mailbus_setting_text(runtime, "file.folder"));
    if (config->folder == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    if (config->folder[0] == '\0') {
        return MAILBUS_OK;
    }
    if (mkdir(config->folder, 0750) != 0 && errno != EEXIST) {
        return mailbus_fail(error, MAILBUS_EINVAL, "file.folder: can't make %.120s: %s",
                            config->folder, strerror(errno));
    }
    if (stat(config->folder, &about) != 0 || !S_ISDIR(about.st_mode)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "file.folder: %.120s is no folder",
                            config->folder);
    }
    return MAILBUS_OK;
}

static mailbus_code_t load_post(const mailbus_runtime_t *runtime, config_t *config,
                                mailbus_error_t *error)
{
    mailbus_error_t why = {0};
    const webhook_options_t options = {
        .url = mailbus_setting_text(runtime, "post.url"),
        .secrets = mailbus_setting_text(runtime, "post.secret"),
        .user_agent = "mailbus-extract/" MAILBUS_VERSION,
    };
    if (options.url[0] == '\0') {
        return MAILBUS_OK;
    }
    mailbus_code_t code = webhook_new(&options, &config->post, &why);
    return code == MAILBUS_OK ? code : mailbus_fail(error, code, "post: %s", why.text);
}

static mailbus_code_t load(const mailbus_runtime_t *runtime, config_t *config,
                           mailbus_error_t *error)
{
    mailbus_code_t code = check_bounds(runtime, error);
    if (code == MAILBUS_OK) {
        code = outgoing_policy_read(runtime, &config->policy, error);
    }
    if (code == MAILBUS_OK) {
        code = load_folder(runtime, config, error);
    }
    if (code == MAILBUS_OK) {
        code = load_post(runtime, config, error);
    }
    if (code == MAILBUS_OK) {
        code = load_extractor(runtime, config, error);
    }
    if (code != MAILBUS_OK) {
        return code;
    }
    config->max_attachments = mailbus_setting_integer(runtime, "extract.max_attachments");
    config->again_after_ms = mailbus_setting_integer(runtime, "extract.again_after");
    config->download_tries = mailbus_setting_integer(runtime, "download.tries");
    config->keep = (archive_keep_t){
        .keep_ms = mailbus_setting_integer(runtime, "store.keep"),
        .max_bytes = mailbus_setting_integer(runtime, "store.max_size"),
    };
    config->max_text = (size_t)mailbus_setting_integer(runtime, "output.max_text");
    config->publish = mailbus_setting_text(runtime, "publish.bind")[0] != '\0';
    config->reply = mailbus_setting_boolean(runtime, "reply.send");
    config->reply_max_text = (size_t)mailbus_setting_integer(runtime, "reply.max_text");
    config->reply_text = strdup(mailbus_setting_text(runtime, "reply.text"));
    return config->reply_text != NULL ? MAILBUS_OK
                                      : mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
}

mailbus_code_t config_load(const mailbus_runtime_t *runtime, config_t **ret_config,
                           mailbus_error_t *error)
{
    config_t *config = calloc(1, sizeof *config);
    if (config == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    mailbus_code_t code = load(runtime, config, error);
    if (code == MAILBUS_OK) {
        *ret_config = config;
        config = NULL;
    }
    config_free(config);
    return code;
}

void config_free(void *value)
{
    config_t *config = value;
    if (config == NULL) {
        return;
    }
    choose_destroy(&config->choose);
    extractor_destroy(&config->extractor);
    webhook_destroy(&config->post);
    outgoing_policy_free(&config->policy);
    free(config->folder);
    free(config->reply_text);
    free(config);
}
