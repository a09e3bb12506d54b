#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mail.h"
#include "mailbus/json.h"
#include "memory.h"
#include "mime.h"

static void assert_header(const char *value, const char *text)
{
    char *found = mime_header_text(value, strlen(value));
    assert_string_equal(found, text);
    free(found);
}

/* RFC 2047 §8, and what real programs send. */
static void test_encoded_words(void **state)
{
    (void)state;
    assert_header("=?ISO-8859-1?Q?a?=", "a");
    assert_header("=?ISO-8859-1?Q?a?= b", "a b");
    assert_header("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab");
    assert_header("=?ISO-8859-1?Q?a?=   =?ISO-8859-1?Q?b?=", "ab");
    assert_header("=?ISO-8859-1?Q?a_b?=", "a b");
    assert_header("=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b");
    assert_header("=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>",
                  "Keith Moore <moore@cs.utk.edu>");
    assert_header("=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=", "If you can read this yo");
    assert_header("=?utf-8?b?4piD?= x =?UTF-8?q?=E2=98=83?=", "\xe2\x98\x83 x \xe2\x98\x83");
    assert_header("=?windows-1252?Q?=80?=", "\xe2\x82\xac");
    assert_header("=?koi8-r?B?8NLJ18XU?=", "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82");
    assert_header("=?utf-8*en?Q?x?=", "x");
}

static void test_what_is_no_encoded_word_stays(void **state)
{
    (void)state;
    assert_header("plain", "plain");
    assert_header("", "");
    assert_header("=?", "=?");
    assert_header("=?utf-8?Q?x", "=?utf-8?Q?x");
    assert_header("=?utf-8?X?x?=", "=?utf-8?X?x?=");
    assert_header("=??Q?x?=", "=??Q?x?=");
    assert_header("a =?= b ?= c", "a =?= b ?= c");
}

static void test_a_header_is_always_one_line_of_utf8(void **state)
{
    (void)state;
    assert_header("=?utf-8?Q?a=0D=0ABcc:_b?=", "a  Bcc: b");
    assert_header("=?utf-8?Q?a=00b=1B?=", "ab ");
    assert_header("raw \xfc", "raw \xef\xbf\xbd");
    assert_header("=?no-such-set?Q?=FC?=", "\xc3\xbc");
    assert_header("=?utf-8?Q?=FF?=", "\xef\xbf\xbd");
}

static void test_transfer_encodings_pass_over_what_is_broken(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
    } printable[] = {
        {"a=3Db", "a=b"},
        {"a=3db", "a=b"},
        {"soft=\r\nbreak", "softbreak"},
        {"soft= \t\r\nbreak", "softbreak"},
        {"a=\nb", "ab"},
        {"a=", "a"},
        {"a=4", "a=4"},
        {"a=zz", "a=zz"},
        {"a_b", "a_b"},
    };
    static const struct {
        const char *from, *to;
    } base64[] = {{"aGk=", "hi"}, {"a G\r\nk =", "hi"}, {"aGk", "hi"}, {"aG!k=", "hi"}, {"a", ""}};
    for (size_t at = 0; at < sizeof printable / sizeof *printable; at++) {
        mailbus_buf_t out = MAILBUS_BUF_INIT;
        mailbus_buf_text(&out, "");
        mime_quoted_printable(printable[at].from, strlen(printable[at].from), false, &out);
        assert_string_equal(out.data, printable[at].to);
        mailbus_buf_free(&out);
    }
    for (size_t at = 0; at < sizeof base64 / sizeof *base64; at++) {
        mailbus_buf_t out = MAILBUS_BUF_INIT;
        mailbus_buf_text(&out, "");
        mime_base64(base64[at].from, strlen(base64[at].from), &out);
        assert_string_equal(out.data, base64[at].to);
        mailbus_buf_free(&out);
    }
}

static void assert_parameter(const char *value, const char *name, const char *text)
{
    char *found = mime_parameter(value, name);
    if (text == NULL) {
        assert_null(found);
    } else {
        assert_non_null(found);
        assert_string_equal(found, text);
    }
    free(found);
}

static void test_parameters(void **state)
{
    (void)state;
    assert_parameter("text/plain; charset=utf-8", "charset", "utf-8");
    assert_parameter("text/plain;charset=\"utf-8\"; x=y", "charset", "utf-8");
    assert_parameter("text/plain; CHARSET=utf-8 ", "charset", "utf-8");
    assert_parameter("a; boundary=\"with ; and \\\" in it\"", "boundary", "with ; and \" in it");
    assert_parameter("a; filename*=utf-8''%e2%98%83.txt", "filename", "\xe2\x98\x83.txt");
    assert_parameter("a; filename*=iso-8859-1'de'%fc", "filename", "\xc3\xbc");
    assert_parameter("a; filename*=broken%zz", "filename", "broken%zz");
    assert_parameter("a; filename=\"=?utf-8?Q?=C3=BC?=\"", "filename", "\xc3\xbc");
    assert_parameter("a; filename=\"never closed", "filename", "never closed");
    assert_parameter("a; other=1; ; =; x", "filename", NULL);
    assert_parameter("a; filename", "filename", NULL);
    assert_parameter("filename=first is the value itself", "filename", NULL);
}

/* Read a file that is taken; the caller clears the mail. */
static void read_file(const char *data, size_t size, mail_t *mail)
{
    mail_init(mail);
    mailbus_error_t error = {.text = ""};
    assert_int_equal(eml_read(data, size, mail, &error), MAILBUS_OK);
}

static void test_only_the_first_text_is_the_text(void **state)
{
    (void)state;
    static const char file[] =
        "From: a@b.c\nContent-Type: multipart/mixed; boundary=x\n\n"
        "--x\n\none\n--x\nContent-Type: text/plain\n\ntwo\n"
        "--x\nContent-Type: text/html\nContent-Disposition: attachment\n\n<p>\n"
        "--x--\nafter";
    mail_t mail;
    read_file(file, sizeof file - 1, &mail);
    assert_string_equal(mail.text, "one");
    assert_null(mail.html);
    assert_int_equal(mail.attachment_count, 2);
    assert_string_equal(mail.attachments[0].data, "two");
    assert_string_equal(mail.attachments[1].content_type, "text/html");
    mail_clear(&mail);
}

static void test_a_multipart_that_is_never_closed_gives_what_is_there(void **state)
{
    (void)state;
    static const char file[] = "From: a@b.c\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
                               "--x\r\nContent-Type: text/plain\r\n\r\ncut off";
    mail_t mail;
    read_file(file, sizeof file - 1, &mail);
    assert_string_equal(mail.text, "cut off");
    mail_clear(&mail);
}

static void test_every_prefix_of_a_mail_is_survived(void **state)
{
    (void)state;
    static const char file[] =
        "From: =?utf-8?Q?J=C3=BC?= <a@b.c>\r\nTo: \"x, y\" <d@e.f>, (comment) g@h.i\r\n"
        "Subject: =?utf-8?B?4piD?=\r\n =?utf-8?B?4piD?=\r\nReferences: <1@x> <2@x>\r\n"
        "Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain; "
        "charset=iso-8859-1\r\nContent-Transfer-Encoding: "
        "quoted-printable\r\n\r\n=FC=\r\n\r\n--b\r\n"
        "Content-Disposition: attachment; filename*=utf-8''%C3%BC\r\nContent-Transfer-Encoding: "
        "base64\r\n\r\naGk=\r\n--b--\r\n";
    for (size_t size = 0; size < sizeof file; size++) {
        char *copy = memory_new(size + 1); /* so that the sanitizer sees a read behind the end */
        char *exact = realloc(copy, size > 0 ? size : 1);
        assert_non_null(exact);
        memcpy(exact, file, size);
        mail_t mail;
        mail_init(&mail);
        mailbus_code_t code = eml_read(exact, size, &mail, NULL);
        assert_true(code == MAILBUS_OK || code == MAILBUS_EINVAL);
        mail_clear(&mail);
        free(exact);
    }
}

/* A generator of our own: the same bytes on every machine. */
static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U;
    return *state >> 8;
}

static void test_random_changes_to_a_mail_are_survived_and_give_utf8(void **state)
{
    (void)state;
    static const char seed[] =
        "From: =?utf-8?Q?J=C3=BC?= <a@b.c>\nTo: d@e.f\nSubject: =?utf-16?B?4piD?= \xff\n"
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/alternative; "
        "boundary=c\n\n--c\nContent-Type: text/html; "
        "charset=utf-16\n\n\xd8\x3d--c--\n--b\n\nx\n--b--\n";
    static const char tokens[][6] = {"--b\n", "--c\n", "=?", "?=", "\n\n", "\"",
                                     ";",     "=",     "\\", "(",  "<",    "\0"};
    uint32_t random = 1;
    for (int round = 0; round < 3000; round++) {
        char data[sizeof seed + 64];
        size_t size = sizeof seed - 1;
        memcpy(data, seed, size);
        for (int change = 0; change < 6; change++) {
            const char *token = tokens[next_random(&random) % 12];
            size_t length = strlen(token) + (*token == '\0');
            size_t at = next_random(&random) % (size - 8);
            memcpy(data + at, token, length);
        }
        mail_t mail;
        mail_init(&mail);
        if (eml_read(data, size, &mail, NULL) == MAILBUS_OK) {
            const char *const texts[] = {mail.subject, mail.from, mail.text, mail.html};
            for (size_t at = 0; at < 4; at++) {
                assert_true(texts[at] == NULL || mailbus_utf8_valid(texts[at], strlen(texts[at])));
            }
        }
        mail_clear(&mail);
    }
}

int main(void)
{
    memory_use_for_json();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encoded_words),
        cmocka_unit_test(test_what_is_no_encoded_word_stays),
        cmocka_unit_test(test_a_header_is_always_one_line_of_utf8),
        cmocka_unit_test(test_transfer_encodings_pass_over_what_is_broken),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_only_the_first_text_is_the_text),
        cmocka_unit_test(test_a_multipart_that_is_never_closed_gives_what_is_there),
        cmocka_unit_test(test_every_prefix_of_a_mail_is_survived),
        cmocka_unit_test(test_random_changes_to_a_mail_are_survived_and_give_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
