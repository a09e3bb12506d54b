/* The certificate of the ingest listener, replaceable while connections use the old one. */
#ifndef GATEWAY_TLS_H
#define GATEWAY_TLS_H

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <stdint.h>

#include "mailbus/error.h"

typedef struct tls tls_t;

#define TLS_CHAIN_MAX 16                   /* certificates in a chain; real ones have two to four */
#define TLS_FILE_MAX  ((size_t)256 * 1024) /* bytes of a PEM file we are willing to read */
/* A handshake lives at most this long (the request's deadline covers it); after that nothing points
 * to an old certificate any more. */
#define TLS_RETIRE_MS 60000

/* Read a PEM chain and its key. EINVAL: what is wrong with which file (unreadable, no certificate,
 * the key is another certificate's). */
MAILBUS_MUST_USE mailbus_code_t tls_new(const char *cert_path, const char *key_path,
                                        tls_t **ret_self, mailbus_error_t *error);
void tls_destroy(tls_t **self_p);
/* Read the files again; handshakes that begin from now on get them. On failure the old ones stay.
 * now_ms: monotonic. */
MAILBUS_MUST_USE mailbus_code_t tls_reload(tls_t *self, const char *cert_path, const char *key_path,
                                           int64_t now_ms, mailbus_error_t *error);
/* What GnuTLS asks for in a handshake; the arrays are lent for TLS_RETIRE_MS. Any thread. */
void tls_current(tls_t *self, gnutls_pcert_st **ret_chain, unsigned *ret_size,
                 gnutls_privkey_t *ret_key);

#endif
