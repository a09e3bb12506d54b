#include "outgoing/guards.h"

#include <assert.h>
#include <string.h>

#include "agentmail/text.h"

/* True: do not send. *detail may be set to what was seen. */
typedef bool(guard_fn)(const guards_mail_t *mail, const char **detail);

#define LOOP_SEPARATORS ", \t"

enum { LOOP_MARK_MAX = 900 }; /* bytes: a header line has 998, RFC 5322 §2.1.1 */

enum { REPLY = 1, FORWARD = 2, BOTH = REPLY | FORWARD };

typedef struct {
    const char *name;
    guard_fn *stops;
    int kinds;
} guard_t;

const agentmail_address_t *guards_recipient(const agentmail_message_t *message)
{
    if (message->reply_to.count > 0) {
        return &message->reply_to.items[0];
    }
    return message->from.count > 0 ? &message->from.items[0] : NULL;
}

/* --- by the message -----------------------------------------------------------------------------
 */

/* RFC 3834 §2: no response without an address to respond to, nor to the null one. */
static bool no_sender(const guards_mail_t *mail, const char **detail)
{
    (void)detail;
    return mail->message->from.count == 0 || mail->message->from_broken ||
           mail->message->reply_to_broken;
}

/* True where `test` holds for a From address, or for the one that an answer would go to. */
static bool any_partner(const guards_mail_t *mail, const char **detail,
                        bool (*test)(const guards_mail_t *mail, const char *address))
{
    const agentmail_addresses_t *from = &mail->message->from;
    for (size_t i = 0; i < from->count; i++) {
        if (test(mail, from->items[i].address)) {
            *detail = from->items[i].address;
            return true;
        }
    }
    if (mail->kind == OUTGOING_REPLY && mail->to != NULL && test(mail, mail->to)) {
        *detail = mail->to;
        return true;
    }
    return false;
}

static bool is_own(const guards_mail_t *mail, const char *address)
{
    return agentmail_address_equal(address, mail->message->inbox_id) || own_has(mail->own, address);
}

/* RFC 5230 §4.5: never to oneself. Also not to another inbox of ours: it may answer too. */
static bool own_sender(const guards_mail_t *mail, const char **detail)
{
    return any_partner(mail, detail, is_own) || mail->from_is_inbox ||
           (mail->kind == OUTGOING_REPLY && mail->to_is_inbox);
}

/* A forward to an inbox of ours would come back as a mail. */
static bool own_recipient(const guards_mail_t *mail, const char **detail)
{
    *detail = mail->to;
    return is_own(mail, mail->to) || mail->to_is_inbox;
}

/* What they wrote is not news to them; and their vacation note would go round. */
static bool from_recipient(const guards_mail_t *mail, const char **detail)
{
    *detail = mail->to;
    return agentmail_addresses_have(&mail->message->from, mail->to);
}

/* RFC 5230 §4.6 and the addresses that programs write from. A tag (noreply+x@) changes nothing. */
static bool is_robot(const guards_mail_t *mail, const char *address)
{
    static const char *const whole[] = {"mailer-daemon", "postmaster",   "listserv",    "majordomo",
                                        "noreply",       "no-reply",     "no_reply",    "no.reply",
                                        "donotreply",    "do-not-reply", "do_not_reply"};
    static const char *const first[] = {"owner-", "bounce"};
    static const char last[] = "-request";
    (void)mail;
    char local[AGENTMAIL_LOCAL_MAX + 1];
    size_t size = strcspn(address, "+@");
    assert(size < sizeof local); /* agentmail_address_parse */
    memcpy(local, address, size);
    local[size] = '\0';
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        if (agentmail_text_equal(local, whole[i])) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++) {
        if (agentmail_text_starts(local, first[i])) {
            return true;
        }
    }
    return size >= sizeof last - 1 && agentmail_text_equal(local + size - (sizeof last - 1), last);
}

static bool robot_sender(const guards_mail_t *mail, const char **detail)
{
    return any_partner(mail, detail, is_robot);
}

/* A bounce of what we passed on, passed on, bounces again. */
static bool is_daemon(const guards_mail_t *mail, const char *address)
{
    (void)mail;
    return agentmail_text_starts(address, "mailer-daemon@") ||
           agentmail_text_starts(address, "postmaster@");
}

static bool daemon_sender(const guards_mail_t *mail, const char **detail)
{
    return any_partner(mail, detail, is_daemon);
}

static bool has_ours(const agentmail_addresses_t *list, const guards_mail_t *mail)
{
    for (size_t i = 0; i < list->count; i++) {
        if (is_own(mail, list->items[i].address)) {
            return true;
        }
    }
    return false;
}

/* RFC 3834 §2, RFC 5230 §4.5: only to mail that names us in To or Cc; else it is a list or a Bcc.
 */
static bool not_addressed(const guards_mail_t *mail, const char **detail)
{
    (void)detail;
    return !has_ours(&mail->message->to, mail) && !has_ours(&mail->message->cc, mail);
}

/* A conversation with an automatic mail of ours is a loop in the making. */
static bool answers_us(const guards_mail_t *mail, const char **detail)
{
    *detail = mail->message->in_reply_to;
    return mail->answers_ours;
}

/* After an outage, nobody is helped by "we will respond within 24 hours" a week later. */
static bool too_old(const guards_mail_t *mail, const char **detail)
{
    (void)detail;
    return mail->age_ms > mail->max_age_ms;
}

/* --- by the header ------------------------------------------------------------------------------
 */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The first word of a value, without comments, up to a blank, `;` or `(`, is `word`. */
static bool first_word_is(const char *value, const char *word)
{
    int depth = 0;
    for (; *value != '\0' && (is_blank(*value) || *value == '(' || depth > 0); value++) {
        depth += *value == '(' ? 1 : *value == ')' && depth > 0 ? -1 : 0;
    }
    size_t size = strcspn(value, " \t;(");
    return size == strlen(word) && agentmail_text_starts(value, word);
}

/* One of the words, separated by commas or blanks, is `word`. */
static bool has_word(const char *value, const char *word)
{
    while (*value != '\0') {
        value += strspn(value, " \t,;");
        size_t size = strcspn(value, " \t,;");
        if (size == strlen(word) && size > 0 && agentmail_text_starts(value, word)) {
            return true;
        }
        value += size;
    }
    return false;
}

/* RFC 3834 §5: anything but "no"; what follows the `;` is for others. */
static bool auto_submitted(const guards_mail_t *mail, const char **detail)
{
    const char *value = NULL;
    for (size_t at = 0;
         (value = agentmail_headers_next(mail->headers, "Auto-Submitted", &at)) != NULL;) {
        if (!first_word_is(value, "no")) {
            *detail = value;
            return true;
        }
    }
    return false;
}

/* RFC 3834 §2 and RFC 2076: never standard, always used. */
static bool precedence(const guards_mail_t *mail, const char **detail)
{
    static const char *const words[] = {"bulk", "junk", "list", "auto_reply", "auto-reply"};
    const char *value = NULL;
    for (size_t at = 0;
         (value = agentmail_headers_next(mail->headers, "Precedence", &at)) != NULL;) {
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
            if (first_word_is(value, words[i])) {
                *detail = value;
                return true;
            }
        }
    }
    return false;
}

/* RFC 2919, RFC 2369, RFC 8058: any List-… field. */
static bool list(const guards_mail_t *mail, const char **detail)
{
    for (size_t i = 0; i < mail->headers->count; i++) {
        if (agentmail_text_starts(mail->headers->items[i].name, "List-")) {
            *detail = mail->headers->items[i].name;
            return true;
        }
    }
    return false;
}

/* [MS-OXCMAIL] §2.1.3.2.4: which automatic answers the sender does not want. */
static bool suppress(const guards_mail_t *mail, const char **detail)
{
    static const char *const words[] = {"All", "AutoReply", "OOF"};
    const char *value = NULL;
    for (size_t at = 0; (value = agentmail_headers_next(mail->headers, "X-Auto-Response-Suppress",
                                                        &at)) != NULL;) {
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
            if (has_word(value, words[i])) {
                *detail = value;
                return true;
            }
        }
    }
    return false;
}

/* Marks of older responders, whatever their value. */
static bool reply_mark(const guards_mail_t *mail, const char **detail)
{
    static const char *const names[] = {"X-Autoreply", "X-Autorespond", "X-Autoresponder",
                                        "X-Auto-Reply"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (agentmail_headers_get(mail->headers, names[i]) != NULL) {
            *detail = names[i];
            return true;
        }
    }
    return false;
}

static bool loop_mark(const guards_mail_t *mail, const char **detail)
{
    *detail = agentmail_headers_get(mail->headers, "X-Loop");
    return *detail != NULL;
}

/* Lists mark their mails too: only an address of ours says that we passed it on before. Others that
 * pass mails on are in it one after the other (guards_loop_mark): a mail that went through that
 * many goes round somewhere. */
static bool own_loop_mark(const guards_mail_t *mail, const char **detail)
{
    const char *value = NULL;
    size_t hops = 0;
    for (size_t at = 0; (value = agentmail_headers_next(mail->headers, "X-Loop", &at)) != NULL;) {
        *detail = value;
        while (*value != '\0') {
            char word[AGENTMAIL_ADDRESS_MAX + 1];
            size_t size = strcspn(value, LOOP_SEPARATORS);
            if (size > 0 && size < sizeof word) {
                memcpy(word, value, size);
                word[size] = '\0';
                if (is_own(mail, word) || ++hops == GUARDS_HOPS_MAX) {
                    return true;
                }
            }
            value += size;
            value += strspn(value, LOOP_SEPARATORS);
        }
    }
    return false;
}

void guards_loop_mark(const char *inbox, const agentmail_headers_t *headers, mailbus_buf_t *out)
{
    const char *value = NULL;
    agentmail_text_line(inbox, strlen(inbox), AGENTMAIL_ADDRESS_MAX, out);
    for (size_t at = 0; (value = agentmail_headers_next(headers, "X-Loop", &at)) != NULL;) {
        if (out->size + strlen(value) + 2 > LOOP_MARK_MAX) {
            return;
        }
        mailbus_buf_printf(out, ", %s", value); /* one line already */
    }
}

/* RFC 6522, RFC 3464, RFC 8098: bounces, receipts and other reports. */
static bool report(const guards_mail_t *mail, const char **detail)
{
    static const char *const types[] = {"multipart/report", "message/delivery-status",
                                        "message/disposition-notification"};
    const char *value = agentmail_headers_get(mail->headers, "Content-Type");
    for (size_t i = 0; value != NULL && i < sizeof types / sizeof types[0]; i++) {
        if (first_word_is(value, types[i])) {
            *detail = value;
            return true;
        }
    }
    return false;
}

/* RFC 3834 §2: the null return path says that nobody wants an answer. */
static bool null_path(const guards_mail_t *mail, const char **detail)
{
    const char *value = agentmail_headers_get(mail->headers, "Return-Path");
    *detail = value;
    return value != NULL && strcmp(value, "<>") == 0;
}

/* --- the tables ---------------------------------------------------------------------------------
 */

static const guard_t by_message[] = {
    {"no-sender", no_sender, REPLY},
    {"own-sender", own_sender, BOTH},
    {"own-recipient", own_recipient, FORWARD},
    {"from-recipient", from_recipient, FORWARD},
    {"robot-sender", robot_sender, REPLY},
    {"robot-sender", daemon_sender, FORWARD},
    {"not-addressed", not_addressed, REPLY},
    {"answers-us", answers_us, BOTH},
    {"too-old", too_old, REPLY},
};

static const guard_t by_header[] = {
    {"auto-submitted", auto_submitted, REPLY},
    {"precedence", precedence, REPLY},
    {"list", list, REPLY},
    {"auto-response-suppress", suppress, REPLY},
    {"auto-reply-mark", reply_mark, REPLY},
    {"loop-mark", loop_mark, REPLY},
    {"loop-mark", own_loop_mark, FORWARD},
    {"report", report, BOTH},
    {"null-return-path", null_path, BOTH},
};

static const char *ask(const guard_t *guards, size_t count, const guards_mail_t *mail,
                       const char **ret_detail)
{
    int kind = mail->kind == OUTGOING_REPLY ? REPLY : FORWARD;
    for (size_t i = 0; i < count; i++) {
        const char *detail = NULL;
        if ((guards[i].kinds & kind) != 0 && guards[i].stops(mail, &detail)) {
            if (ret_detail != NULL) {
                *ret_detail = detail;
            }
            return guards[i].name;
        }
    }
    return NULL;
}

const char *guards_of_message(const guards_mail_t *mail, const char **ret_detail)
{
    return ask(by_message, sizeof by_message / sizeof by_message[0], mail, ret_detail);
}

const char *guards_of_headers(const guards_mail_t *mail, const char **ret_detail)
{
    assert(mail->headers != NULL);
    return ask(by_header, sizeof by_header / sizeof by_header[0], mail, ret_detail);
}
