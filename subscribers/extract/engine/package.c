#include "package.h"

#include <stdlib.h>
#include <zip.h>

enum { PIECE = 32768 };

struct package {
    zip_t *zip;
    uint64_t unpacked; /* so far, over all parts */
};

static engine_status_t zip_failed(int code, const char *what, mailbus_error_t *why)
{
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    engine_status_t status =
        code == ZIP_ER_MEMORY                                      ? ENGINE_MEMORY
        : code == ZIP_ER_NOPASSWD || code == ZIP_ER_WRONGPASSWD    ? ENGINE_ENCRYPTED
        : code == ZIP_ER_COMPNOTSUPP || code == ZIP_ER_ENCRNOTSUPP ? ENGINE_UNSUPPORTED
                                                                   : ENGINE_CORRUPT;
    engine_fail(why, status, "%.80s: %s", what, zip_error_strerror(&error));
    zip_error_fini(&error);
    return status;
}

engine_status_t package_open(const engine_input_t *input, package_t **ret_self,
                             mailbus_error_t *why)
{
    package_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return engine_fail(why, ENGINE_MEMORY, "out of memory");
    }
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(input->data, input->size, 0, &error);
    if (source != NULL) {
        self->zip = zip_open_from_source(source, ZIP_RDONLY, &error);
        if (self->zip == NULL) {
            zip_source_free(source);
        }
    }
    int code = zip_error_code_zip(&error);
    zip_error_fini(&error);
    if (self->zip == NULL) {
        free(self);
        return zip_failed(code, "ZIP", why);
    }
    *ret_self = self;
    return ENGINE_OK;
}

void package_close(package_t **self_p)
{
    package_t *self = *self_p;
    if (self != NULL) {
        zip_discard(self->zip);
        free(self);
    }
    *self_p = NULL;
}

bool package_has(const package_t *self, const char *name)
{
    return zip_name_locate(self->zip, name, 0) >= 0;
}

const char *package_name(const package_t *self, size_t index)
{
    return zip_get_name(self->zip, index, ZIP_FL_ENC_RAW);
}

bool package_encrypted(const package_t *self, const char *name)
{
    zip_stat_t info;
    return zip_stat(self->zip, name, 0, &info) == 0 && (info.valid & ZIP_STAT_ENCRYPTION_METHOD) &&
           info.encryption_method != ZIP_EM_NONE;
}

engine_status_t package_read(package_t *self, const char *name, package_sink_fn *sink,
                             void *context, mailbus_error_t *why)
{
    zip_file_t *part = zip_fopen(self->zip, name, 0);
    if (part == NULL) {
        return zip_failed(zip_error_code_zip(zip_get_error(self->zip)), name, why);
    }
    char piece[PIECE];
    engine_status_t status = ENGINE_OK;
    while (status == ENGINE_OK) {
        zip_int64_t size = zip_fread(part, piece, sizeof piece);
        if (size < 0) {
            status = zip_failed(zip_error_code_zip(zip_file_get_error(part)), name, why);
        }
        if (size <= 0) {
            break;
        }
        self->unpacked += (uint64_t)size;
        status = self->unpacked > PACKAGE_MAX_UNPACKED
                     ? engine_fail(why, ENGINE_TOO_LARGE, "unpacked it is larger than %llu bytes",
                                   (unsigned long long)PACKAGE_MAX_UNPACKED)
                     : sink(context, piece, (size_t)size, why);
    }
    zip_fclose(part);
    return status;
}
