#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include <czmq.h>

#include <cmocka.h>

#include "folder.h"
#include "keys.h"

static int set_up(void **state)
{
    *state = folder_make();
    return 0;
}

static int tear_down(void **state)
{
    char *folder = *state;
    folder_remove(&folder);
    return 0;
}

static unsigned mode_of(const char *folder, const char *name)
{
    char path[600];
    struct stat status;
    assert_int_equal(lstat(folder_path(folder, name, path, sizeof path), &status), 0);
    return status.st_mode & 0777;
}

static size_t count_keys(const char *folder)
{
    mb_key_client_t *clients = NULL;
    size_t count = 99;
    assert_int_equal(mb_keys_list(folder, &clients, &count, NULL), MAILBUS_OK);
    free(clients);
    return count;
}

static void test_names_can_not_leave_the_folder(void **state)
{
    const char *folder = *state;
    static const char *const bad[] = {"",         ".",   "..",  ".x",      "../x",
                                      "a/b",      "-rf", "a b", "a\nb",    "a\\",
                                      "\xc3\xa4", "a*",  "_x",  "a\x1b[m", "a:b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mb_key_pair_t pair;
        assert_false(mb_key_name_valid(bad[i]));
        assert_int_equal(mb_keys_new(folder, bad[i], NULL), MAILBUS_EINVAL);
        assert_int_equal(mb_keys_revoke(folder, bad[i], NULL), MAILBUS_EINVAL);
        assert_int_equal(mb_keys_load_client(folder, bad[i], &pair, NULL), MAILBUS_EINVAL);
        assert_int_equal(mb_keys_allow(folder, bad[i], "", NULL), MAILBUS_EINVAL);
    }
    char name[MB_KEY_NAME_MAX + 2];
    memset(name, 'a', sizeof name);
    name[MB_KEY_NAME_MAX + 1] = '\0';
    assert_false(mb_key_name_valid(name));
    name[MB_KEY_NAME_MAX] = '\0';
    assert_true(mb_key_name_valid(name));
    assert_true(mb_key_name_valid("Auto-reply_2.eu"));
    assert_int_equal(mb_keys_new(folder, name, NULL), MAILBUS_OK);
}

static void test_new_makes_both_pairs_with_private_secrets(void **state)
{
    const char *folder = *state;
    mb_key_pair_t server;
    mb_key_pair_t server_public;
    mb_key_pair_t client;
    assert_int_equal(mb_keys_new(folder, "alice", NULL), MAILBUS_OK);
    assert_int_equal(mode_of(folder, "server.key_secret"), 0600);
    assert_int_equal(mode_of(folder, "clients/alice.key_secret"), 0600);
    assert_int_equal(mode_of(folder, "server.key"), 0644);
    assert_int_equal(mb_keys_load_server(folder, &server, NULL), MAILBUS_OK);
    assert_int_equal(mb_keys_load_server_public(folder, &server_public, NULL), MAILBUS_OK);
    assert_string_equal(server.public_key, server_public.public_key);
    assert_string_equal(server_public.secret_key, "");
    assert_int_equal(mb_keys_load_client(folder, "alice", &client, NULL), MAILBUS_OK);
    assert_string_not_equal(client.secret_key, server.secret_key);
    /* A second client keeps the server's pair. */
    assert_int_equal(mb_keys_new(folder, "bob", NULL), MAILBUS_OK);
    assert_int_equal(mb_keys_load_server(folder, &server_public, NULL), MAILBUS_OK);
    assert_string_equal(server.secret_key, server_public.secret_key);
    assert_int_equal(count_keys(folder), 2);
}

static void test_files_are_certificates_to_czmq(void **state)
{
    char path[600];
    const char *folder = *state;
    mb_key_pair_t client;
    assert_int_equal(mb_keys_new(folder, "alice", NULL), MAILBUS_OK);
    assert_int_equal(mb_keys_load_client(folder, "alice", &client, NULL), MAILBUS_OK);
    zcert_t *cert = zcert_load(folder_path(folder, "clients/alice.key", path, sizeof path));
    assert_non_null(cert);
    assert_string_equal(zcert_public_txt(cert), client.public_key);
    assert_string_equal(zcert_secret_txt(cert), client.secret_key);
    zcert_destroy(&cert);
    /* and the other way round */
    cert = zcert_new();
    zcert_set_meta(cert, "email", "x@example.com");
    assert_int_equal(zcert_save(cert, folder_path(folder, "clients/carol.key", path, sizeof path)),
                     0);
    assert_int_equal(mb_keys_load_client(folder, "carol", &client, NULL), MAILBUS_OK);
    assert_string_equal(zcert_secret_txt(cert), client.secret_key);
    zcert_destroy(&cert);
    assert_int_equal(count_keys(folder), 2);
}

static void test_taken_name_changes_nothing(void **state)
{
    const char *folder = *state;
    mb_key_pair_t before;
    mb_key_pair_t after;
    assert_int_equal(mb_keys_new(folder, "alice", NULL), MAILBUS_OK);
    assert_int_equal(mb_keys_load_client(folder, "alice", &before, NULL), MAILBUS_OK);
    assert_int_equal(mb_keys_new(folder, "alice", NULL), MAILBUS_EEXIST);
    assert_int_equal(mb_keys_allow(folder, "alice", before.public_key, NULL), MAILBUS_EEXIST);
    assert_int_equal(mb_keys_load_client(folder, "alice", &after, NULL), MAILBUS_OK);
    assert_string_equal(before.secret_key, after.secret_key);
}

static void test_open_secret_is_refused(void **state)
{
    const char *folder = *state;
    char path[600];
    mb_key_pair_t pair;
    mailbus_error_t error;
    assert_int_equal(mb_keys_new(folder, "alice", NULL), MAILBUS_OK);
    folder_path(folder, "clients/alice.key_secret", path, sizeof path);
    static const unsigned modes[] = {0640, 0604, 0620, 0666};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        assert_int_equal(chmod(path, modes[i]), 0);
        assert_int_equal(mb_keys_load_client(folder, "alice", &pair, &error), MAILBUS_EACCESS);
        assert_non_null(strstr(error.text, "chmod 600"));
    }
    assert_int_equal(chmod(path, 0400), 0);
    assert_int_equal(mb_keys_load_client(folder, "alice", &pair, NULL), MAILBUS_OK);
}

static void test_bad_files_are_errors_that_name_them(void **state)
{
    const char *folder = *state;
    char path[600];
    char *large = calloc(1, MB_KEY_FILE_MAX + 2);
    memset(large, '#', MB_KEY_FILE_MAX + 1);
    assert_int_equal(mb_keys_new(folder, "alice", NULL), MAILBUS_OK);
    folder_path(folder, "clients/mallory.key", path, sizeof path);
    const char *const bad[] = {
        "",
        "curve\n",
        "curve\n    public-key = \"short\"\n",
        /* a letter that Z85 has not */
        "curve\n    public-key = \"aaaaaaaaaaaaaaaaaaaa~aaaaaaaaaaaaaaaaaaa\"\n",
        /* beyond 32 bits */
        "curve\n    public-key = \"########################################\"\n",
        "other\n    public-key = \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"\n",
        "curve\n        public-key = \"\n\n   ===\"\"\"",
        "\x01\x02\x03",
        large,
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mb_key_client_t *clients = NULL;
        size_t count = 7;
        mailbus_error_t error = {.text = ""};
        folder_write(path, bad[i], 0644);
        assert_int_not_equal(mb_keys_list(folder, &clients, &count, &error), MAILBUS_OK);
        assert_non_null(strstr(error.text, "mallory"));
        assert_int_equal(count, 7);
    }
    free(large);
    /* something that is no file at all must not stop us */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0644), 0);
    mb_key_client_t *clients = NULL;
    size_t count = 0;
    assert_int_equal(mb_keys_list(folder, &clients, &count, NULL), MAILBUS_EINVAL);
    assert_int_equal(unlink(path), 0);
    folder_write(folder_path(folder, "clients/a b.key", path, sizeof path), "", 0644);
    assert_int_equal(mb_keys_list(folder, &clients, &count, NULL), MAILBUS_EINVAL);
}

static void test_halves_must_belong_together(void **state)
{
    const char *folder = *state;
    char path[600];
    char text[400];
    char public_key[MB_KEY_TEXT];
    char secret_key[MB_KEY_TEXT];
    char other[MB_KEY_TEXT];
    mb_key_pair_t pair;
    assert_int_equal(zmq_curve_keypair(other, secret_key), 0);
    assert_int_equal(zmq_curve_keypair(public_key, secret_key), 0);
    snprintf(text, sizeof text, "curve\n    public-key = \"%s\"\n    secret-key = \"%s\"\n", other,
             secret_key);
    folder_write(folder_path(folder, "server.key_secret", path, sizeof path), text, 0600);
    assert_int_equal(mb_keys_load_server(folder, &pair, NULL), MAILBUS_EINVAL);
}

static void test_client_copy_never_gets_a_new_server(void **state)
{
    const char *folder = *state;
    char path[600];
    mailbus_error_t error;
    assert_int_equal(mb_keys_new(folder, "alice", NULL), MAILBUS_OK);
    assert_int_equal(unlink(folder_path(folder, "server.key_secret", path, sizeof path)), 0);
    assert_int_equal(mb_keys_new(folder, "bob", &error), MAILBUS_EINVAL);
    assert_non_null(strstr(error.text, "client"));
    assert_int_equal(count_keys(folder), 1);
}

static void test_allow_takes_a_public_key_once(void **state)
{
    const char *folder = *state;
    char public_key[MB_KEY_TEXT];
    char secret_key[MB_KEY_TEXT];
    mb_key_client_t *clients = NULL;
    size_t count = 0;
    assert_int_equal(zmq_curve_keypair(public_key, secret_key), 0);
    assert_int_equal(mb_keys_allow(folder, "zoe", public_key, NULL), MAILBUS_OK);
    assert_int_equal(mb_keys_allow(folder, "again", public_key, NULL), MAILBUS_EEXIST);
    assert_int_equal(mb_keys_allow(folder, "short", "abc", NULL), MAILBUS_EINVAL);
    assert_int_equal(mb_keys_new(folder, "anna", NULL), MAILBUS_OK);
    assert_int_equal(mb_keys_list(folder, &clients, &count, NULL), MAILBUS_OK);
    assert_int_equal(count, 2);
    assert_string_equal(clients[0].name, "anna"); /* sorted */
    assert_string_equal(clients[1].name, "zoe");
    assert_string_equal(clients[1].public_key, public_key);
    free(clients);
}

static void test_revoked_is_gone(void **state)
{
    const char *folder = *state;
    mb_key_pair_t pair;
    assert_int_equal(mb_keys_new(folder, "alice", NULL), MAILBUS_OK);
    assert_int_equal(mb_keys_revoke(folder, "alice", NULL), MAILBUS_OK);
    assert_int_equal(count_keys(folder), 0);
    assert_int_equal(mb_keys_load_client(folder, "alice", &pair, NULL), MAILBUS_ENOTFOUND);
    assert_int_equal(mb_keys_revoke(folder, "alice", NULL), MAILBUS_ENOTFOUND);
    assert_int_equal(mb_keys_new(folder, "alice", NULL), MAILBUS_OK);
}

static void test_missing_folder_is_not_an_empty_list(void **state)
{
    const char *folder = *state;
    char path[600];
    mb_key_client_t *clients = NULL;
    size_t count = 0;
    mb_key_pair_t pair;
    folder_path(folder, "typo", path, sizeof path);
    assert_int_equal(mb_keys_list(path, &clients, &count, NULL), MAILBUS_ENOTFOUND);
    assert_int_equal(mb_keys_load_server(path, &pair, NULL), MAILBUS_ENOTFOUND);
    assert_int_equal(mb_keys_load_server("", &pair, NULL), MAILBUS_EINVAL);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_names_can_not_leave_the_folder),
        TEST(test_new_makes_both_pairs_with_private_secrets),
        TEST(test_files_are_certificates_to_czmq),
        TEST(test_taken_name_changes_nothing),
        TEST(test_open_secret_is_refused),
        TEST(test_bad_files_are_errors_that_name_them),
        TEST(test_halves_must_belong_together),
        TEST(test_client_copy_never_gets_a_new_server),
        TEST(test_allow_takes_a_public_key_once),
        TEST(test_revoked_is_gone),
        TEST(test_missing_folder_is_not_an_empty_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
