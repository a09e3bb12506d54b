#include "keys.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "keys_file.h"

enum {
    CLIENTS_MAX = 10000, /* files in clients/ that we are willing to read */
    FOLDER_MODE = 0700,
};

bool mb_key_name_valid(const char *name)
{
    size_t size = strlen(name);
    return size > 0 && size <= MB_KEY_NAME_MAX && isalnum((unsigned char)name[0]) != 0 &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
               size;
}

static mailbus_code_t check_name(const char *name, mailbus_error_t *error)
{
    if (!mb_key_name_valid(name)) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "a key's name is made of letters, digits, '.', '_' and '-', begins "
                            "with a letter or digit, and has at most %d bytes",
                            MB_KEY_NAME_MAX);
    }
    return MAILBUS_OK;
}

mailbus_code_t mb_keys_load_server(const char *dir, mb_key_pair_t *ret_pair, mailbus_error_t *error)
{
    return keys_file_load(dir, NULL, KEYS_SECRET, ret_pair, error);
}

mailbus_code_t mb_keys_load_server_public(const char *dir, mb_key_pair_t *ret_pair,
                                          mailbus_error_t *error)
{
    return keys_file_load(dir, NULL, KEYS_PUBLIC, ret_pair, error);
}

mailbus_code_t mb_keys_load_client(const char *dir, const char *name, mb_key_pair_t *ret_pair,
                                   mailbus_error_t *error)
{
    mailbus_code_t code = check_name(name, error);
    return code != MAILBUS_OK ? code : keys_file_load(dir, name, KEYS_SECRET, ret_pair, error);
}

mailbus_code_t mb_keys_load_client_public(const char *dir, const char *name,
                                          mb_key_pair_t *ret_pair, mailbus_error_t *error)
{
    mailbus_code_t code = check_name(name, error);
    return code != MAILBUS_OK ? code : keys_file_load(dir, name, KEYS_PUBLIC, ret_pair, error);
}

static void take_away(const char *dir, const char *name, keys_kind_t kind)
{
    char path[KEYS_PATH_MAX];
    if (keys_file_path(dir, name, kind, path, NULL) == MAILBUS_OK && unlink(path) == 0) {
        keys_sync_folder(path);
    }
}

static bool exists(const char *dir, const char *name, keys_kind_t kind)
{
    char path[KEYS_PATH_MAX];
    struct stat status;
    return keys_file_path(dir, name, kind, path, NULL) == MAILBUS_OK && lstat(path, &status) == 0;
}

static mailbus_code_t make_folders(const char *dir, mailbus_error_t *error)
{
    char path[KEYS_PATH_MAX];
    int size = snprintf(path, sizeof path, "%s/clients", dir);
    if (dir[0] == '\0' || size < 0 || size >= KEYS_PATH_MAX) {
        return mailbus_fail(error, MAILBUS_EINVAL, "no path for the key folder (bus.curve_dir)");
    }
    for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash != NULL) {
            *slash = '\0';
        }
        if (mkdir(path, FOLDER_MODE) != 0 && errno != EEXIST) {
            return keys_system_fail(error, "make the folder", path);
        }
        if (slash == NULL) {
            return MAILBUS_OK;
        }
        *slash = '/';
    }
}

/* A pair is written secret half first: nobody is let in whose secret was lost. */
static mailbus_code_t make_pair(const char *dir, const char *name, mailbus_error_t *error)
{
    mb_key_pair_t pair;
    if (zmq_curve_keypair(pair.public_key, pair.secret_key) != 0) {
        return mailbus_fail(error, MAILBUS_EIO, "can't make a key pair: %s",
                            zmq_strerror(zmq_errno()));
    }
    mailbus_code_t code = keys_file_save(dir, name, KEYS_SECRET, &pair, error);
    if (code == MAILBUS_OK) {
        code = keys_file_save(dir, name, KEYS_PUBLIC, &pair, error);
        if (code != MAILBUS_OK) {
            take_away(dir, name, KEYS_SECRET);
        }
    }
    explicit_bzero(&pair, sizeof pair);
    return code;
}

static mailbus_code_t make_server(const char *dir, mailbus_error_t *error)
{
    if (!exists(dir, NULL, KEYS_SECRET)) {
        if (exists(dir, NULL, KEYS_PUBLIC)) {
            return mailbus_fail(error, MAILBUS_EINVAL,
                                "%s has server.key without its secret: this is a client's copy of "
                                "the folder; make keys where the gateway runs",
                                dir);
        }
        return make_pair(dir, NULL, error);
    }
    mb_key_pair_t pair;
    mailbus_code_t code = mb_keys_load_server(dir, &pair, error);
    if (code == MAILBUS_OK && !exists(dir, NULL, KEYS_PUBLIC)) {
        code = keys_file_save(dir, NULL, KEYS_PUBLIC, &pair, error);
    }
    explicit_bzero(&pair, sizeof pair);
    return code;
}

static mailbus_code_t check_free(const char *dir, const char *name, mailbus_error_t *error)
{
    if (exists(dir, name, KEYS_PUBLIC) || exists(dir, name, KEYS_SECRET)) {
        return mailbus_fail(error, MAILBUS_EEXIST, "there is a key named %s in %s already", name,
                            dir);
    }
    return MAILBUS_OK;
}

mailbus_code_t mb_keys_new(const char *dir, const char *name, mailbus_error_t *error)
{
    mailbus_code_t code = check_name(name, error);
    if (code == MAILBUS_OK) {
        code = make_folders(dir, error);
    }
    if (code == MAILBUS_OK) {
        code = check_free(dir, name, error);
    }
    if (code == MAILBUS_OK) {
        code = make_server(dir, error);
    }
    return code != MAILBUS_OK ? code : make_pair(dir, name, error);
}

mailbus_code_t mb_keys_allow(const char *dir, const char *name, const char *public_key,
                             mailbus_error_t *error)
{
    mb_key_pair_t pair = {.secret_key = ""};
    mb_key_client_t *clients = NULL;
    size_t count = 0;
    mailbus_code_t code = check_name(name, error);
    if (code == MAILBUS_OK && !keys_copy(public_key, pair.public_key)) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "a public key is 40 characters of Z85");
    }
    if (code == MAILBUS_OK) {
        code = make_folders(dir, error);
    }
    if (code == MAILBUS_OK) {
        code = check_free(dir, name, error);
    }
    if (code == MAILBUS_OK) {
        code = mb_keys_list(dir, &clients, &count, error);
    }
    for (size_t i = 0; i < count && code == MAILBUS_OK; i++) {
        if (strcmp(clients[i].public_key, pair.public_key) == 0) {
            /* Under two names, revoking one would change nothing. */
            code = mailbus_fail(error, MAILBUS_EEXIST, "this key is let in already, as %s",
                                clients[i].name);
        }
    }
    free(clients);
    return code != MAILBUS_OK ? code : keys_file_save(dir, name, KEYS_PUBLIC, &pair, error);
}

mailbus_code_t mb_keys_revoke(const char *dir, const char *name, mailbus_error_t *error)
{
    char path[KEYS_PATH_MAX];
    mailbus_code_t code = check_name(name, error);
    if (code == MAILBUS_OK) {
        code = keys_file_path(dir, name, KEYS_PUBLIC, path, error);
    }
    if (code != MAILBUS_OK) {
        return code;
    }
    if (unlink(path) != 0) {
        if (errno == ENOENT) {
            return mailbus_fail(error, MAILBUS_ENOTFOUND, "there is no key named %s in %s", name,
                                dir);
        }
        return keys_system_fail(error, "remove", path);
    }
    keys_sync_folder(path);
    take_away(dir, name, KEYS_SECRET);
    return MAILBUS_OK;
}

/* The name in "<name>.key"; false for a file of another kind. */
static bool client_name(const char *file, char *name, size_t size)
{
    size_t length = strlen(file);
    size_t suffix = strlen(KEYS_EXTENSION);
    if (length <= suffix || strcmp(file + length - suffix, KEYS_EXTENSION) != 0) {
        return false;
    }
    snprintf(name, size, "%.*s", (int)(length - suffix), file);
    return true;
}

static mailbus_code_t read_client(const char *dir, const char *name, mb_key_client_t *ret_client,
                                  mailbus_error_t *error)
{
    mb_key_pair_t pair;
    if (!mb_key_name_valid(name)) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "%s/clients holds a file whose name is no key's name: \"%.80s.key\"",
                            dir, name);
    }
    mailbus_code_t code = keys_file_load(dir, name, KEYS_PUBLIC, &pair, error);
    if (code == MAILBUS_OK) {
        memcpy(ret_client->name, name, strlen(name) + 1);
        memcpy(ret_client->public_key, pair.public_key, sizeof pair.public_key);
    }
    return code;
}

static int compare_clients(const void *a, const void *b)
{
    return strcmp(((const mb_key_client_t *)a)->name, ((const mb_key_client_t *)b)->name);
}

/* The list while it grows. */
typedef struct {
    mb_key_client_t *clients;
    size_t count, capacity;
} growing_t;

static mailbus_code_t grow(growing_t *list, mailbus_error_t *error)
{
    if (list->count < list->capacity) {
        return MAILBUS_OK;
    }
    if (list->count == CLIENTS_MAX) {
        return mailbus_fail(error, MAILBUS_ETOOBIG, "more than %d client keys", CLIENTS_MAX);
    }
    size_t capacity = list->capacity == 0 ? 16 : 2 * list->capacity;
    capacity = capacity < CLIENTS_MAX ? capacity : CLIENTS_MAX;
    mb_key_client_t *clients = reallocarray(list->clients, capacity, sizeof *clients);
    if (clients == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    list->clients = clients;
    list->capacity = capacity;
    return MAILBUS_OK;
}

mailbus_code_t mb_keys_list(const char *dir, mb_key_client_t **ret_clients, size_t *ret_count,
                            mailbus_error_t *error)
{
    char path[KEYS_PATH_MAX];
    if (dir[0] == '\0') {
        return mailbus_fail(error, MAILBUS_EINVAL, "no key folder is set (bus.curve_dir)");
    }
    snprintf(path, sizeof path, "%s/clients", dir);
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return keys_system_fail(error, "read the folder", path);
    }
    growing_t list = {NULL, 0, 0};
    mailbus_code_t code = MAILBUS_OK;
    for (struct dirent *entry; code == MAILBUS_OK && (entry = readdir(folder)) != NULL;) {
        char name[NAME_MAX + 1];
        if (!client_name(entry->d_name, name, sizeof name)) {
            continue;
        }
        code = grow(&list, error);
        if (code == MAILBUS_OK) {
            code = read_client(dir, name, &list.clients[list.count], error);
            list.count++;
        }
    }
    closedir(folder);
    if (code != MAILBUS_OK) {
        free(list.clients);
        return code;
    }
    if (list.clients != NULL) {
        qsort(list.clients, list.count, sizeof *list.clients, compare_clients);
    }
    *ret_clients = list.clients;
    *ret_count = list.count;
    return MAILBUS_OK;
}
