/* suppression_file.h: files of suppressed addresses, as other services write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mailbus/json.h"
#include "suppression_file.h"

/* Everything that is read of a text: rows as JSON and failures as "!line: why", one a line. */
static char *read_all(const char *text, bool json, const char *as)
{
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    FILE *in = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    suppression_file_t *file = NULL;
    cJSON *row = NULL;
    mailbus_code_t code = MAILBUS_OK;
    assert_non_null(in);
    assert_int_equal(suppression_file_new(in, json, as, &file, NULL), MAILBUS_OK);
    mailbus_buf_text(&out, "");
    do {
        mailbus_error_t error = {0};
        row = NULL;
        code = suppression_file_next(file, &row, &error);
        if (code == MAILBUS_OK && row != NULL) {
            char *printed = cJSON_PrintUnformatted(row);
            mailbus_buf_printf(&out, "%s\n", printed);
            cJSON_free(printed);
            cJSON_Delete(row);
        } else if (code != MAILBUS_OK) {
            mailbus_buf_printf(&out, "%c%zu: %s\n", code == MAILBUS_EINVAL ? '!' : '#',
                               suppression_file_line(file), error.text);
        }
    } while (code == MAILBUS_EINVAL || (code == MAILBUS_OK && row != NULL));
    if (suppression_file_note(file)[0] != '\0') {
        mailbus_buf_printf(&out, "(%s)\n", suppression_file_note(file));
    }
    suppression_file_destroy(&file);
    fclose(in);
    return mailbus_buf_take(&out, NULL);
}

static void check(const char *text, bool json, const char *as, const char *expected)
{
    char *got = read_all(text, json, as);
    assert_string_equal(got, expected);
    free(got);
}

static void test_our_own_export(void **state)
{
    (void)state;
    check("address,reason,first,last,count,ambiguous,event_id,message_id,note\r\n"
          "jane@example.com,complaint,2026-10-12T11:00:00.000Z,2026-10-13T11:00:00.000Z,2,true,"
          "evt_1,<m@x>,\"a, \"\"b\"\"\"\r\n"
          "'=cmd@example.com,manual,,,1,false,,,\r\n",
          false, "",
          "{\"line\":2,\"address\":\"jane@example.com\",\"reason\":\"complaint\",\"event_id\":"
          "\"evt_1\",\"message_id\":\"<m@x>\",\"first\":\"2026-10-12T11:00:00.000Z\",\"last\":"
          "\"2026-10-13T11:00:00.000Z\",\"count\":2,\"ambiguous\":true,\"note\":\"a, \\\"b\\\"\"}\n"
          "{\"line\":3,\"address\":\"=cmd@example.com\",\"reason\":\"manual\",\"count\":1}\n");
}

/* documentation.mailgun.com: /v3/{domain}/bounces/import and its sisters. */
static void test_mailguns_three_lists(void **state)
{
    (void)state;
    check("address,code,error,created_at\n"
          "gone@example.com,550,No such mailbox,\"Mon, 06 May 2024 18:11:58 UTC\"\n",
          false, "",
          "{\"line\":2,\"address\":\"gone@example.com\",\"reason\":\"bounce\",\"first\":"
          "\"2024-05-06T18:11:58.000Z\",\"note\":\"550 No such mailbox\"}\n"
          "(taken as \"bounce\" by the columns (--as says otherwise))\n");
    check("address,created_at\njane@example.com,\"Mon, 06 May 2024 18:11:58 +0200\"\n", false, "",
          "{\"line\":2,\"address\":\"jane@example.com\",\"reason\":\"complaint\",\"first\":"
          "\"2024-05-06T16:11:58.000Z\"}\n"
          "(taken as \"complaint\" by the columns (--as says otherwise))\n");
    check("address,tags,created_at\njoe@example.com,*,\njim@example.com,newsletter,\n", false, "",
          "{\"line\":2,\"address\":\"joe@example.com\",\"reason\":\"unsubscribe\"}\n"
          "!3: unsubscribed from \"newsletter\" alone, not from everything\n"
          "(taken as \"unsubscribe\" by the columns (--as says otherwise))\n");
}

/* docs.aws.amazon.com: ListSuppressedDestinations, CreateImportJob. */
static void test_amazons_list_and_its_import_form(void **state)
{
    (void)state;
    check("EmailAddress,Reason,LastUpdateTime\n"
          "a@example.com,BOUNCE,2020-04-10T21:03:05+00:00\n"
          "b@example.com,COMPLAINT,1586552585.077\n",
          false, "",
          "{\"line\":2,\"address\":\"a@example.com\",\"reason\":\"bounce\",\"last\":"
          "\"2020-04-10T21:03:05.000Z\"}\n"
          "{\"line\":3,\"address\":\"b@example.com\",\"reason\":\"complaint\",\"last\":"
          "\"2020-04-10T21:03:05.077Z\"}\n");
    check("recipient1@example.com,BOUNCE\nrecipient2@example.com, COMPLAINT\n", false, "",
          "{\"line\":1,\"address\":\"recipient1@example.com\",\"reason\":\"bounce\"}\n"
          "{\"line\":2,\"address\":\"recipient2@example.com\",\"reason\":\"complaint\"}\n");
    check("{\"emailAddress\": \"a@example.com\", \"reason\": \"BOUNCE\"}\n\n"
          "{\"EmailAddress\":\"b@example.com\",\"Reason\":\"COMPLAINT\",\"LastUpdateTime\":"
          "1586552585.077,\"Attributes\":{\"x\":1}}\n",
          true, "",
          "{\"line\":1,\"address\":\"a@example.com\",\"reason\":\"bounce\"}\n"
          "{\"line\":3,\"address\":\"b@example.com\",\"reason\":\"complaint\",\"last\":"
          "\"2020-04-10T21:03:05.077Z\"}\n");
}

static void test_names_of_columns_in_any_spelling_and_unknown_ones(void **state)
{
    (void)state;
    check("\xef\xbb\xbf"
          " Email Address ,REASON,Last-Update_Time,Domain,score\r\n"
          "a@example.com,bounce,2020-04-10T21:03:05Z,x,5\r\n",
          false, "",
          "{\"line\":2,\"address\":\"a@example.com\",\"reason\":\"bounce\",\"last\":"
          "\"2020-04-10T21:03:05.000Z\"}\n"
          "(ignored: Domain, score)\n");
}

static void test_a_file_that_does_not_say_why(void **state)
{
    (void)state;
    check("address\na@example.com\n", false, "",
          "#1: nothing says why these addresses are suppressed: --as complaint, bounce, "
          "unsubscribe, rejected or manual\n");
    check("a@example.com\nb@example.com\n", false, "manual",
          "{\"line\":1,\"address\":\"a@example.com\",\"reason\":\"manual\"}\n"
          "{\"line\":2,\"address\":\"b@example.com\",\"reason\":\"manual\"}\n"
          "(taken as \"manual\")\n");
    check("name,age\nx,5\n", false, "", "#1: there is no column \"address\" or \"EmailAddress\"\n");
    check("address,Address,reason\na@b.c,d@e.f,bounce\n", false, "",
          "#1: line 1: columns 1 and 2 have the same name\n");
    check("", false, "", "");
    check("{\"address\":\"a@b.c\"}\n{\"address\":\"a@b.c\",\"reason\":\"bounce\"}\n", true, "",
          "!1: nothing says why these addresses are suppressed: --as complaint, bounce, "
          "unsubscribe, rejected or manual\n"
          "{\"line\":2,\"address\":\"a@b.c\",\"reason\":\"bounce\"}\n");
}

static void test_bad_rows_are_told_by_their_line_and_stop_nothing(void **state)
{
    (void)state;
    check("address,reason,last,count\n"
          "a@example.com,bounce,yesterday,1\n"
          "b@example.com,bounce,,many\n"
          "c@example.com,bounce\n"
          "d\"e@example.com,bounce,,1\n"
          ",bounce,,1\n"
          "x\xff@example.com,bounce,,1\n"
          "good@example.com,bounce,,1\n"
          "\"open@example.com,bounce,,1\n",
          false, "",
          "!2: \"yesterday\" is no time\n"
          "!3: the count \"many\" is no number\n"
          "!4: line 4 has 2 fields, the header has 4\n"
          "!5: line 5: a quote stands in the open\n"
          "!6: no address\n"
          "!7: line 7 is no UTF-8: save the file in that encoding\n"
          "{\"line\":8,\"address\":\"good@example.com\",\"reason\":\"bounce\",\"count\":1}\n"
          "!9: line 9: a quote is never closed\n");
    check("{\"address\":\"a@b.c\",\"reason\":\"bounce\"}\nnot JSON\n[1]\n"
          "{\"address\":\"d@e.f\",\"reason\":\"bounce\",\"count\":-1}\n",
          true, "",
          "{\"line\":1,\"address\":\"a@b.c\",\"reason\":\"bounce\"}\n"
          "!2: not JSON at byte 0: a word stands there that JSON does not know\n"
          "!3: not a JSON object\n"
          "!4: the count \"-1\" is no number\n");
}

/* What stands behind a stray quote on its line must not be taken for a record. */
static void test_the_rest_of_a_broken_line_is_no_row(void **state)
{
    (void)state;
    check("address,reason\nx\"y,innocent@example.com,bounce\nz\"innocent@example.com,bounce\n"
          "good@example.com,bounce\n",
          false, "",
          "!2: line 2: a quote stands in the open\n"
          "!3: line 3: a quote stands in the open\n"
          "{\"line\":4,\"address\":\"good@example.com\",\"reason\":\"bounce\"}\n");
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        const char *value, *text;
    } rows[] = {
        {"2026-10-12T11:00:00Z", "2026-10-12T11:00:00.000Z"},
        {"2026-10-12T13:00:00.5+02:00", "2026-10-12T11:00:00.500Z"},
        {"Mon, 12 Oct 2026 11:00:00 GMT", "2026-10-12T11:00:00.000Z"},
        {"12 Oct 2026 13:00:00 +0200", "2026-10-12T11:00:00.000Z"},
        {"1791802800", "2026-10-12T11:00:00.000Z"},
        {"1791802800.250", "2026-10-12T11:00:00.250Z"},
        {"99999999999999", NULL},
        {"yesterday", NULL},
        {"", NULL},
        {"-5", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[64] = "";
        bool good = suppression_file_time(rows[i].value, text, sizeof text);
        if (good != (rows[i].text != NULL) || (good && strcmp(text, rows[i].text) != 0)) {
            fail_msg("%s: %s", rows[i].value, text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_our_own_export),
        cmocka_unit_test(test_mailguns_three_lists),
        cmocka_unit_test(test_amazons_list_and_its_import_form),
        cmocka_unit_test(test_names_of_columns_in_any_spelling_and_unknown_ones),
        cmocka_unit_test(test_a_file_that_does_not_say_why),
        cmocka_unit_test(test_bad_rows_are_told_by_their_line_and_stop_nothing),
        cmocka_unit_test(test_the_rest_of_a_broken_line_is_no_row),
        cmocka_unit_test(test_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
