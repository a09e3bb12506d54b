/* RFC 5322 §3.4 by recursive descent over a lent text. A cursor that has failed stays failed. */
#include "agentmail/address.h"

#include <stdlib.h>
#include <string.h>

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

/* atext of RFC 5322 §3.2.3, with RFC 6532's UTF-8. */
static bool is_atext(char c)
{
    return (unsigned char)c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
           (c >= 'a' && c <= 'z') || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
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
    while (in->p < in->end && is_atext(*in->p)) {
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
        if (!is_atext(text[i]) && (text[i] != '.' || text[i + 1] == '.')) {
            return false;
        }
    }
    return true;
}

static void write_quoted(const char *text, size_t size, mailbus_buf_t *out)
{
    mailbus_buf_char(out, '"');
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '"' || text[i] == '\\') {
            mailbus_buf_char(out, '\\');
        }
        mailbus_buf_char(out, text[i]);
    }
    mailbus_buf_char(out, '"');
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
        while (in->p < in->end && (is_atext(*in->p) || *in->p == '.')) {
            in->p++;
        }
        mailbus_buf_append(&word, start, (size_t)(in->p - start));
        good = word.data != NULL && is_dot_atom(word.data, word.size);
    }
    if (good && word.data != NULL && is_dot_atom(word.data, word.size)) {
        mailbus_buf_append(out, word.data, word.size);
    } else if (good) {
        write_quoted(word.data == NULL ? "" : word.data, word.size, out);
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

/* True where the address is one line as it stands: no C1 control, no mark that turns the writing
 * direction hides in its UTF-8. */
static bool is_clean(const mailbus_buf_t *address)
{
    mailbus_buf_t line = MAILBUS_BUF_INIT;
    agentmail_text_line(address->data, address->size, 0, &line);
    bool same = !line.failed && line.size == address->size &&
                memcmp(line.data, address->data, line.size) == 0;
    mailbus_buf_free(&line);
    return same;
}

static mailbus_code_t add(agentmail_addresses_t *list, const mailbus_buf_t *name,
                          const mailbus_buf_t *address, mailbus_error_t *error)
{
    if (address->failed || address->data == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    if (!is_clean(address)) {
        return MAILBUS_EINVAL;
    }
    if (list->count >= AGENTMAIL_ADDRESSES_MAX) {
        return mailbus_fail(error, MAILBUS_ETOOBIG, "more than %d addresses in one list",
                            AGENTMAIL_ADDRESSES_MAX);
    }
    agentmail_address_t *items = realloc(list->items, (list->count + 1) * sizeof *items);
    if (items == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    list->items = items;
    mailbus_buf_t clean = MAILBUS_BUF_INIT;
    mailbus_buf_text(&clean, "");
    if (name->size > 0) {
        agentmail_text_line(name->data, name->size, AGENTMAIL_NAME_MAX, &clean);
    }
    agentmail_address_t *item = &items[list->count];
    item->name = mailbus_buf_take(&clean, NULL);
    item->address =
        address->data == NULL || address->failed ? NULL : strndup(address->data, address->size);
    if (item->name == NULL || item->address == NULL) {
        free(item->name);
        free(item->address);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    list->count++;
    return MAILBUS_OK;
}

static void cut(agentmail_addresses_t *list, size_t count)
{
    while (list->count > count) {
        list->count--;
        free(list->items[list->count].name);
        free(list->items[list->count].address);
    }
    if (list->count == 0) {
        free(list->items);
        list->items = NULL;
    }
}

/* mailbox: `name <addr>` or `addr`. On a mismatch the cursor is anywhere. */
static mailbus_code_t take_mailbox(cursor_t *in, agentmail_addresses_t *list,
                                   mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_EINVAL;
    mailbus_buf_t name = MAILBUS_BUF_INIT;
    mailbus_buf_t address = MAILBUS_BUF_INIT;
    cursor_t start = *in;
    if (take_addr_spec(in, &address)) {
        code = add(list, &name, &address, error);
        goto out;
    }
    *in = start;
    mailbus_buf_clear(&address);
    if (take_phrase(in, &name) && at(in, '<')) {
        in->p++;
        if (take_addr_spec(in, &address) && at(in, '>')) {
            in->p++;
            code = skip_blanks(in) ? add(list, &name, &address, error) : MAILBUS_EINVAL;
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
        code = add(list, &name, &address, error);
    }
    mailbus_buf_free(&name);
    mailbus_buf_free(&address);
    return code;
}

/* --- what others call ---------------------------------------------------------------------------
 */

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
        cut(list, count);
        code = take_last_angle(text, size, list, error);
    }
    if (code != MAILBUS_OK) {
        cut(list, count);
    }
    if (code == MAILBUS_EINVAL) {
        mailbus_buf_t shown = MAILBUS_BUF_INIT;
        agentmail_text_line(text, size, 80, &shown);
        mailbus_fail(error, code, "not a mail address: %s", shown.data == NULL ? "" : shown.data);
        mailbus_buf_free(&shown);
    }
    return code;
}

/* {name, email}: the name is taken as it is, the address must be one. */
static mailbus_code_t read_object(const cJSON *item, agentmail_addresses_t *list,
                                  mailbus_error_t *error)
{
    const char *address = mailbus_json_string(item, "email");
    address = address == NULL ? mailbus_json_string(item, "address") : address;
    const char *name = mailbus_json_string(item, "name");
    if (address == NULL || address[0] == '\0') {
        return mailbus_fail(error, MAILBUS_EINVAL, "an address without \"email\"");
    }
    agentmail_addresses_t one = AGENTMAIL_ADDRESSES_INIT;
    mailbus_code_t code = agentmail_address_parse(address, strlen(address), &one, error);
    if (code == MAILBUS_OK && one.count != 1) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "\"email\" holds %zu addresses", one.count);
    }
    if (code == MAILBUS_OK) {
        const char *shown = name != NULL && name[0] != '\0' ? name : one.items[0].name;
        mailbus_buf_t name_buf = MAILBUS_BUF_INIT;
        mailbus_buf_t address_buf = MAILBUS_BUF_INIT;
        mailbus_buf_text(&name_buf, shown);
        mailbus_buf_text(&address_buf, one.items[0].address);
        code = add(list, &name_buf, &address_buf, error);
        mailbus_buf_free(&name_buf);
        mailbus_buf_free(&address_buf);
    }
    agentmail_addresses_free(&one);
    return code;
}

static mailbus_code_t read_one(const cJSON *item, agentmail_addresses_t *list,
                               mailbus_error_t *error)
{
    if (item == NULL || cJSON_IsNull(item)) {
        return MAILBUS_OK;
    }
    if (cJSON_IsString(item)) {
        return agentmail_address_parse(item->valuestring, strlen(item->valuestring), list, error);
    }
    if (cJSON_IsObject(item)) {
        return read_object(item, list, error);
    }
    return mailbus_fail(error, MAILBUS_EINVAL, "an address that is neither text nor an object");
}

mailbus_code_t agentmail_address_read(const cJSON *item, agentmail_addresses_t *list,
                                      mailbus_error_t *error)
{
    if (!cJSON_IsArray(item)) {
        return read_one(item, list, error);
    }
    mailbus_code_t first = MAILBUS_OK;
    const cJSON *entry = NULL;
    cJSON_ArrayForEach(entry, item)
    {
        mailbus_code_t code = read_one(entry, list, first == MAILBUS_OK ? error : NULL);
        if (code == MAILBUS_ENOMEM || code == MAILBUS_ETOOBIG) {
            return code;
        }
        first = first == MAILBUS_OK ? code : first;
    }
    return first;
}

void agentmail_addresses_free(agentmail_addresses_t *list)
{
    cut(list, 0);
}

bool agentmail_address_equal(const char *a, const char *b)
{
    return agentmail_text_equal(a, b);
}

bool agentmail_addresses_have(const agentmail_addresses_t *list, const char *address)
{
    for (size_t i = 0; i < list->count; i++) {
        if (agentmail_address_equal(list->items[i].address, address)) {
            return true;
        }
    }
    return false;
}

void agentmail_address_fold(const char *address, mailbus_buf_t *out)
{
    for (; *address != '\0'; address++) {
        char c = *address;
        mailbus_buf_char(out, c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
    }
}

/* A phrase of atoms needs no quotes; everything else gets them. */
static bool is_plain_phrase(const char *name)
{
    for (const char *p = name; *p != '\0'; p++) {
        if (!is_atext(*p) && *p != ' ') {
            return false;
        }
    }
    return true;
}

void agentmail_address_print(const agentmail_address_t *mailbox, mailbus_buf_t *out)
{
    mailbus_buf_t name = MAILBUS_BUF_INIT;
    agentmail_text_line(mailbox->name, strlen(mailbox->name), AGENTMAIL_NAME_MAX, &name);
    if (name.size == 0) {
        mailbus_buf_text(out, mailbox->address);
    } else {
        if (is_plain_phrase(name.data)) {
            mailbus_buf_append(out, name.data, name.size);
        } else {
            write_quoted(name.data, name.size, out);
        }
        mailbus_buf_printf(out, " <%s>", mailbox->address);
    }
    out->failed = out->failed || name.failed;
    mailbus_buf_free(&name);
}
