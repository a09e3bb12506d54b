#include "output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "encoding.h"

enum {
    EVENT_MAX = 80,    /* bytes of an event id that goes into a name as it is */
    SHA256_SHOWN = 16, /* digits of the digest: to tell files apart for people */
    MODE = 0640,       /* mail is nobody's business; the group may be a consumer's */
};

/* --- the name -----------------------------------------------------------------------------------
 */

static bool is_plain(const char *id)
{
    static const char characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789._-";
    size_t size = strlen(id);
    return size > 0 && size <= EVENT_MAX && id[0] != '.' && id[0] != '-' &&
           strspn(id, characters) == size;
}

void output_file_name(const char *event_id, int place, const char *sha256,
                      char name[OUTPUT_FILE_NAME_MAX])
{
    char hashed[2 * MB_SHA256_SIZE + 8];
    if (!is_plain(event_id)) {
        uint8_t digest[MB_SHA256_SIZE];
        int used = snprintf(hashed, sizeof hashed, "sha256-");
        mb_sha256(event_id, strlen(event_id), digest);
        for (size_t i = 0; i < sizeof digest; i++) {
            used += snprintf(hashed + used, sizeof hashed - (size_t)used, "%02x", digest[i]);
        }
        event_id = hashed;
    }
    snprintf(name, OUTPUT_FILE_NAME_MAX, "%s-%d-%.*s.txt", event_id, place, SHA256_SHOWN, sha256);
}

/* --- the file -----------------------------------------------------------------------------------
 */

static mailbus_code_t fail(mailbus_error_t *error, const char *doing, const char *folder)
{
    int why = errno;
    mailbus_code_t code = why == ENOENT || why == ENOTDIR                  ? MAILBUS_ENOTFOUND
                          : why == ENOSPC || why == EDQUOT || why == EFBIG ? MAILBUS_EFULL
                          : why == EACCES || why == EPERM || why == EROFS  ? MAILBUS_EACCESS
                                                                           : MAILBUS_EIO;
    return mailbus_fail(error, code, "can't %s in %.120s: %s", doing, folder, strerror(why));
}

static bool write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, data, size);
        if (written < 0 && errno != EINTR) {
            return false;
        }
        if (written > 0) {
            data += written;
            size -= (size_t)written;
        }
    }
    return true;
}

/* ".<name>.part" */
static void first_name(const char *name, char out[OUTPUT_FILE_NAME_MAX + 8])
{
    snprintf(out, OUTPUT_FILE_NAME_MAX + 8, ".%s.part", name);
}

mailbus_code_t output_file_write(const char *folder, const char *name, const void *data,
                                 size_t size, mailbus_error_t *error)
{
    char part[OUTPUT_FILE_NAME_MAX + 8];
    mailbus_code_t code = MAILBUS_OK;
    int file = -1;
    int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        return fail(error, "write", folder);
    }
    first_name(name, part);
    /* One that a crash left is only ours: it is written anew. Whatever else stands there goes. */
    if (unlinkat(dir, part, 0) != 0 && errno != ENOENT) {
        code = fail(error, "write", folder);
        goto out;
    }
    file = openat(dir, part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, MODE);
    if (file < 0 || !write_all(file, data, size) || fsync(file) != 0 || fsync(dir) != 0) {
        code = fail(error, "write", folder);
        (void)unlinkat(dir, part, 0);
    }
out:
    if (file >= 0) {
        close(file);
    }
    close(dir);
    return code;
}

mailbus_code_t output_file_place(const char *folder, const char *name, mailbus_error_t *error)
{
    char part[OUTPUT_FILE_NAME_MAX + 8];
    mailbus_code_t code = MAILBUS_OK;
    int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        return fail(error, "name a file", folder);
    }
    first_name(name, part);
    if (renameat(dir, part, dir, name) != 0 && errno != ENOENT) {
        code = fail(error, "name a file", folder);
    } else if (fsync(dir) != 0) {
        code = fail(error, "name a file", folder);
    }
    close(dir);
    return code;
}
