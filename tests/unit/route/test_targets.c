/* route/targets.h and config_parse: the rules file's targets. */
#include <curl/curl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "folder.h"
#include "route/config.h"

#define RULES(target) "rules\n    r\n        subject = \"x\"\n        target = \"" target "\"\n"
#define SECRET        "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

static mailbus_code_t parse(const char *text, const char *folder, bool lenient,
                            targets_t *ret_targets, mailbus_error_t *error)
{
    rules_t *rules = NULL;
    *error = (mailbus_error_t){.text = ""};
    mailbus_code_t code = config_parse(text, folder, lenient, &rules, ret_targets, error);
    if (code == MAILBUS_OK) {
        rules_free(&rules);
    }
    return code;
}

static void test_every_kind_is_read(void **state)
{
    const char *folder = *state;
    char path[256];
    targets_t targets = {.items = NULL};
    mailbus_error_t error;
    folder_write(folder_path(folder, "token", path, sizeof path), "xoxb-file\n", 0600);
    folder_write(folder_path(folder, "url", path, sizeof path),
                 "https://hooks.slack.com/services/T/B/X\n", 0600);
    folder_write(folder_path(folder, "secret", path, sizeof path), SECRET "\r\n", 0600);
    setenv("TEST_TOKEN", "ghp_env", 1);
    const char text[] =
        "# a comment\n"
        "targets\n"
        "    team\n        channel = \"#team\"\n        token_file = \"token\"\n        kind = "
        "\"slack\"\n"
        "    ops\n        kind = \"slack\"\n        url_file = \"url\"\n        unsure = "
        "\"repeat\"\n"
        "\n"
        "    issues\n        kind = \"github\"\n        repo = \"acme/app.js\"\n        token_env "
        "= \"TEST_TOKEN\"\n"
        "    lines\n        kind = \"file\"\n        path = \"lines.jsonl\"\n" RULES(
            "team") "targets\n" /* a second section is one with the first */
                    "    hook\n        kind = \"url\"\n        url = "
                    "\"https://example.com/x?y=1\"\n        secret_file = \"secret\"\n"
                    "    boss\n        kind = \"forward\"\n        to = \"boss@corp.example\"\n";
    if (parse(text, folder, false, &targets, &error) != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(targets.count, 6);
    assert_int_equal(targets_find(&targets, "team")->kind, TARGET_SLACK_API);
    assert_string_equal(targets_find(&targets, "team")->token, "xoxb-file");
    assert_int_equal(targets_find(&targets, "ops")->kind, TARGET_SLACK_WEBHOOK);
    assert_true(targets_find(&targets, "ops")->repeat);
    assert_string_equal(targets_find(&targets, "issues")->token, "ghp_env");
    assert_int_equal(targets_find(&targets, "lines")->kind, TARGET_FILE);
    assert_non_null(targets_find(&targets, "hook")->webhook);
    assert_string_equal(targets_find(&targets, "boss")->to, "boss@corp.example");
    assert_null(targets_find(&targets, "r"));
    assert_null(strstr(targets_find(&targets, "issues")->pace, "ghp_env"));
    assert_string_not_equal(targets_find(&targets, "issues")->pace,
                            targets_find(&targets, "team")->pace);
    assert_string_equal(targets_find(&targets, "lines")->pace, "");
    targets_free(&targets);
    targets_free(&targets);
}

#define SLACK                                                                                      \
    "    t\n        kind = \"slack\"\n        channel = \"#c\"\n        token_env = "              \
    "\"TEST_TOKEN\"\n"
#define FILE_TARGET "    t\n        kind = \"file\"\n        path = \"p\"\n"

static void test_what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *targets, *says;
    } rows[] = {
        {"", "there is no target \"t\""},
        {FILE_TARGET FILE_TARGET, "two targets are called \"t\""},
        {"    t\n        path = \"p\"\n", "it needs a kind"},
        {"    t\n        kind = \"fax\"\n", "kind must be"},
        {"    t\n        kind = \"file\"\n        path = \"p\"\n        chanel = \"c\"\n",
         "\"chanel\" is no key"},
        {"    t\n        kind = \"file\"\n        path = \"p\"\n        path = \"q\"\n",
         "path is given twice"},
        {"    t\n        kind = \"file\"\n        kind = \"file\"\n        path = \"p\"\n",
         "kind is given twice"},
        {"    t\n        kind = \"file\"\n        path = \"\"\n", "path has no value"},
        {"    t\n        kind = \"file\"\n", "file needs path"},
        {FILE_TARGET "        token_env = \"TEST_TOKEN\"\n", "file needs path"},
        {"    t\n        kind = \"slack\"\n        channel = \"#c\"\n        token = \"xoxb-1\"\n",
         "must not stand in this file"},
        {"    t\n        kind = \"slack\"\n        url = \"https://hooks.slack.com/x\"\n",
         "must not stand in this file"},
        {"    t\n        kind = \"url\"\n        url = \"https://e.x/\"\n        secret = "
         "\"whsec_x\"\n",
         "must not stand in this file"},
        {"    t\n        kind = \"url\"\n        url = \"http://e.x/\"\n", "https://"},
        {"    t\n        kind = \"url\"\n        url = \"https://e.x/\"\n        secret_env = "
         "\"TEST_TOKEN\"\n",
         "whsec_"},
        {"    t\n        kind = \"slack\"\n        channel = \"#c\"\n        token_env = "
         "\"TEST_MISSING\"\n",
         "TEST_MISSING is not set"},
        {"    t\n        kind = \"slack\"\n        channel = \"#c\"\n        token_file = "
         "\"missing\"\n",
         "missing"},
        {"    t\n        kind = \"slack\"\n        channel = \"a b\"\n        token_env = "
         "\"TEST_TOKEN\"\n",
         "channel must be"},
        {"    t\n        kind = \"slack\"\n        channel = \"#c\"\n        token_env = "
         "\"TEST_BLANKS\"\n",
         "blanks"},
        {SLACK "        unsure = \"repeat\"\n", "slack needs url"},
        {"    t\n        kind = \"slack\"\n        url_env = \"TEST_TOKEN\"\n",
         "no https:// address"},
        {"    t\n        kind = \"slack\"\n        url_env = \"TEST_URL\"\n        unsure = "
         "\"maybe\"\n",
         "reject or repeat"},
        {"    t\n        kind = \"github\"\n        repo = \"acme\"\n        token_env = "
         "\"TEST_TOKEN\"\n",
         "OWNER/NAME"},
        {"    t\n        kind = \"github\"\n        repo = \"acme/../x\"\n        token_env = "
         "\"TEST_TOKEN\"\n",
         "OWNER/NAME"},
        {"    t\n        kind = \"github\"\n        repo = \"acme/..\"\n        token_env = "
         "\"TEST_TOKEN\"\n",
         "OWNER/NAME"},
        {"    t\n        kind = \"github\"\n        repo = \"a/b?c=d\"\n        token_env = "
         "\"TEST_TOKEN\"\n",
         "OWNER/NAME"},
        {"    t\n        kind = \"forward\"\n        to = \"Boss <boss@x.y>\"\n",
         "one bare address"},
        {"    t\n        kind = \"forward\"\n        to = \"a@x.y, b@x.y\"\n", "one bare address"},
    };
    const char *folder = *state;
    setenv("TEST_TOKEN", "tok_env", 1);
    setenv("TEST_BLANKS", "a b", 1);
    setenv("TEST_URL", "https://hooks.slack.com/services/T/B/X", 1);
    unsetenv("TEST_MISSING");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        targets_t targets = {.items = NULL};
        mailbus_error_t error;
        char text[1024];
        snprintf(text, sizeof text, "targets\n%s" RULES("t"), rows[i].targets);
        assert_int_not_equal(parse(text, folder, false, &targets, &error), MAILBUS_OK);
        if (strstr(error.text, rows[i].says) == NULL) {
            fail_msg("row %zu: no \"%s\" in: %s", i, rows[i].says, error.text);
        }
        assert_null(strstr(error.text, "tok_env"));
        assert_null(targets.items);
    }
}

static void test_a_dry_run_needs_no_secrets(void **state)
{
    targets_t targets = {.items = NULL};
    mailbus_error_t error;
    unsetenv("SLACK_BOT_TOKEN");
    unsetenv("GITHUB_TOKEN");
    unsetenv("GITHUB_REPOSITORY");
    assert_int_equal(parse(config_shipped, *state, false, &targets, &error), MAILBUS_EINVAL);
    assert_int_equal(parse(config_shipped, *state, true, &targets, &error), MAILBUS_OK);
    assert_int_equal(targets.count, 3);
    targets_free(&targets);
}

static void test_the_file_is_cut_by_its_margin(void **state)
{
    (void)state;
    char *targets = NULL;
    char *others = NULL;
    assert_int_equal(
        targets_split(
            "a\n    targets\n# targets\ntargets  \r\n    b\n# c\n\n    d\nrules\n    targets\nend",
            &targets, &others, NULL),
        MAILBUS_OK);
    assert_string_equal(targets, "targets  \r\n    b\n# c\n\n    d\n");
    assert_string_equal(others, "a\n    targets\n# targets\nrules\n    targets\nend\n");
    free(targets);
    free(others);
    assert_int_equal(targets_split("", &targets, &others, NULL), MAILBUS_OK);
    assert_string_equal(targets, "");
    free(targets);
    free(others);
}

static int set_up(void **state)
{
    *state = folder_make();
    return *state == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK;
}

static int tear_down(void **state)
{
    char *folder = *state;
    folder_remove(&folder);
    curl_global_cleanup();
    return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_every_kind_is_read),
        TEST(test_what_is_wrong_is_named),
        TEST(test_a_dry_run_needs_no_secrets),
        TEST(test_the_file_is_cut_by_its_margin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
