#include "reuse.h"

#include <inttypes.h>
#include <string.h>

mailbus_code_t reuse_setup(const extractor_options_t *options, const char *engines,
                           const char *table, char ret_setup[ARCHIVE_SHA256_SIZE],
                           mailbus_error_t *error)
{
    mailbus_buf_t all = MAILBUS_BUF_INIT;
    mailbus_buf_t hex = MAILBUS_BUF_INIT;
    uint8_t digest[MB_SHA256_SIZE];
    mailbus_buf_printf(
        &all, "%" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %d %d %s\n%s\n",
        options->max_file, options->max_memory, options->max_output, options->wall_ms,
        options->cpu_s, options->max_pages, options->ocr, options->ocr_languages, engines);
    mailbus_buf_text(&all, table);
    mb_sha256(all.data, all.size, digest);
    mb_hex_encode(digest, sizeof digest, &hex);
    bool good = !all.failed && !hex.failed;
    if (good) {
        memcpy(ret_setup, hex.data, ARCHIVE_SHA256_SIZE);
    }
    mailbus_buf_free(&all);
    mailbus_buf_free(&hex);
    return good ? MAILBUS_OK : mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
}

bool reuse_holds(const document_t *document, const char *setup, int64_t again_after_ms,
                 int64_t now_ms)
{
    switch (document->extraction.status) {
    case EXTRACT_OK:
        return true;
    case EXTRACT_TIMEOUT:
    case EXTRACT_MEMORY:
        return strcmp(document->setup, setup) == 0 &&
               now_ms - document->extracted_ms < again_after_ms;
    case EXTRACT_TRUNCATED:
    case EXTRACT_ENCRYPTED:
    case EXTRACT_NO_TEXT_LAYER:
    case EXTRACT_CORRUPT:
    case EXTRACT_TOO_LARGE:
    case EXTRACT_UNSUPPORTED:
        return strcmp(document->setup, setup) == 0;
    case EXTRACT_DOWNLOAD_FAILED:
        break; /* never of a document: it has no bytes */
    }
    return false;
}
