#include "tls.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One chain with its key. Old ones stay in the list until no handshake can use them. */
typedef struct pair {
    gnutls_pcert_st chain[TLS_CHAIN_MAX];
    unsigned size;
    gnutls_privkey_t key;
    int64_t retired_ms;
    struct pair *older;
} pair_t;

struct tls {
    pthread_mutex_t lock;
    pair_t *current;
};

static void free_pair(pair_t **pair_p)
{
    pair_t *pair = *pair_p;
    *pair_p = NULL;
    if (pair == NULL) {
        return;
    }
    for (unsigned i = 0; i < pair->size; i++) {
        gnutls_pcert_deinit(&pair->chain[i]);
    }
    if (pair->key != NULL) {
        gnutls_privkey_deinit(pair->key);
    }
    free(pair);
}

/* The whole of a small file; `ret->data` is the caller's, and cleansed by him. */
static mailbus_code_t read_file(const char *setting, const char *path, gnutls_datum_t *ret,
                                mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    unsigned char *data = NULL;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return mailbus_fail(error, MAILBUS_EINVAL, "%s: can't open %s: %s", setting, path,
                            strerror(errno));
    }
    data = malloc(TLS_FILE_MAX + 1);
    if (data == NULL) {
        code = mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
        goto out;
    }
    const size_t size = fread(data, 1, TLS_FILE_MAX + 1, file);
    if (ferror(file) != 0) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "%s: can't read %s", setting, path);
        goto out;
    }
    if (size == 0 || size > TLS_FILE_MAX) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "%s: %s is %s", setting, path,
                            size == 0 ? "empty" : "too large for a PEM file");
        goto out;
    }
    ret->data = data;
    ret->size = (unsigned)size;
    data = NULL;
out:
    free(data);
    fclose(file);
    return code;
}

static void free_file(gnutls_datum_t *file)
{
    if (file->data != NULL) {
        gnutls_memset(file->data, 0, file->size);
        free(file->data);
        file->data = NULL;
    }
}

/* Do the two belong together? GnuTLS checks that where it builds credentials of them. */
static mailbus_code_t check_match(const gnutls_datum_t *cert, const gnutls_datum_t *key,
                                  mailbus_error_t *error)
{
    gnutls_certificate_credentials_t credentials = NULL;
    if (gnutls_certificate_allocate_credentials(&credentials) < 0) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    const int result =
        gnutls_certificate_set_x509_key_mem(credentials, cert, key, GNUTLS_X509_FMT_PEM);
    gnutls_certificate_free_credentials(credentials);
    if (result == GNUTLS_E_CERTIFICATE_KEY_MISMATCH) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "http.tls_key is not the key of the certificate in http.tls_cert");
    }
    if (result < 0) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "http.tls_cert and http.tls_key can't be used together: %s",
                            gnutls_strerror(result));
    }
    return MAILBUS_OK;
}

static mailbus_code_t import(const gnutls_datum_t *cert, const gnutls_datum_t *key, pair_t *pair,
                             mailbus_error_t *error)
{
    unsigned size = TLS_CHAIN_MAX;
    int result =
        gnutls_pcert_list_import_x509_raw(pair->chain, &size, cert, GNUTLS_X509_FMT_PEM, 0);
    if (result < 0) {
        return mailbus_fail(error, MAILBUS_EINVAL, "http.tls_cert: no certificate chain in PEM: %s",
                            gnutls_strerror(result));
    }
    pair->size = size;
    result = gnutls_privkey_init(&pair->key);
    if (result < 0) {
        pair->key = NULL;
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    result = gnutls_privkey_import_x509_raw(pair->key, key, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (result < 0) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "http.tls_key: no key in PEM (without a passphrase): %s",
                            gnutls_strerror(result));
    }
    return check_match(cert, key, error);
}

static mailbus_code_t load(const char *cert_path, const char *key_path, pair_t **ret_pair,
                           mailbus_error_t *error)
{
    gnutls_datum_t cert = {NULL, 0};
    gnutls_datum_t key = {NULL, 0};
    pair_t *pair = NULL;
    mailbus_code_t code = read_file("http.tls_cert", cert_path, &cert, error);
    if (code == MAILBUS_OK) {
        code = read_file("http.tls_key", key_path, &key, error);
    }
    if (code != MAILBUS_OK) {
        goto out;
    }
    pair = calloc(1, sizeof *pair);
    if (pair == NULL) {
        code = mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
        goto out;
    }
    code = import(&cert, &key, pair, error);
    if (code == MAILBUS_OK) {
        *ret_pair = pair;
        pair = NULL;
    }
out:
    free_pair(&pair);
    free_file(&cert);
    free_file(&key);
    return code;
}

mailbus_code_t tls_new(const char *cert_path, const char *key_path, tls_t **ret_self,
                       mailbus_error_t *error)
{
    tls_t *self = calloc(1, sizeof *self);
    if (self == NULL || pthread_mutex_init(&self->lock, NULL) != 0) {
        free(self);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    const mailbus_code_t code = load(cert_path, key_path, &self->current, error);
    if (code != MAILBUS_OK) {
        tls_destroy(&self);
        return code;
    }
    *ret_self = self;
    return MAILBUS_OK;
}

void tls_destroy(tls_t **self_p)
{
    tls_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    while (self->current != NULL) {
        pair_t *pair = self->current;
        self->current = pair->older;
        free_pair(&pair);
    }
    pthread_mutex_destroy(&self->lock);
    free(self);
}

mailbus_code_t tls_reload(tls_t *self, const char *cert_path, const char *key_path, int64_t now_ms,
                          mailbus_error_t *error)
{
    pair_t *fresh = NULL;
    const mailbus_code_t code = load(cert_path, key_path, &fresh, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    assert(fresh != NULL);
    pthread_mutex_lock(&self->lock);
    self->current->retired_ms = now_ms;
    fresh->older = self->current;
    self->current = fresh;
    /* The list is ordered by the time of retirement: what follows one that is old enough is too. */
    pair_t **link = &fresh->older;
    while (*link != NULL && now_ms - (*link)->retired_ms < TLS_RETIRE_MS) {
        link = &(*link)->older;
    }
    pair_t *over = *link;
    *link = NULL;
    pthread_mutex_unlock(&self->lock);
    while (over != NULL) {
        pair_t *pair = over;
        over = pair->older;
        free_pair(&pair);
    }
    return MAILBUS_OK;
}

void tls_current(tls_t *self, gnutls_pcert_st **ret_chain, unsigned *ret_size,
                 gnutls_privkey_t *ret_key)
{
    pthread_mutex_lock(&self->lock);
    *ret_chain = self->current->chain;
    *ret_size = self->current->size;
    *ret_key = self->current->key;
    pthread_mutex_unlock(&self->lock);
}
