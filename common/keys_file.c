#include "keys_file.h"

#include <assert.h>
#include <czmq.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PUBLIC_MODE = 0644,
    SECRET_MODE = 0600,
    TEXT_SIZE = MB_KEY_FILE_MAX + 2, /* one byte more than allowed, and the NUL */
};

mailbus_code_t keys_system_fail(mailbus_error_t *error, const char *doing, const char *path)
{
    mailbus_code_t code = MAILBUS_EIO;
    switch (errno) {
    case ENOENT:
    case ENOTDIR:
        code = MAILBUS_ENOTFOUND;
        break;
    case EEXIST:
        code = MAILBUS_EEXIST;
        break;
    case EACCES:
    case EPERM:
    case EROFS:
        code = MAILBUS_EACCESS;
        break;
    case ENOSPC:
    case EDQUOT:
        code = MAILBUS_EFULL;
        break;
    default:
        break;
    }
    return mailbus_fail(error, code, "can't %s %s: %s", doing, path, strerror(errno));
}

/* "<dir>/server.key" for a NULL name, else "<dir>/clients/<name>.key"; with .key_secret. */
mailbus_code_t keys_file_path(const char *dir, const char *name, keys_kind_t kind,
                              char path[KEYS_PATH_MAX], mailbus_error_t *error)
{
    if (dir[0] == '\0') {
        return mailbus_fail(error, MAILBUS_EINVAL, "no key folder is set (bus.curve_dir)");
    }
    int size = name == NULL
                   ? snprintf(path, KEYS_PATH_MAX, "%s/server%s", dir,
                              kind == KEYS_SECRET ? KEYS_SECRET_EXTENSION : KEYS_EXTENSION)
                   : snprintf(path, KEYS_PATH_MAX, "%s/clients/%s%s", dir, name,
                              kind == KEYS_SECRET ? KEYS_SECRET_EXTENSION : KEYS_EXTENSION);
    if (size < 0 || size >= KEYS_PATH_MAX - 32) { /* room for the temporary file's suffix */
        return mailbus_fail(error, MAILBUS_ETOOBIG, "the path of the key folder is too long");
    }
    return MAILBUS_OK;
}

/* Read a small regular file into `text`. */
static mailbus_code_t read_file(const char *path, keys_kind_t kind, char text[TEXT_SIZE],
                                mailbus_error_t *error)
{
    /* Non-blocking: a FIFO in its place must not stop us. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return keys_system_fail(error, "open", path);
    }
    mailbus_code_t code = MAILBUS_OK;
    struct stat status;
    size_t size = 0;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "%s is no regular file", path);
    } else if (kind == KEYS_SECRET && (status.st_mode & 077) != 0) {
        code = mailbus_fail(error, MAILBUS_EACCESS,
                            "%s holds a secret and is open to others: chmod 600 it", path);
    }
    while (code == MAILBUS_OK && size < TEXT_SIZE - 1) {
        ssize_t got = read(fd, text + size, TEXT_SIZE - 1 - size);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            code = keys_system_fail(error, "read", path);
        }
        if (got <= 0) {
            break;
        }
        size += (size_t)got;
    }
    close(fd);
    if (code == MAILBUS_OK && size > MB_KEY_FILE_MAX) {
        code = mailbus_fail(error, MAILBUS_ETOOBIG, "%s has more than %d bytes: no key file", path,
                            MB_KEY_FILE_MAX);
    }
    if (code == MAILBUS_OK) {
        text[size] = '\0';
        for (size_t i = 0; i < size && code == MAILBUS_OK; i++) {
            unsigned char c = (unsigned char)text[i];
            if (c == 0x7f || (c < ' ' && c != '\n' && c != '\r' && c != '\t')) {
                code = mailbus_fail(error, MAILBUS_EINVAL, "%s is no key file: byte %zu is %u",
                                    path, i, c);
            }
        }
    }
    return code;
}

/* Copy a Z85 key of 32 bytes (RFC 32/Z85). */
bool keys_copy(const char *text, char key[MB_KEY_TEXT])
{
    uint8_t binary[32];
    if (text == NULL || strlen(text) != MB_KEY_TEXT - 1 || zmq_z85_decode(binary, text) == NULL) {
        return false;
    }
    memcpy(key, text, MB_KEY_TEXT);
    return true;
}

static mailbus_code_t parse_pair(const char *path, const char *text, keys_kind_t kind,
                                 mb_key_pair_t *ret_pair, mailbus_error_t *error)
{
    mb_key_pair_t pair = {.secret_key = ""};
    mailbus_code_t code = MAILBUS_OK;
    zconfig_t *config = zconfig_str_load(text);
    if (config == NULL ||
        !keys_copy(zconfig_get(config, "/curve/public-key", NULL), pair.public_key)) {
        code = mailbus_fail(error, MAILBUS_EINVAL,
                            "%s is no key file: it has no curve/public-key of 40 Z85 characters",
                            path);
    } else if (kind == KEYS_SECRET) {
        char expected[MB_KEY_TEXT];
        if (!keys_copy(zconfig_get(config, "/curve/secret-key", NULL), pair.secret_key)) {
            code = mailbus_fail(
                error, MAILBUS_EINVAL,
                "%s is no secret key file: it has no curve/secret-key of 40 Z85 characters", path);
        } else if (zmq_curve_public(expected, pair.secret_key) != 0 ||
                   strcmp(expected, pair.public_key) != 0) {
            code =
                mailbus_fail(error, MAILBUS_EINVAL,
                             "%s holds a public and a secret key that don't belong together", path);
        }
    }
    zconfig_destroy(&config);
    if (code == MAILBUS_OK) {
        *ret_pair = pair;
    }
    return code;
}

mailbus_code_t keys_file_load(const char *dir, const char *name, keys_kind_t kind,
                              mb_key_pair_t *ret_pair, mailbus_error_t *error)
{
    char path[KEYS_PATH_MAX];
    char text[TEXT_SIZE];
    mailbus_code_t code = keys_file_path(dir, name, kind, path, error);
    if (code == MAILBUS_OK) {
        code = read_file(path, kind, text, error);
    }
    if (code == MAILBUS_OK) {
        code = parse_pair(path, text, kind, ret_pair, error);
    }
    explicit_bzero(text, sizeof text);
    return code;
}

/* Make the names in the folder of `path` durable. */
void keys_sync_folder(const char *path)
{
    char folder[KEYS_PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    assert(slash != NULL);
    *slash = '\0';
    int fd = open(folder[0] != '\0' ? folder : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd); /* the file is whole either way; a lost name is made again */
        close(fd);
    }
}

static mailbus_code_t write_all(int fd, const char *path, const char *data, size_t size,
                                mode_t mode, mailbus_error_t *error)
{
    while (size > 0) {
        ssize_t put = write(fd, data, size);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return keys_system_fail(error, "write", path);
        }
        data += put;
        size -= (size_t)put;
    }
    if (fchmod(fd, mode) != 0 || fsync(fd) != 0) {
        return keys_system_fail(error, "write", path);
    }
    return MAILBUS_OK;
}

/* A file appears whole or not at all, and never in the place of another: EEXIST. */
static mailbus_code_t write_file(const char *path, const mailbus_buf_t *text, mode_t mode,
                                 mailbus_error_t *error)
{
    if (text->failed) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    char temporary[KEYS_PATH_MAX + 8];
    snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    int fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 from the first moment */
    if (fd < 0) {
        return keys_system_fail(error, "make", path);
    }
    mailbus_code_t code = write_all(fd, path, text->data, text->size, mode, error);
    close(fd);
    if (code == MAILBUS_OK && link(temporary, path) != 0) { /* rename would replace */
        code = keys_system_fail(error, "make", path);
    }
    unlink(temporary);
    if (code == MAILBUS_OK) {
        keys_sync_folder(path);
    }
    return code;
}

mailbus_code_t keys_file_save(const char *dir, const char *name, keys_kind_t kind,
                              const mb_key_pair_t *pair, mailbus_error_t *error)
{
    char path[KEYS_PATH_MAX];
    mailbus_code_t code = keys_file_path(dir, name, kind, path, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    mailbus_buf_text(&text, kind == KEYS_SECRET
                                ? "#   ZeroMQ CURVE **Secret** Certificate\n"
                                  "#   DO NOT PROVIDE THIS FILE TO OTHER USERS nor change its "
                                  "permissions.\n\n"
                                : "#   ZeroMQ CURVE Public Certificate\n"
                                  "#   Exchange securely, or use a secure mechanism to verify the "
                                  "contents.\n\n");
    mailbus_buf_printf(&text, "metadata\n    name = \"%s\"\n", name != NULL ? name : "server");
    mailbus_buf_printf(&text, "curve\n    public-key = \"%s\"\n", pair->public_key);
    if (kind == KEYS_SECRET) {
        mailbus_buf_printf(&text, "    secret-key = \"%s\"\n", pair->secret_key);
    }
    code = write_file(path, &text, kind == KEYS_SECRET ? SECRET_MODE : PUBLIC_MODE, error);
    if (text.data != NULL) {
        explicit_bzero(text.data, text.size);
    }
    mailbus_buf_free(&text);
    return code;
}
