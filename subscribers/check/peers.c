#include "peers_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "httpd.h"
#include "zmq_socket.h"

/* Open at one time in one process, all workers together: a socket and the two ends of its monitor
 * for each peer of each of 256 workers (the most that the setting `workers` takes). */
enum { SOCKETS_MAX = 256 * CHECK_PEERS_MAX * 3 };

static mailbus_code_t load_keys(check_peers_t *self, peer_entry_t *entry, const char *dir,
                                const char *curve_name, mailbus_error_t *error)
{
    mb_key_pair_t server;
    mailbus_code_t code = mb_keys_load_client_public(dir, entry->name, &server, error);
    if (code == MAILBUS_OK && self->own.public_key[0] == '\0') {
        code = mb_keys_load_client(dir, curve_name, &self->own, error);
        snprintf(self->own_name, sizeof self->own_name, "%s", curve_name);
    }
    if (code == MAILBUS_OK) {
        memcpy(entry->server_key, server.public_key, sizeof entry->server_key);
    }
    return code;
}

static mailbus_code_t check_security(const peer_entry_t *entry, const char *dir,
                                     mailbus_error_t *error)
{
    if (entry->name[0] != '\0' && dir[0] == '\0') {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "send.checks: %.60s@ names a key, and bus.curve_dir is not set",
                            entry->name);
    }
    if (entry->name[0] == '\0' && dir[0] != '\0' && !mb_is_loopback(entry->endpoint)) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "send.checks: %.150s is on another machine and bus.curve_dir is set: "
                            "write NAME@%.20s…, NAME being the key of who answers",
                            entry->endpoint, entry->endpoint);
    }
    return MAILBUS_OK;
}

/* NAME@ENDPOINT; an @ behind the "://" belongs to the endpoint (ipc://@abstract). */
static mailbus_code_t read_entry(const char *text, size_t size, peer_entry_t *entry,
                                 mailbus_error_t *error)
{
    const char *at = memchr(text, '@', size);
    const char *colon = memchr(text, ':', size);
    size_t name = at != NULL && (colon == NULL || at < colon) ? (size_t)(at - text) : 0;
    size_t skip = at != NULL && (colon == NULL || at < colon) ? name + 1 : 0;
    if (skip > 0 && (name == 0 || name > MB_KEY_NAME_MAX)) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "send.checks: \"%.*s\": what stands before the @ is no key's name",
                            (int)(size < 100 ? size : 100), text);
    }
    if (size - skip == 0 || size - skip >= sizeof entry->endpoint) {
        return mailbus_fail(error, MAILBUS_EINVAL, "send.checks: \"%.*s\" is no endpoint",
                            (int)(size < 100 ? size : 100), text);
    }
    snprintf(entry->name, sizeof entry->name, "%.*s", (int)name, text);
    snprintf(entry->endpoint, sizeof entry->endpoint, "%.*s", (int)(size - skip), text + skip);
    return MAILBUS_OK;
}

static mailbus_code_t add_entry(check_peers_t *self, const char *text, size_t size, const char *dir,
                                const char *curve_name, mailbus_error_t *error)
{
    if (self->count == CHECK_PEERS_MAX) {
        return mailbus_fail(error, MAILBUS_EINVAL, "send.checks: more than %d entries",
                            CHECK_PEERS_MAX);
    }
    peer_entry_t *entry = &self->entries[self->count];
    mailbus_code_t code = read_entry(text, size, entry, error);
    for (size_t i = 0; code == MAILBUS_OK && i < self->count; i++) {
        if (strcmp(self->entries[i].endpoint, entry->endpoint) == 0) {
            code = mailbus_fail(error, MAILBUS_EINVAL, "send.checks: %.150s stands there twice",
                                entry->endpoint);
        }
    }
    if (code == MAILBUS_OK) {
        code = check_security(entry, dir, error);
    }
    if (code == MAILBUS_OK && entry->name[0] != '\0') {
        code = load_keys(self, entry, dir, curve_name, error);
    }
    if (code != MAILBUS_OK) {
        return code;
    }
    /* Whether it is an endpoint at all, libzmq says best. Nobody has to be there. */
    void *socket = NULL;
    code = check_peer_socket(self, entry, &socket, error);
    if (code == MAILBUS_OK) {
        mailbus_error_t why = {.code = MAILBUS_OK};
        code = mb_socket_connect(socket, entry->endpoint, &why);
        if (code != MAILBUS_OK) {
            mailbus_fail(error, code, "send.checks: %.240s", why.text);
        }
    }
    mb_socket_close(&socket);
    if (code == MAILBUS_OK) {
        self->count++;
    }
    return code;
}

mailbus_code_t check_peers_new(const char *entries, const char *curve_dir, const char *curve_name,
                               check_peers_t **ret_self, mailbus_error_t *error)
{
    static const char blanks[] = " \t\r\n";
    check_peers_t *self = calloc(1, sizeof *self);
    if (self == NULL || (self->context = zmq_ctx_new()) == NULL) {
        free(self);
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for the checks");
    }
    zmq_ctx_set(self->context, ZMQ_MAX_SOCKETS, SOCKETS_MAX);
    mailbus_code_t code = MAILBUS_OK;
    for (const char *at = entries + strspn(entries, blanks); code == MAILBUS_OK && *at != '\0';) {
        size_t size = strcspn(at, blanks);
        code = add_entry(self, at, size, curve_dir, curve_name, error);
        at += size;
        at += strspn(at, blanks);
    }
    if (code == MAILBUS_OK) {
        *ret_self = self;
    } else {
        check_peers_destroy(&self);
    }
    return code;
}

void check_peers_destroy(check_peers_t **self_p)
{
    check_peers_t *self = *self_p;
    *self_p = NULL;
    if (self != NULL) {
        zmq_ctx_term(self->context);
        explicit_bzero(&self->own, sizeof self->own);
        free(self);
    }
}

size_t check_peers_count(const check_peers_t *self)
{
    return self->count;
}

const char *check_peers_label(const check_peers_t *self, size_t index)
{
    const peer_entry_t *entry = &self->entries[index];
    return entry->name[0] != '\0' ? entry->name : entry->endpoint;
}
