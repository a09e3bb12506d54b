/* Exit statuses of mailbus-extract-engine: what it and the extractor agree on. */
#ifndef EXTRACT_ENGINE_STATUS_H
#define EXTRACT_ENGINE_STATUS_H

typedef enum {
    ENGINE_OK = 0,
    ENGINE_ENCRYPTED = 10,
    ENGINE_CORRUPT = 11,
    ENGINE_TOO_LARGE = 12, /* what is packed inside is beyond a limit */
    ENGINE_MEMORY = 13,
    ENGINE_UNSUPPORTED = 14,
    ENGINE_IO = 15,    /* its output can't be written: nobody reads it any more */
    ENGINE_USAGE = 64, /* sysexits' EX_USAGE */
} engine_status_t;

#endif
