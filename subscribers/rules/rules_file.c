/* Text files beside the rules. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mailbus/buf.h"
#include "rules/rules_priv.h"
#include "rules/template.h"

mailbus_code_t rules_file_read(const char *path, char **ret_text, mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    char chunk[4096];
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return mailbus_fail(error, errno == ENOENT ? MAILBUS_ENOTFOUND : MAILBUS_EIO, "%s: %s",
                            path, strerror(errno));
    }
    text.limit = TEMPLATE_MAX;
    mailbus_buf_text(&text, "");
    for (size_t size; (size = fread(chunk, 1, sizeof chunk, file)) > 0;) {
        mailbus_buf_append(&text, chunk, size);
    }
    if (ferror(file)) {
        code = mailbus_fail(error, MAILBUS_EIO, "%s: %s", path, strerror(errno));
    } else if (text.failed) {
        code =
            mailbus_fail(error, MAILBUS_ETOOBIG, "%s is longer than %zu bytes", path, TEMPLATE_MAX);
    } else if (memchr(text.data, '\0', text.size) != NULL) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "%s is not text", path);
    } else {
        *ret_text = mailbus_buf_take(&text, NULL);
    }
    fclose(file);
    mailbus_buf_free(&text);
    return code;
}

mailbus_code_t rules_file_beside(const char *folder, const char *name, char **ret_text,
                                 mailbus_error_t *error)
{
    char *path = NULL;
    int size =
        name[0] == '/' ? asprintf(&path, "%s", name) : asprintf(&path, "%s/%s", folder, name);
    if (size < 0) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    mailbus_code_t code = rules_file_read(path, ret_text, error);
    free(path);
    return code;
}
