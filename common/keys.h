/* The key folder of CURVE (RFC 26/CURVEZMQ), in czmq's certificate file format:
 *   server.key               the gateway's public key, for everybody
 *   server.key_secret        its secret, mode 0600, for the gateway alone
 *   clients/<name>.key       a client that is let in
 *   clients/<name>.key_secret  the pair to hand over to that client
 * A client's copy of the folder holds server.key and clients/<name>.key_secret. */
#ifndef MB_KEYS_H
#define MB_KEYS_H

#include "mailbus/buf.h"

#define MB_KEY_TEXT     41 /* a Z85 key with its NUL */
#define MB_KEY_NAME_MAX 64
#define MB_KEY_FILE_MAX 4096 /* bytes of a certificate file we are willing to read */

typedef struct {
    char public_key[MB_KEY_TEXT];
    char secret_key[MB_KEY_TEXT]; /* "" where only the public half is known */
} mb_key_pair_t;

/* [A-Za-z0-9][A-Za-z0-9._-]*, at most MB_KEY_NAME_MAX. */
bool mb_key_name_valid(const char *name);
/* EACCESS where a secret file can be read by group or others. */
MAILBUS_MUST_USE mailbus_code_t mb_keys_load_server(const char *dir, mb_key_pair_t *ret_pair,
                                                    mailbus_error_t *error);
MAILBUS_MUST_USE mailbus_code_t mb_keys_load_server_public(const char *dir, mb_key_pair_t *ret_pair,
                                                           mailbus_error_t *error);
MAILBUS_MUST_USE mailbus_code_t mb_keys_load_client(const char *dir, const char *name,
                                                    mb_key_pair_t *ret_pair,
                                                    mailbus_error_t *error);
/* The public half of one that is in the allow-list: of a program that is asked (check protocol). */
MAILBUS_MUST_USE mailbus_code_t mb_keys_load_client_public(const char *dir, const char *name,
                                                           mb_key_pair_t *ret_pair,
                                                           mailbus_error_t *error);
/* Make a client's pair (EEXIST where the name is taken) and the server's where it is missing. */
MAILBUS_MUST_USE mailbus_code_t mb_keys_new(const char *dir, const char *name,
                                            mailbus_error_t *error);
/* Let a public key in that was made elsewhere. */
MAILBUS_MUST_USE mailbus_code_t mb_keys_allow(const char *dir, const char *name,
                                              const char *public_key, mailbus_error_t *error);
/* Take clients/<name>.key (and its .key_secret) away. ENOTFOUND where there is none. */
MAILBUS_MUST_USE mailbus_code_t mb_keys_revoke(const char *dir, const char *name,
                                               mailbus_error_t *error);

/* The allow-list: all of clients/ with an extension .key, sorted by name. A file that can't be read
 * as a certificate is an error that names it: a typo must not lock everybody out silently, or let
 * anybody in. */
typedef struct {
    char name[MB_KEY_NAME_MAX + 1];
    char public_key[MB_KEY_TEXT];
} mb_key_client_t;
MAILBUS_MUST_USE mailbus_code_t mb_keys_list(const char *dir, mb_key_client_t **ret_clients,
                                             size_t *ret_count, mailbus_error_t *error);

#endif
