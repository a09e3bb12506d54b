/* One certificate file of the key folder, read with suspicion and written whole. For keys.c. */
#ifndef MB_KEYS_FILE_H
#define MB_KEYS_FILE_H

#include <limits.h>

#include "keys.h"

#define KEYS_PATH_MAX         PATH_MAX
#define KEYS_EXTENSION        ".key"
#define KEYS_SECRET_EXTENSION ".key_secret"

typedef enum { KEYS_PUBLIC, KEYS_SECRET } keys_kind_t;

/* "<dir>/server.key" for a NULL name, else "<dir>/clients/<name>.key"; ".key_secret" for a secret.
 */
MAILBUS_MUST_USE mailbus_code_t keys_file_path(const char *dir, const char *name, keys_kind_t kind,
                                               char path[KEYS_PATH_MAX], mailbus_error_t *error);
/* Read the file, and the secret half too from a secret file: regular, small, text, mode 0600 for a
 * secret, keys that decode and belong together. */
MAILBUS_MUST_USE mailbus_code_t keys_file_load(const char *dir, const char *name, keys_kind_t kind,
                                               mb_key_pair_t *ret_pair, mailbus_error_t *error);
/* Write the file: it appears whole or not at all, and never in the place of another (EEXIST). */
MAILBUS_MUST_USE mailbus_code_t keys_file_save(const char *dir, const char *name, keys_kind_t kind,
                                               const mb_key_pair_t *pair, mailbus_error_t *error);
/* Copy a key of 40 Z85 characters (RFC 32/Z85); false where `text` (may be NULL) is none. */
bool keys_copy(const char *text, char key[MB_KEY_TEXT]);
/* Make the names in the folder of `path` durable. */
void keys_sync_folder(const char *path);
/* errno, translated, as "can't <doing> <path>: …". */
mailbus_code_t keys_system_fail(mailbus_error_t *error, const char *doing, const char *path);

#endif
