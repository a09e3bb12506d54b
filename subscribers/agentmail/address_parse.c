/* RFC 5322 §3.4 by recursive descent over a lent text. */
#include <string.h>

#include "agentmail/address_list.h"
#include "agentmail/text.h"
#include "mailbus/json.h"

enum { COMMENT_DEPTH = 16 }; /* nested comments are legal; nobody writes more than one */

typedef struct {
    const char *p;
    const char *end;
} cursor_t;

/* --- characters ---------------------------------------------------------------------------------
 */

static bool is_control(char c)
{
    return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7F;
}

static bool is_domain_char(char c)
{
    return (unsigned char)c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
           (c >= 'a' && c <= 'z') || c == '-';
}

static bool at(const cursor_t *in, char c)
{
    return in->p < in->end && *in->p == c;
}

/* CFWS: blanks and comments. False where a comment does not end or nests too deep. */
static bool skip_blanks(cursor_t *in)
{
    int depth = 0;
    for (; in->p < in->end; in->p++) {
        char c = *in->p;
        if (c == '(') {
            if (++depth > COMMENT_DEPTH) {
                return false;
            }
        } else if (depth > 0 && c == ')') {
            depth--;
        } else if (depth > 0 && c == '\\') {
            if (++in->p == in->end) {
                return false;
            }
        } else if (depth == 0 && c != ' ' && c != '\t') {
            return true;
        }
    }
    return depth == 0;
}

/* --- tokens -------------------------------------------------------------------------------------
 */

/* A quoted string, without its quotes and escapes, behind `out`. */
static bool take_quoted(cursor_t *in, mailbus_buf_t *out)
{
    in->p++;
    for (; in->p < in->end; in->p++) {
        if (*in->p == '"') {
            in->p++;
            return true;
        }
        if (*in->p == '\\' && ++in->p == in->end) {
            return false;
        }
        mailbus_buf_append(out, in->p, 1);
    }
    return false;
}

static bool take_atom(cursor_t *in, mailbus_buf_t *out)
{
    const char *start = in->p;
    while (in->p < in->end && agentmail_is_atext(*in->p)) {
        in->p++;
    }
    mailbus_buf_append(out, start, (size_t)(in->p - start));
    return in->p > start;
}

/* True where `text` is a dot-atom and needs no quotes as a local part. */
static bool is_dot_atom(const char *text, size_t size)
{
    if (size == 0 || text[0] == '.' || text[size - 1] == '.') {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (!agentmail_is_atext(text[i]) && (text[i] != '.' || text[i + 1] == '.')) {
            return false;
        }
    }
    return true;
}

/* local-part: the same mailbox always comes out as the same bytes, `"joe"@x` as joe@x. */
static bool take_local(cursor_t *in, mailbus_buf_t *out)
{
    mailbus_buf_t word = MAILBUS_BUF_INIT;
    bool good = false;
    if (at(in, '"')) {
        good = take_quoted(in, &word);
    } else {
        const char *start = in->p;
        while (in->p < in->end && (agentmail_is_atext(*in->p) || *in->p == '.')) {
            in->p++;
        }
        mailbus_buf_append(&word, start, (size_t)(in->p - start));
        good = word.data != NULL && is_dot_atom(word.data, word.size);
    }
    if (good && word.data != NULL && is_dot_atom(word.data, word.size)) {
        mailbus_buf_append(out, word.data, word.size);
    } else if (good) {
        agentmail_write_quoted(word.data == NULL ? "" : word.data, word.size, out);
    }
    good = good && !word.failed && word.size > 0;
    mailbus_buf_free(&word);
    return good;
}

/* [192.0.2.1], [IPv6:2001:db8::1]. */
static bool take_domain_literal(cursor_t *in, mailbus_buf_t *out)
{
    const char *start = in->p++;
    while (in->p < in->end && *in->p != ']') {
        char c = *in->p++;
        if (!is_domain_char(c) && c != '.' && c != ':') {
            return false;
        }
    }
    if (!at(in, ']')) {
        return false;
    }
    in->p++;
    mailbus_buf_append(out, start, (size_t)(in->p - start));
    return in->p - start > 2;
}

static bool take_domain(cursor_t *in, mailbus_buf_t *out)
{
    if (at(in, '[')) {
        return take_domain_literal(in, out);
    }
    const char *start = in->p;
    char before = '.'; /* a label neither begins nor ends with a hyphen, and none is empty */
    for (; in->p < in->end && (is_domain_char(*in->p) || *in->p == '.'); before = *in->p++) {
        if ((*in->p == '.' && (before == '.' || before == '-')) ||
            (*in->p == '-' && before == '.')) {
            return false;
        }
    }
    if (before == '.' || before == '-') {
        return false;
    }
    mailbus_buf_append(out, start, (size_t)(in->p - start));
    return true;
}

/* addr-spec, with the comments that are allowed around its parts. */
static bool take_addr_spec(cursor_t *in, mailbus_buf_t *out)
{
    size_t start = out->size;
    if (!skip_blanks(in) || !take_local(in, out) || !skip_blanks(in) || !at(in, '@') ||
        out->size - start > AGENTMAIL_LOCAL_MAX) {
        return false;
    }
    in->p++;
    mailbus_buf_char(out, '@');
    size_t domain = out->size;
    return skip_blanks(in) && take_domain(in, out) && skip_blanks(in) &&
           out->size - domain <= AGENTMAIL_DOMAIN_MAX && out->size - start <= AGENTMAIL_ADDRESS_MAX;
}

/* phrase: words with one blank between; a dot counts as a word (obs-phrase, "John Q. Public"). */
static bool take_phrase(cursor_t *in, mailbus_buf_t *out)
{
    while (skip_blanks(in) && in->p < in->end) {
        const char *before = in->p;
        size_t size = out->size;
        if (at(in, '.')) {
            mailbus_buf_char(out, '.');
            in->p++;
            continue;
        }
        if (size > 0) {
            mailbus_buf_char(out, ' ');
        }
        bool good = at(in, '"') ? take_quoted(in, out) : take_atom(in, out);
        if (!good) {
            out->size = size;
            return in->p == before;
        }
    }
    return in->p == in->end;
}

/* --- the list -----------------------------------------------------------------------------------
 */

/* mailbox: `name <addr>` or `addr`. On a mismatch the cursor is anywhere. */
static mailbus_code_t take_mailbox(cursor_t *in, agentmail_addresses_t *list,
                                   mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_EINVAL;
    mailbus_buf_t name = MAILBUS_BUF_INIT;
    mailbus_buf_t address = MAILBUS_BUF_INIT;
    cursor_t start = *in;
    if (take_addr_spec(in, &address)) {
        code = agentmail_addresses_add(list, &name, &address, error);
        goto out;
    }
    *in = start;
    mailbus_buf_clear(&address);
    if (take_phrase(in, &name) && at(in, '<')) {
        in->p++;
        if (take_addr_spec(in, &address) && at(in, '>')) {
            in->p++;
            code = skip_blanks(in) ? agentmail_addresses_add(list, &name, &address, error)
                                   : MAILBUS_EINVAL;
        }
    }
out:
    mailbus_buf_free(&name);
    mailbus_buf_free(&address);
    return code;
}

/* `name:` of a group, with the cursor behind it. */
static bool take_group_name(cursor_t *in)
{
    mailbus_buf_t name = MAILBUS_BUF_INIT;
    cursor_t start = *in;
    bool is_group = take_phrase(in, &name) && name.size > 0 && at(in, ':');
    mailbus_buf_free(&name);
    if (is_group) {
        in->p++;
    } else {
        *in = start;
    }
    return is_group;
}

static mailbus_code_t take_list(cursor_t *in, agentmail_addresses_t *list, mailbus_error_t *error)
{
    bool in_group = false;
    bool comma = true; /* a mailbox may stand here */
    for (;;) {
        if (!skip_blanks(in)) {
            return MAILBUS_EINVAL;
        }
        if (in->p == in->end) {
            return in_group ? MAILBUS_EINVAL : MAILBUS_OK;
        }
        if (*in->p == ',') { /* empty elements are legal in obs-addr-list */
            in->p++;
            comma = true;
        } else if (in_group && *in->p == ';') {
            in->p++;
            in_group = false;
            comma = false;
        } else if (!comma) {
            return MAILBUS_EINVAL;
        } else if (!in_group && take_group_name(in)) {
            in_group = true;
        } else {
            mailbus_code_t code = take_mailbox(in, list, error);
            if (code != MAILBUS_OK) {
                return code;
            }
            comma = false;
        }
    }
}

/* What is not in the grammar but ends in one <addr>: `Doe, Jane <jane@example.com>`. What stands
 * before may hold no further angle bracket, or two readers could see two senders. */
static mailbus_code_t take_last_angle(const char *text, size_t size, agentmail_addresses_t *list,
                                      mailbus_error_t *error)
{
    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t')) {
        size--;
    }
    const char *open = memchr(text, '<', size);
    if (open == NULL || text[size - 1] != '>' || memchr(text, '>', size - 1) != NULL ||
        memchr(open + 1, '<', size - (size_t)(open + 1 - text)) != NULL) {
        return MAILBUS_EINVAL;
    }
    mailbus_code_t code = MAILBUS_EINVAL;
    mailbus_buf_t name = MAILBUS_BUF_INIT;
    mailbus_buf_t address = MAILBUS_BUF_INIT;
    cursor_t in = {open + 1, text + size - 1};
    if (take_addr_spec(&in, &address) && in.p == in.end) {
        mailbus_buf_append(&name, text, (size_t)(open - text));
        code = agentmail_addresses_add(list, &name, &address, error);
    }
    mailbus_buf_free(&name);
    mailbus_buf_free(&address);
    return code;
}

mailbus_code_t agentmail_address_parse(const char *text, size_t size, agentmail_addresses_t *list,
                                       mailbus_error_t *error)
{
    if (size > AGENTMAIL_ADDRESS_TEXT) {
        return mailbus_fail(error, MAILBUS_ETOOBIG, "an address list of %zu bytes, limit %d", size,
                            AGENTMAIL_ADDRESS_TEXT);
    }
    for (size_t i = 0; i < size; i++) {
        if (is_control(text[i])) {
            return mailbus_fail(error, MAILBUS_EINVAL, "a control character in an address");
        }
    }
    if (!mailbus_utf8_valid(text, size)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "an address is not UTF-8");
    }
    size_t count = list->count;
    cursor_t in = {text, text + size};
    mailbus_code_t code = take_list(&in, list, error);
    if (code == MAILBUS_EINVAL) {
        agentmail_addresses_cut(list, count);
        code = take_last_angle(text, size, list, error);
    }
    if (code != MAILBUS_OK) {
        agentmail_addresses_cut(list, count);
    }
    if (code == MAILBUS_EINVAL) {
        mailbus_buf_t shown = MAILBUS_BUF_INIT;
        agentmail_text_line(text, size, 80, &shown);
        mailbus_fail(error, code, "not a mail address: %s", shown.data == NULL ? "" : shown.data);
        mailbus_buf_free(&shown);
    }
    return code;
}
