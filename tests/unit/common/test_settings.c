#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "settings.h"

static const mb_setting_t table[] = {
    {"http.listen", MB_ADDRESS, "127.0.0.1:8080", "Where webhooks come in", .reload = false},
    {"http.max_body", MB_BYTES, "2MiB", "Largest body", .min = 1024, .max = 64 << 20},
    {"http.timeout", MB_DURATION, "10s", "Time to send a request", .reload = true, .min = 100,
     .max = 3600000},
    {"verify.secret", MB_SECRET, "", "Secret of the webhook", .reload = true,
     .env = "AGENTMAIL_WEBHOOK_SECRET"},
    {"log.format", MB_CHOICE, "text", "Form of the log", .reload = true, .choices = "text json"},
    {"bus.publish", MB_ENDPOINT, "tcp://127.0.0.1:5556", "Where events go out", .reload = false},
    {"journal.path", MB_PATH, "data/journal.db", "The journal's file", .reload = false},
    {"http.tls_cert", MB_PATH, "", "Certificate", .reload = false},
    {"reply.text", MB_TEXT, "", "What is answered", .reload = true},
    {"reply.dry_run", MB_BOOLEAN, "no", "Send nothing", .reload = true},
    {"shard", MB_TEXT, "1/1", "Which part of the work is ours", .reload = false},
    {"workers", MB_INTEGER, "4", "Threads", .reload = true, .min = 1, .max = 64},
    {.key = NULL},
};

#define SUMMARY                                                                                    \
    "A program of the tests, with a summary that is as long as those of the real programs are "    \
    "and "                                                                                         \
    "so does not fit on one line of a terminal."

typedef struct {
    mb_settings_t *settings;
    char folder[64];
    char file[96];
    char out[32768]; /* what was printed */
    mb_settings_action_t action;
    mailbus_error_t error;
} fixture_t;

static void clear_environment(void)
{
    static const char *const names[] = {
        "MAILBUS_HTTP_LISTEN",        "MAILBUS_HTTP_MAX_BODY",    "MAILBUS_VERIFY_SECRET",
        "MAILBUS_VERIFY_SECRET_FILE", "AGENTMAIL_WEBHOOK_SECRET", "MAILBUS_REPLY_TEXT",
        "MAILBUS_REPLY_TEXT_FILE",    "MAILBUS_WORKERS",          "MAILBUS_OTHER_KEY",
    };
    for (size_t at = 0; at < sizeof names / sizeof *names; at++) {
        unsetenv(names[at]);
    }
}

static int set_up(void **state)
{
    fixture_t *self = calloc(1, sizeof *self);
    assert_non_null(self);
    strcpy(self->folder, "/tmp/mailbus-settings-XXXXXX");
    assert_non_null(mkdtemp(self->folder));
    snprintf(self->file, sizeof self->file, "%s/m.zpl", self->folder);
    self->settings = mb_settings_new("mailbus-test", SUMMARY, table);
    assert_non_null(self->settings);
    clear_environment();
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *self = *state;
    mb_settings_destroy(&self->settings);
    mb_settings_destroy(&self->settings);
    clear_environment();
    unlink(self->file);
    assert_int_equal(rmdir(self->folder), 0);
    free(self);
    return 0;
}

static void write_bytes(const fixture_t *self, const char *data, size_t size)
{
    FILE *file = fopen(self->file, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void write_file(const fixture_t *self, const char *text)
{
    write_bytes(self, text, strlen(text));
}

/* Read with these arguments, ended by NULL, in a program that takes no operands. */
static mailbus_code_t read_with(fixture_t *self, const char *first, ...)
{
    char *argv[16] = {(char *)"mailbus-test"};
    int argc = 1;
    va_list list;
    va_start(list, first);
    for (const char *at = first; at != NULL; at = va_arg(list, const char *)) {
        argv[argc++] = (char *)(uintptr_t)at;
    }
    va_end(list);
    memset(self->out, 0, sizeof self->out);
    FILE *out = fmemopen(self->out, sizeof self->out - 1, "w");
    assert_non_null(out);
    self->error.text[0] = '\0';
    mailbus_code_t code =
        mb_settings_read(self->settings, argc, argv, out, NULL, &self->action, &self->error);
    fclose(out);
    return code;
}

/* Another object for another reading: a program reads its command line once. */
static void renew(fixture_t *self)
{
    mb_settings_destroy(&self->settings);
    self->settings = mb_settings_new("mailbus-test", SUMMARY, table);
    assert_non_null(self->settings);
}

static void assert_refused(fixture_t *self, mailbus_code_t code, const char *text)
{
    assert_int_not_equal(code, MAILBUS_OK);
    assert_int_equal(self->error.code, code);
    if (strstr(self->error.text, text) == NULL) {
        fail_msg("'%s' is not in '%s'", text, self->error.text);
    }
}

static void test_defaults_hold_where_nothing_is_said(void **state)
{
    fixture_t *self = *state;
    assert_int_equal(read_with(self, NULL), MAILBUS_OK);
    assert_int_equal(self->action, MB_SETTINGS_RUN);
    assert_string_equal(mb_settings_text(self->settings, "http.listen"), "127.0.0.1:8080");
    assert_int_equal(mb_settings_integer(self->settings, "http.max_body"), 2 << 20);
    assert_int_equal(mb_settings_integer(self->settings, "http.timeout"), 10000);
    assert_int_equal(mb_settings_integer(self->settings, "workers"), 4);
    assert_false(mb_settings_boolean(self->settings, "reply.dry_run"));
    assert_string_equal(mb_settings_text(self->settings, "verify.secret"), "");
    assert_string_equal(mb_settings_program(self->settings), "mailbus-test");
}

static void test_the_later_source_wins(void **state)
{
    fixture_t *self = *state;
    write_file(self, "http\n    listen = 127.0.0.1:1\n    max_body = 1MiB\n    timeout = 1s\n");
    setenv("MAILBUS_HTTP_LISTEN", "127.0.0.1:2", 1);
    setenv("MAILBUS_HTTP_MAX_BODY", "3MiB", 1);
    assert_int_equal(read_with(self, "--config", self->file, "--set", "http.listen=127.0.0.1:3",
                               "--set=http.listen=127.0.0.1:4", NULL),
                     MAILBUS_OK);
    assert_string_equal(mb_settings_text(self->settings, "http.listen"), "127.0.0.1:4");
    assert_int_equal(mb_settings_integer(self->settings, "http.max_body"), 3 << 20);
    assert_int_equal(mb_settings_integer(self->settings, "http.timeout"), 1000);
}

static void test_other_programs_keys_in_the_environment_are_left_alone(void **state)
{
    fixture_t *self = *state;
    setenv("MAILBUS_OTHER_KEY", "x", 1);
    assert_int_equal(read_with(self, NULL), MAILBUS_OK);
}

static void test_an_alias_is_weaker_and_empty_means_unset(void **state)
{
    fixture_t *self = *state;
    setenv("AGENTMAIL_WEBHOOK_SECRET", "alias", 1);
    assert_int_equal(read_with(self, NULL), MAILBUS_OK);
    assert_string_equal(mb_settings_text(self->settings, "verify.secret"), "alias");
    setenv("MAILBUS_VERIFY_SECRET", "own", 1);
    renew(self);
    assert_int_equal(read_with(self, NULL), MAILBUS_OK);
    assert_string_equal(mb_settings_text(self->settings, "verify.secret"), "own");
    setenv("MAILBUS_VERIFY_SECRET", "", 1);
    renew(self);
    assert_int_equal(read_with(self, NULL), MAILBUS_OK);
    assert_string_equal(mb_settings_text(self->settings, "verify.secret"), "");
    unsetenv("MAILBUS_VERIFY_SECRET");
    setenv("AGENTMAIL_WEBHOOK_SECRET", "", 1);
    write_file(self, "verify\n    secret = filed\n");
    renew(self);
    assert_int_equal(read_with(self, "--config", self->file, NULL), MAILBUS_OK);
    assert_string_equal(mb_settings_text(self->settings, "verify.secret"), "filed");
}

static void test_a_value_may_stand_in_a_file_of_its_own(void **state)
{
    fixture_t *self = *state;
    static const char *const contents[][2] = {
        {"whsec_x\n", "whsec_x"},
        {"whsec_x", "whsec_x"},
        {"whsec_x\r\n", "whsec_x"},
        {"\n", ""},
    };
    setenv("MAILBUS_VERIFY_SECRET_FILE", self->file, 1);
    for (size_t at = 0; at < sizeof contents / sizeof *contents; at++) {
        write_file(self, contents[at][0]);
        renew(self);
        assert_int_equal(read_with(self, NULL), MAILBUS_OK);
        assert_string_equal(mb_settings_text(self->settings, "verify.secret"), contents[at][1]);
    }
    unsetenv("MAILBUS_VERIFY_SECRET_FILE");
    write_file(self, "Dear friend,\n\nthank you.\n\n");
    setenv("MAILBUS_REPLY_TEXT_FILE", self->file, 1);
    renew(self);
    assert_int_equal(read_with(self, NULL), MAILBUS_OK);
    assert_string_equal(mb_settings_text(self->settings, "reply.text"),
                        "Dear friend,\n\nthank you.\n");
}

static void test_a_value_file_that_is_no_good_is_named(void **state)
{
    fixture_t *self = *state;
    setenv("MAILBUS_VERIFY_SECRET_FILE", "/nonexistent/secret", 1);
    assert_refused(self, read_with(self, NULL),
                   "MAILBUS_VERIFY_SECRET_FILE: can't read /nonexistent/secret: No such file");
    setenv("MAILBUS_VERIFY_SECRET_FILE", self->folder, 1);
    assert_refused(self, read_with(self, NULL), "is not a file");
    setenv("MAILBUS_VERIFY_SECRET_FILE", self->file, 1);
    write_bytes(self, "a\0b", 3);
    assert_refused(self, read_with(self, NULL), "holds a NUL");
    write_file(self, "first\nsecond\n");
    assert_refused(self, read_with(self, NULL), "more than one line");
    assert_null(strstr(self->error.text, "second"));
    setenv("MAILBUS_VERIFY_SECRET", "x", 1);
    assert_refused(self, read_with(self, NULL), "both set");
    unsetenv("MAILBUS_VERIFY_SECRET");
    setenv("MAILBUS_VERIFY_SECRET_FILE", "/dev/zero", 1);
    assert_refused(self, read_with(self, NULL), "more than 65536 bytes");
}

static void test_the_command_line_takes_no_secret(void **state)
{
    fixture_t *self = *state;
    assert_refused(self, read_with(self, "--set", "verify.secret=whsec_hush", NULL),
                   "MAILBUS_VERIFY_SECRET_FILE");
    assert_null(strstr(self->error.text, "hush"));
}

static void test_an_unknown_key_is_an_error_with_the_nearest_one(void **state)
{
    fixture_t *self = *state;
    assert_refused(self, read_with(self, "--set", "http.listn=x", NULL),
                   "--set: there is no setting 'http.listn': did you mean http.listen?");
    renew(self);
    assert_refused(self, read_with(self, "--set", "qqqqqqqqqqqqqqqq=x", NULL),
                   "(--help lists them)");
    write_file(self, "http\n    max-body = 5\n");
    renew(self);
    assert_refused(self, read_with(self, "--config", self->file, NULL),
                   "'http.max-body': did you mean http.max_body?");
    assert_non_null(strstr(self->error.text, self->file));
    char longest[5000] = "--set=";
    memset(longest + 6, 'k', sizeof longest - 7);
    longest[4000] = '=';
    renew(self);
    assert_refused(self, read_with(self, longest, NULL), "there is no setting");
}

static void test_values_are_refused_with_their_source_and_what_would_do(void **state)
{
    fixture_t *self = *state;
    static const char *const bad[][2] = {
        {"http.listen=8080", "is not an address"},
        {"http.listen=localhost", "is not an address"},
        {"http.listen=host:65536", "is not an address"},
        {"http.listen=::1:80", "is not an address"},
        {"http.listen=[::1:80", "is not an address"},
        {"http.listen=[127.0.0.1]:80", "is not an address"},
        {"http.listen=a b:80", "is not an address"},
        {"http.listen=127.0.0.1:80x", "is not an address"},
        {"http.listen=127.0.0.1:", "is not an address"},
        {"http.max_body=2MB", "is not a size"},
        {"http.max_body=-1", "is not a size"},
        {"http.max_body=", "is not a size"},
        {"http.max_body=MiB", "is not a size"},
        {"http.max_body=9223372036854775807KiB", "is not a size"},
        {"http.max_body=99999999999999999999", "is not a size"},
        {"http.max_body=1023", "out of bounds: from 1KiB to 64MiB"},
        {"http.max_body=65MiB", "out of bounds: from 1KiB to 64MiB"},
        {"http.timeout=10 sec", "is not a duration"},
        {"http.timeout=1.5s", "is not a duration"},
        {"http.timeout=99ms", "out of bounds: from 100ms to 1h"},
        {"workers=0", "out of bounds: from 1 to 64"},
        {"workers=-3", "out of bounds"},
        {"workers=4.0", "is not a whole number"},
        {"workers=0x4", "is not a whole number"},
        {"workers= 4", "is not a whole number"},
        {"reply.dry_run=Yes!", "is not yes or no"},
        {"log.format=xml", "is none of: text json"},
        {"log.format=text json", "is none of: text json"},
        {"log.format=", "is none of"},
        {"bus.publish=127.0.0.1:5556", "is not an endpoint"},
        {"bus.publish=tcp://127.0.0.1", "is not an endpoint"},
        {"bus.publish=tcp://:5556", "is not an endpoint"},
        {"bus.publish=inproc://x", "is not an endpoint"},
        {"bus.publish=ipc://", "is not an endpoint"},
        {"bus.publish=", "is not an endpoint"},
        {"journal.path=", "is not a path"},
        {"journal.path=a\nb", "is not a path"},
        {"reply.text=\xff", "not UTF-8"},
    };
    for (size_t at = 0; at < sizeof bad / sizeof *bad; at++) {
        char key[64];
        snprintf(key, sizeof key, "--set: %.*s: ", (int)strcspn(bad[at][0], "="), bad[at][0]);
        renew(self);
        assert_refused(self, read_with(self, "--set", bad[at][0], NULL), bad[at][1]);
        assert_memory_equal(self->error.text, key, strlen(key));
    }
    setenv("MAILBUS_WORKERS", "many", 1);
    renew(self);
    assert_refused(self, read_with(self, NULL), "MAILBUS_WORKERS: workers: 'many' is not a whole");
}

static void test_good_values_of_every_type(void **state)
{
    fixture_t *self = *state;
    static const char *const good[] = {
        "http.listen=",
        "http.listen=:0",
        "http.listen=[::1]:8080",
        "http.listen=h-1.x:1",
        "bus.publish=tcp://*:*",
        "bus.publish=tcp://[::]:5556",
        "bus.publish=ipc:///run/m",
        "bus.publish=ipc://@m",
        "http.tls_cert=",
        "reply.text=a\nb\n",
        "shard=",
    };
    for (size_t at = 0; at < sizeof good / sizeof *good; at++) {
        renew(self);
        if (read_with(self, "--set", good[at], NULL) != MAILBUS_OK) {
            fail_msg("%s: %s", good[at], self->error.text);
        }
    }
    static const struct {
        const char *set, *key;
        int64_t number;
    } numbers[] = {
        {"http.max_body=4096", "http.max_body", 4096},
        {"http.max_body=4096B", "http.max_body", 4096},
        {"http.max_body=64KiB", "http.max_body", 65536},
        {"http.max_body=64 KiB", "http.max_body", 65536},
        {"http.timeout=300ms", "http.timeout", 300},
        {"http.timeout=7", "http.timeout", 7000},
        {"http.timeout=5m", "http.timeout", 300000},
        {"http.timeout=1h", "http.timeout", 3600000},
        {"workers=64", "workers", 64},
    };
    for (size_t at = 0; at < sizeof numbers / sizeof *numbers; at++) {
        renew(self);
        assert_int_equal(read_with(self, "--set", numbers[at].set, NULL), MAILBUS_OK);
        assert_int_equal(mb_settings_integer(self->settings, numbers[at].key), numbers[at].number);
    }
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};
    for (int at = 0; at < 8; at++) {
        char set[64];
        snprintf(set, sizeof set, "reply.dry_run=%s", words[at]);
        renew(self);
        assert_int_equal(read_with(self, "--set", set, NULL), MAILBUS_OK);
        assert_int_equal(mb_settings_boolean(self->settings, "reply.dry_run"), at % 2 == 1);
    }
}

static void test_a_file_is_read_as_it_looks(void **state)
{
    fixture_t *self = *state;
    write_file(self, "# a comment\r\n"
                     "workers = 7\n"
                     "\n"
                     "http            # the listener\n"
                     "    listen = [::1]:80   # loopback\n"
                     "    tls_cert =\n"
                     "reply\n"
                     "    text = \"it's # no comment\"\n"
                     "        # indented as it likes\n"
                     "journal\n"
                     "    path = 'a \"b\"'\n"
                     "http\n"
                     "    timeout = 3 s");
    assert_int_equal(read_with(self, "--config", self->file, NULL), MAILBUS_OK);
    assert_int_equal(mb_settings_integer(self->settings, "workers"), 7);
    assert_string_equal(mb_settings_text(self->settings, "http.listen"), "[::1]:80");
    assert_string_equal(mb_settings_text(self->settings, "reply.text"), "it's # no comment");
    assert_string_equal(mb_settings_text(self->settings, "journal.path"), "a \"b\"");
    assert_int_equal(mb_settings_integer(self->settings, "http.timeout"), 3000);
}

static void test_a_file_that_could_be_misread_is_refused_with_its_line(void **state)
{
    fixture_t *self = *state;
    static const char *const bad[][2] = {
        {"http\n  listen = :1\n", "line 2: indent with four spaces"},
        {"http\n\tlisten = :1\n", "line 2: there is a tab"},
        {"http\n    listen = \":1\n", "line 2: the closing quote is missing"},
        {"http\n    listen = \":1\" :2\n", "line 2: something follows the closing quote"},
        {"http\n    listen :1\n", "line 2: an = was expected"},
        {"http\n    = :1\n", "line 2: a name was expected"},
        {"journal\n    path = a#b\n", "line 2: a # begins a comment"},
        {"http\n    listen = \x1b[0m\n", "line 2: there is a control character"},
        {"http = :80\n", "'http' stands where a section does"},
        {"http.listen = :80\n", "four spaces in, 'listen = value'"},
        {"    listen = :80\n", "line 1: it is indented deeper"},
        {"http\n        listen = :80\n", "line 2: it is indented deeper"},
        {"http\n    listen = :1\n        deeper = 2\n", "nothing goes below it"},
        {"workers = 1\n    x = 2\n", "nothing goes below it"},
        {"http\n    listen = :1\n    listen = :2\n", "http.listen is there twice"},
        {"http\n    listen = :1\nlog\n    format = json\nhttp\n    listen = :1\n",
         "is there twice"},
        {"workers = 1\nworkers = 1\n", "workers is there twice"},
        {"htp\n", "there is no setting 'htp'"},
        {"http\n    listen = many\n", "http.listen: 'many' is not an address"},
        {"[http]\nlisten=:1\n", "line 1: a name was expected"},
        {"{\"http\":1}\n", "line 1: a name was expected"},
        {"reply\n    text = \xff\n", "is not UTF-8"},
    };
    for (size_t at = 0; at < sizeof bad / sizeof *bad; at++) {
        write_file(self, bad[at][0]);
        renew(self);
        assert_refused(self, read_with(self, "--config", self->file, NULL), bad[at][1]);
        assert_memory_equal(self->error.text, self->file, strlen(self->file));
    }
    write_bytes(self, "http\n    listen = :1\0:2\n", 23);
    renew(self);
    assert_refused(self, read_with(self, "--config", self->file, NULL), "control character");
    renew(self);
    assert_refused(self, read_with(self, "--config", "/nonexistent", NULL),
                   "can't read /nonexistent: No such file");
}

static void test_long_lines_and_large_files_are_refused(void **state)
{
    fixture_t *self = *state;
    static char large[1100000];
    memset(large, 'a', 5000);
    memcpy(large, "reply\n    text = ", 17);
    write_bytes(self, large, 5000);
    assert_refused(self, read_with(self, "--config", self->file, NULL),
                   "line 2: the line is too long");
    memset(large, '\n', sizeof large);
    write_bytes(self, large, sizeof large);
    renew(self);
    assert_refused(self, read_with(self, "--config", self->file, NULL), "more than 1048576 bytes");
}

static void test_what_is_printed_reads_back_to_the_same(void **state)
{
    fixture_t *self = *state;
    setenv("MAILBUS_VERIFY_SECRET", "whsec_hush", 1);
    assert_int_equal(read_with(self, "--set", "reply.text=it's # fine", "--set",
                               "journal.path=a \"b\"", "--set", "http.timeout=2m", "--set",
                               "workers=9", "--print-config", NULL),
                     MAILBUS_OK);
    assert_int_equal(self->action, MB_SETTINGS_EXIT);
    assert_null(strstr(self->out, "hush"));
    assert_non_null(strstr(self->out, "# secret = (set), as MAILBUS_VERIFY_SECRET or "));
    char first[sizeof self->out];
    memcpy(first, self->out, sizeof first);
    write_file(self, first);
    renew(self);
    assert_int_equal(read_with(self, "--config", self->file, "--print-config", NULL), MAILBUS_OK);
    assert_string_equal(mb_settings_text(self->settings, "reply.text"), "it's # fine");
    assert_string_equal(mb_settings_text(self->settings, "journal.path"), "a \"b\"");
    assert_string_equal(mb_settings_text(self->settings, "http.timeout"), "2m");
    assert_int_equal(mb_settings_integer(self->settings, "workers"), 9);
    assert_string_equal(mb_settings_text(self->settings, "http.listen"), "127.0.0.1:8080");
}

static void test_a_value_that_no_file_can_hold_is_printed_as_such(void **state)
{
    fixture_t *self = *state;
    static const char *const texts[] = {"reply.text=both ' and \"", "reply.text=two\nlines"};
    for (size_t at = 0; at < 2; at++) {
        renew(self);
        assert_int_equal(read_with(self, "--set", texts[at], "--print-config", NULL), MAILBUS_OK);
        assert_non_null(strstr(self->out, "# text can't stand in a file: set it as "
                                          "MAILBUS_REPLY_TEXT or MAILBUS_REPLY_TEXT_FILE"));
        char printed[sizeof self->out];
        memcpy(printed, self->out, sizeof printed);
        write_file(self, printed);
        renew(self);
        assert_int_equal(read_with(self, "--config", self->file, NULL), MAILBUS_OK);
    }
}

static void test_help_names_every_key_within_100_columns(void **state)
{
    fixture_t *self = *state;
    assert_int_equal(read_with(self, "--help", "--set", "workers=999", NULL), MAILBUS_OK);
    assert_int_equal(self->action, MB_SETTINGS_EXIT);
    for (const mb_setting_t *at = table; at->key != NULL; at++) {
        assert_non_null(strstr(self->out, at->key));
        assert_non_null(strstr(self->out, at->help));
    }
    assert_non_null(strstr(self->out, "MAILBUS_HTTP_MAX_BODY"));
    assert_non_null(strstr(self->out, "AGENTMAIL_WEBHOOK_SECRET"));
    assert_non_null(strstr(self->out, "default 2MiB"));
    for (char *line = strtok(self->out, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        assert_true(strlen(line) <= 102); /* bytes; an ellipsis has three of them */
        assert_int_not_equal(line[strlen(line) - 1], ' ');
    }
}

static void test_help_speaks_of_sighup_only_where_it_changes_something(void **state)
{
    fixture_t *self = *state;
    assert_int_equal(read_with(self, "--help", NULL), MAILBUS_OK);
    assert_non_null(strstr(self->out, "SIGHUP"));
    static const mb_setting_t fixed[] = {
        {.key = "workers", .type = MB_INTEGER, .value = "4", .help = "how many"}, {.key = NULL}};
    mb_settings_destroy(&self->settings);
    self->settings = mb_settings_new("mailbus-test", "tests", fixed);
    assert_int_equal(read_with(self, "--help", NULL), MAILBUS_OK);
    assert_null(strstr(self->out, "SIGHUP"));
}

static void test_help_shows_operands_and_details_as_they_are(void **state)
{
    fixture_t *self = *state;
    mb_settings_set_usage(self->settings, "[TOPIC…]", "  TOPIC is one.\n  Or more.");
    assert_int_equal(read_with(self, "--help", NULL), MAILBUS_OK);
    assert_non_null(strstr(self->out, "\nusage: mailbus-test [TOPIC…] [OPTION…]\n\n"
                                      "  TOPIC is one.\n  Or more.\n\n  --config"));
}

static void test_check_and_version_end_the_program(void **state)
{
    fixture_t *self = *state;
    assert_int_equal(read_with(self, "--check", NULL), MAILBUS_OK);
    assert_int_equal(self->action, MB_SETTINGS_EXIT);
    assert_string_equal(self->out, "the settings are good\n");
    renew(self);
    assert_int_equal(read_with(self, "--version", NULL), MAILBUS_OK);
    assert_string_equal(self->out, "mailbus-test " MAILBUS_VERSION "\n");
    renew(self);
    assert_refused(self, read_with(self, "--check", "--set", "workers=0", NULL), "out of bounds");
    assert_string_equal(self->out, "");
}

static mailbus_code_t want_few_workers(const mb_settings_t *settings, mailbus_error_t *error)
{
    return mb_settings_integer(settings, "workers") <= 8
               ? MAILBUS_OK
               : mailbus_fail(error, MAILBUS_EINVAL, "workers: too many for this machine");
}

static void test_the_programs_own_check_sees_the_whole(void **state)
{
    fixture_t *self = *state;
    mb_settings_set_check(self->settings, want_few_workers);
    assert_refused(self, read_with(self, "--check", "--set", "workers=9", NULL),
                   "too many for this");
    renew(self);
    mb_settings_set_check(self->settings, want_few_workers);
    assert_int_equal(read_with(self, "--set", "workers=8", NULL), MAILBUS_OK);
}

static void test_unknown_options_and_operands_are_errors(void **state)
{
    fixture_t *self = *state;
    assert_refused(self, read_with(self, "--what", NULL), "there is no option --what");
    assert_refused(self, read_with(self, "-x", NULL), "there is no option -x");
    assert_refused(self, read_with(self, "operand", NULL), "'operand' was not expected");
    assert_refused(self, read_with(self, "--set", NULL), "--set wants a value");
    assert_refused(self, read_with(self, "--set", "workers", NULL),
                   "write --set section.key=value");
    assert_refused(self, read_with(self, "--config", NULL), "--config wants a value");
    assert_refused(self, read_with(self, "--config=/a", "--config=/b", NULL),
                   "--config is there twice");
    renew(self);
    assert_refused(self, read_with(self, "--checks", NULL), "there is no option --checks");
}

static void test_options_of_the_program_stand_for_keys(void **state)
{
    fixture_t *self = *state;
    mb_settings_add_option(self->settings, "--dry-run", "reply.dry_run", false, "send nothing");
    mb_settings_add_option(self->settings, "--shard", "shard", true, "take one part of the work");
    assert_int_equal(read_with(self, "--shard", "2/4", "--dry-run", NULL), MAILBUS_OK);
    assert_string_equal(mb_settings_text(self->settings, "shard"), "2/4");
    assert_true(mb_settings_boolean(self->settings, "reply.dry_run"));
    assert_refused(self, read_with(self, "--dry-run=no", NULL), "--dry-run takes no value");
    assert_int_equal(read_with(self, "--help", NULL), MAILBUS_OK);
    assert_non_null(strstr(self->out, "--shard VALUE"));
}

static void test_operands_are_handed_over_where_the_program_takes_some(void **state)
{
    fixture_t *self = *state;
    char *argv[] = {(char *)"p", (char *)"--set", (char *)"workers=5", (char *)"tail",
                    (char *)"--json"};
    int rest = 0;
    assert_int_equal(
        mb_settings_read(self->settings, 5, argv, stdout, &rest, &self->action, &self->error),
        MAILBUS_OK);
    assert_int_equal(rest, 3);
    renew(self);
    argv[3] = (char *)"--";
    assert_int_equal(
        mb_settings_read(self->settings, 5, argv, stdout, &rest, &self->action, &self->error),
        MAILBUS_OK);
    assert_int_equal(rest, 4);
}

static void test_a_reload_takes_what_it_may_and_names_the_rest(void **state)
{
    fixture_t *self = *state;
    write_file(self, "workers = 2\nhttp\n    listen = :1\njournal\n    path = a\n");
    assert_int_equal(read_with(self, "--config", self->file, "--set", "reply.text=hi", NULL),
                     MAILBUS_OK);
    write_file(self, "workers = 3\nhttp\n    listen = :2\njournal\n    path = b\n"
                     "reply\n    text = other\n");
    char *refused = NULL;
    assert_int_equal(mb_settings_reload(self->settings, &refused, NULL), MAILBUS_OK);
    assert_string_equal(refused, "http.listen journal.path");
    free(refused);
    assert_int_equal(mb_settings_integer(self->settings, "workers"), 3);
    assert_string_equal(mb_settings_text(self->settings, "http.listen"), ":1");
    assert_string_equal(mb_settings_text(self->settings, "journal.path"), "a");
    assert_string_equal(mb_settings_text(self->settings, "reply.text"), "hi"); /* --set stays */
    assert_int_equal(mb_settings_reload(self->settings, NULL, NULL), MAILBUS_OK);
    write_file(self, "workers = 3\nhttp\n    listen = :1\njournal\n    path = a\n");
    assert_int_equal(mb_settings_reload(self->settings, &refused, NULL), MAILBUS_OK);
    assert_string_equal(refused, "");
    free(refused);
}

static void test_a_reload_that_fails_changes_nothing(void **state)
{
    fixture_t *self = *state;
    mb_settings_set_check(self->settings, want_few_workers);
    write_file(self, "workers = 2\nreply\n    text = old\n");
    assert_int_equal(read_with(self, "--config", self->file, NULL), MAILBUS_OK);
    static const char *const worse[] = {
        "workers = 3\nreply\n    text = new\nnonsense\n",
        "workers = 9\nreply\n    text = new\n", /* the program's own check */
        "workers = 99\nreply\n    text = new\n",
    };
    for (size_t at = 0; at < 3; at++) {
        write_file(self, worse[at]);
        char *refused = NULL;
        mailbus_error_t error;
        assert_int_equal(mb_settings_reload(self->settings, &refused, &error), MAILBUS_EINVAL);
        assert_null(refused);
        assert_string_equal(mb_settings_text(self->settings, "reply.text"), "old");
        assert_int_equal(mb_settings_integer(self->settings, "workers"), 2);
    }
}

static void test_tables_may_be_joined_but_not_collide(void **state)
{
    fixture_t *self = *state;
    static const mb_setting_t more[] = {{"limits.rate", MB_INTEGER, "10", "Rate", .reload = false},
                                        {.key = NULL}};
    static const mb_setting_t twice[] = {{"workers", MB_INTEGER, "1", "Again", .reload = false},
                                         {.key = NULL}};
    static const mb_setting_t shadow[] = {{"workers_file", MB_PATH, "", "A file", .reload = false},
                                          {.key = NULL}};
    static const mb_setting_t wrong[] = {{"x.y", MB_INTEGER, "one", "X", .reload = false},
                                         {.key = NULL}};
    assert_int_equal(mb_settings_add(self->settings, more, &self->error), MAILBUS_OK);
    assert_refused(self, mb_settings_add(self->settings, twice, &self->error), "twice");
    assert_refused(self, mb_settings_add(self->settings, shadow, &self->error), "_FILE");
    assert_refused(self, mb_settings_add(self->settings, wrong, &self->error), "the default");
    assert_int_equal(read_with(self, "--set", "limits.rate=3", NULL), MAILBUS_OK);
    assert_int_equal(mb_settings_integer(self->settings, "limits.rate"), 3);
}

static void test_the_reference_is_a_table_with_every_key(void **state)
{
    fixture_t *self = *state;
    FILE *out = fmemopen(self->out, sizeof self->out - 1, "w");
    mb_settings_reference(self->settings, out);
    fclose(out);
    int lines = 0;
    for (const char *at = self->out; (at = strchr(at, '\n')) != NULL; at++) {
        lines++;
    }
    assert_int_equal(lines, 2 + sizeof table / sizeof *table - 1);
    assert_non_null(strstr(self->out, "| `http.max_body` | size | `2MiB` | `MAILBUS_HTTP_MAX_BODY` "
                                      "| no | Largest body |\n"));
    assert_non_null(strstr(self->out, "`MAILBUS_VERIFY_SECRET`, `AGENTMAIL_WEBHOOK_SECRET`"));
}

int main(void)
{
#define WITH_SETTINGS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_SETTINGS(test_defaults_hold_where_nothing_is_said),
        WITH_SETTINGS(test_the_later_source_wins),
        WITH_SETTINGS(test_other_programs_keys_in_the_environment_are_left_alone),
        WITH_SETTINGS(test_an_alias_is_weaker_and_empty_means_unset),
        WITH_SETTINGS(test_a_value_may_stand_in_a_file_of_its_own),
        WITH_SETTINGS(test_a_value_file_that_is_no_good_is_named),
        WITH_SETTINGS(test_the_command_line_takes_no_secret),
        WITH_SETTINGS(test_an_unknown_key_is_an_error_with_the_nearest_one),
        WITH_SETTINGS(test_values_are_refused_with_their_source_and_what_would_do),
        WITH_SETTINGS(test_good_values_of_every_type),
        WITH_SETTINGS(test_a_file_is_read_as_it_looks),
        WITH_SETTINGS(test_a_file_that_could_be_misread_is_refused_with_its_line),
        WITH_SETTINGS(test_long_lines_and_large_files_are_refused),
        WITH_SETTINGS(test_what_is_printed_reads_back_to_the_same),
        WITH_SETTINGS(test_a_value_that_no_file_can_hold_is_printed_as_such),
        WITH_SETTINGS(test_help_names_every_key_within_100_columns),
        WITH_SETTINGS(test_help_speaks_of_sighup_only_where_it_changes_something),
        WITH_SETTINGS(test_help_shows_operands_and_details_as_they_are),
        WITH_SETTINGS(test_check_and_version_end_the_program),
        WITH_SETTINGS(test_the_programs_own_check_sees_the_whole),
        WITH_SETTINGS(test_unknown_options_and_operands_are_errors),
        WITH_SETTINGS(test_options_of_the_program_stand_for_keys),
        WITH_SETTINGS(test_operands_are_handed_over_where_the_program_takes_some),
        WITH_SETTINGS(test_a_reload_takes_what_it_may_and_names_the_rest),
        WITH_SETTINGS(test_a_reload_that_fails_changes_nothing),
        WITH_SETTINGS(test_tables_may_be_joined_but_not_collide),
        WITH_SETTINGS(test_the_reference_is_a_table_with_every_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
