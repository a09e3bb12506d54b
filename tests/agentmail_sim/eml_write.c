/* Stage: a message → a file in the Internet Message Format (RFC 5322, RFC 2045 to 2047). */
#include <string.h>
#include <time.h>

#include "mailbox.h"

#include "encoding.h"

enum { ENCODED_WORD_MAX = 45, LINE_MAX_BYTES = 57 }; /* bytes that give at most 76 characters */

static bool is_plain(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < ' ' || *text == 0x7f) { /* beyond ASCII, or a control character */
            return false;
        }
    }
    return true;
}

/* Encoded words (RFC 2047) of at most 75 characters, never cut inside a UTF-8 character. */
static void put_words(const char *text, size_t size, mailbus_buf_t *out)
{
    while (size > 0) {
        size_t piece = size > ENCODED_WORD_MAX ? ENCODED_WORD_MAX : size;
        while (piece < size && piece > 1 && ((unsigned char)text[piece] & 0xc0) == 0x80) {
            piece--;
        }
        mailbus_buf_text(out, "=?utf-8?B?");
        mb_base64_encode((const uint8_t *)text, piece, out);
        mailbus_buf_text(out, "?=");
        text += piece;
        size -= piece;
        if (size > 0) {
            mailbus_buf_text(out, "\r\n ");
        }
    }
}

static void put_header(const char *name, const char *value, mailbus_buf_t *out)
{
    if (value == NULL) {
        return;
    }
    mailbus_buf_printf(out, "%s: ", name);
    if (is_plain(value)) {
        mailbus_buf_text(out, value);
    } else {
        put_words(value, strlen(value), out);
    }
    mailbus_buf_text(out, "\r\n");
}

/* Only the name of "Name <a@b>" may be encoded, never the address. */
static void put_address(const char *text, mailbus_buf_t *out)
{
    const char *angle = strrchr(text, '<');
    if (angle == NULL || is_plain(text)) {
        mailbus_buf_text(out, text);
        return;
    }
    size_t size = (size_t)(angle - text);
    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '"')) {
        size--;
    }
    size_t skip = strspn(text, " \"");
    if (size > skip) {
        put_words(text + skip, size - skip, out);
        mailbus_buf_char(out, ' ');
    }
    mailbus_buf_text(out, angle);
}

static void put_addresses(const char *name, const cJSON *array, mailbus_buf_t *out)
{
    if (array->child == NULL) {
        return;
    }
    mailbus_buf_printf(out, "%s: ", name);
    for (const cJSON *item = array->child; item != NULL; item = item->next) {
        put_address(item->valuestring, out);
        mailbus_buf_text(out, item->next != NULL ? ",\r\n " : "\r\n");
    }
}

static void put_base64(const char *data, size_t size, mailbus_buf_t *out)
{
    for (size_t at = 0; at < size; at += LINE_MAX_BYTES) {
        size_t piece = size - at > LINE_MAX_BYTES ? LINE_MAX_BYTES : size - at;
        mb_base64_encode((const uint8_t *)data + at, piece, out);
        mailbus_buf_text(out, "\r\n");
    }
}

static void put_text_part(const char *type, const char *text, mailbus_buf_t *out)
{
    mailbus_buf_printf(out,
                       "Content-Type: %s; charset=utf-8\r\n"
                       "Content-Transfer-Encoding: base64\r\n\r\n",
                       type);
    put_base64(text, strlen(text), out);
}

/* A parameter's value in quotes; one that is not ASCII as an encoded word, as most programs do. */
static void put_parameter(const char *name, const char *value, mailbus_buf_t *out)
{
    if (value == NULL) {
        return;
    }
    mailbus_buf_printf(out, ";\r\n %s=\"", name);
    if (is_plain(value)) {
        for (; *value != '\0'; value++) {
            if (*value == '"' || *value == '\\') {
                mailbus_buf_char(out, '\\');
            }
            mailbus_buf_char(out, *value);
        }
    } else {
        put_words(value, strlen(value), out);
    }
    mailbus_buf_char(out, '"');
}

static void put_attachment(const attachment_t *attachment, mailbus_buf_t *out)
{
    const char *type = attachment->content_type;
    bool given = type != NULL && is_plain(type) && strchr(type, '/') != NULL;
    mailbus_buf_printf(out, "Content-Type: %s", given ? type : "application/octet-stream");
    put_parameter("name", attachment->filename, out);
    bool in_line =
        attachment->disposition != NULL && strcmp(attachment->disposition, "inline") == 0;
    mailbus_buf_printf(out, "\r\nContent-Disposition: %s", in_line ? "inline" : "attachment");
    put_parameter("filename", attachment->filename, out);
    mailbus_buf_text(out, "\r\n");
    if (attachment->content_id != NULL) {
        mailbus_buf_printf(out, "Content-ID: <%s>\r\n", attachment->content_id);
    }
    mailbus_buf_text(out, "Content-Transfer-Encoding: base64\r\n\r\n");
    put_base64(attachment->data, attachment->size, out);
}

static void put_body(const message_t *message, mailbus_buf_t *out)
{
    const mail_t *mail = &message->mail;
    const char *text = mail->text != NULL || mail->html != NULL ? mail->text : "";
    if (text == NULL) {
        put_text_part("text/html", mail->html, out);
    } else if (mail->html == NULL) {
        put_text_part("text/plain", text, out);
    } else {
        mailbus_buf_printf(out,
                           "Content-Type: multipart/alternative; boundary=\"a-%s\"\r\n\r\n"
                           "--a-%s\r\n",
                           message->token, message->token);
        put_text_part("text/plain", text, out);
        mailbus_buf_printf(out, "--a-%s\r\n", message->token);
        put_text_part("text/html", mail->html, out);
        mailbus_buf_printf(out, "--a-%s--\r\n", message->token);
    }
}

static bool is_written_anyway(const char *name)
{
    static const char *const names[] = {
        "From",
        "To",
        "Cc",
        "Subject",
        "Date",
        "Message-ID",
        "Bcc",
        "In-Reply-To",
        "References",
        "Reply-To",
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
    };
    for (size_t at = 0; at < sizeof names / sizeof *names; at++) {
        if (strcasecmp(name, names[at]) == 0) {
            return true;
        }
    }
    return false;
}

static void put_date(int64_t ms, mailbus_buf_t *out)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(ms / 1000);
    struct tm t;
    gmtime_r(&seconds, &t);
    mailbus_buf_printf(out, "Date: %s, %d %s %d %02d:%02d:%02d +0000\r\n", days[t.tm_wday],
                       t.tm_mday, months[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min,
                       t.tm_sec);
}

void message_raw(const message_t *message, mailbus_buf_t *out)
{
    const mail_t *mail = &message->mail;
    if (mail->raw != NULL) {
        mailbus_buf_append(out, mail->raw, mail->raw_size);
        return;
    }
    if (mail->from != NULL) {
        mailbus_buf_text(out, "From: ");
        put_address(mail->from, out);
        mailbus_buf_text(out, "\r\n");
    }
    put_addresses("To", mail->to, out);
    put_addresses("Cc", mail->cc, out); /* Bcc is nobody's to see */
    put_addresses("Reply-To", mail->reply_to, out);
    put_header("Subject", mail->subject, out);
    put_date(message->created_ms, out);
    put_header("Message-ID", mail->message_id, out);
    put_header("In-Reply-To", mail->in_reply_to, out);
    for (const cJSON *item = mail->references->child; item != NULL; item = item->next) {
        mailbus_buf_printf(out, "%s%s%s",
                           item == mail->references->child ? "References: " : "\r\n ",
                           item->valuestring, item->next == NULL ? "\r\n" : "");
    }
    for (const cJSON *item = mail->headers->child; item != NULL; item = item->next) {
        if (!is_written_anyway(item->string)) {
            put_header(item->string, item->valuestring, out);
        }
    }
    mailbus_buf_text(out, "MIME-Version: 1.0\r\n");
    if (mail->attachment_count == 0) {
        put_body(message, out);
        return;
    }
    mailbus_buf_printf(out, "Content-Type: multipart/mixed; boundary=\"m-%s\"\r\n\r\n--m-%s\r\n",
                       message->token, message->token);
    put_body(message, out);
    for (size_t at = 0; at < mail->attachment_count; at++) {
        mailbus_buf_printf(out, "--m-%s\r\n", message->token);
        put_attachment(&mail->attachments[at], out);
    }
    mailbus_buf_printf(out, "--m-%s--\r\n", message->token);
}
