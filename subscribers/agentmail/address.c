/* Lists of mailboxes: building, reading from JSON, comparing, printing. address_parse.c has the
 * grammar. */
#include "agentmail/address.h"

#include <stdlib.h>
#include <string.h>

#include "agentmail/address_list.h"
#include "agentmail/text.h"
#include "mailbus/json.h"

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

mailbus_code_t agentmail_addresses_add(agentmail_addresses_t *list, const mailbus_buf_t *name,
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

void agentmail_addresses_cut(agentmail_addresses_t *list, size_t count)
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

/* --- JSON ---------------------------------------------------------------------------------------
 */

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
        code = agentmail_addresses_add(list, &name_buf, &address_buf, error);
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

/* --- comparing and printing ---------------------------------------------------------------------
 */

void agentmail_addresses_free(agentmail_addresses_t *list)
{
    agentmail_addresses_cut(list, 0);
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
        mailbus_buf_char(out, agentmail_text_lower(*address));
    }
}

bool agentmail_is_atext(char c)
{
    return (unsigned char)c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
           (c >= 'a' && c <= 'z') || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

void agentmail_write_quoted(const char *text, size_t size, mailbus_buf_t *out)
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

/* A phrase of atoms needs no quotes; everything else gets them. */
static bool is_plain_phrase(const char *name)
{
    for (const char *p = name; *p != '\0'; p++) {
        if (!agentmail_is_atext(*p) && *p != ' ') {
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
            agentmail_write_quoted(name.data, name.size, out);
        }
        mailbus_buf_printf(out, " <%s>", mailbox->address);
    }
    out->failed = out->failed || name.failed;
    mailbus_buf_free(&name);
}
