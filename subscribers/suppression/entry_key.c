#include "entry_key.h"

#include <stdlib.h>
#include <string.h>

#include "agentmail/address.h"

static const char DOMAIN_PREFIX[] = "*@";
static const char BELOW_PREFIX[] = "*@*.";

char *key_of_mailbox(const char *address)
{
    mailbus_buf_t key = MAILBUS_BUF_INIT;
    mailbus_buf_text(&key, "a:");
    agentmail_address_key(address, &key);
    return mailbus_buf_take(&key, NULL);
}

static char *key_of_domain(const char *kind, const char *domain)
{
    mailbus_buf_t key = MAILBUS_BUF_INIT;
    mailbus_buf_text(&key, kind);
    agentmail_domain_key(domain, &key);
    return mailbus_buf_take(&key, NULL);
}

/* The one mailbox that `text` is; NULL with `error` filled. */
static char *parse_mailbox(const char *text, mailbus_error_t *error)
{
    agentmail_addresses_t list = AGENTMAIL_ADDRESSES_INIT;
    mailbus_error_t why = {0};
    char *address = NULL;
    mailbus_code_t code = agentmail_address_parse(text, strlen(text), &list, &why);
    if (code == MAILBUS_OK && list.count == 1) {
        address = strdup(list.items[0].address);
        code = address == NULL ? MAILBUS_ENOMEM : MAILBUS_OK;
    } else if (code == MAILBUS_OK) {
        code = MAILBUS_EINVAL;
    }
    agentmail_addresses_free(&list);
    if (code != MAILBUS_OK) {
        (void)mailbus_fail(error, code == MAILBUS_ENOMEM ? code : MAILBUS_EINVAL,
                           "no address, *@domain or *@*.domain%s%.160s",
                           why.text[0] != '\0' ? ": " : "", why.text);
    }
    return address;
}

/* A domain is what can stand behind an @, without the address literals of RFC 5321. */
static bool is_domain(const char *domain, bool with_dot)
{
    mailbus_buf_t probe = MAILBUS_BUF_INIT;
    agentmail_addresses_t list = AGENTMAIL_ADDRESSES_INIT;
    mailbus_buf_text(&probe, "x@");
    mailbus_buf_text(&probe, domain);
    bool good = !probe.failed && domain[0] != '[' && strchr(domain, '*') == NULL &&
                (!with_dot || strchr(domain, '.') != NULL) &&
                agentmail_address_parse(probe.data, probe.size, &list, NULL) == MAILBUS_OK &&
                list.count == 1 && strcmp(list.items[0].address, probe.data) == 0;
    agentmail_addresses_free(&list);
    mailbus_buf_free(&probe);
    return good;
}

static mailbus_code_t parse_domain(const char *text, char **ret_key, char **ret_shown,
                                   mailbus_error_t *error)
{
    bool below = strncmp(text, BELOW_PREFIX, sizeof BELOW_PREFIX - 1) == 0;
    const char *domain = text + (below ? sizeof BELOW_PREFIX : sizeof DOMAIN_PREFIX) - 1;
    if (!is_domain(domain, below)) { /* "*@*.com" is a slip, and half of the world */
        return mailbus_fail(error, MAILBUS_EINVAL,
                            below ? "no domain with a dot behind *@*." : "no domain behind *@");
    }
    char *key = key_of_domain(below ? "s:" : "d:", domain);
    char *shown = strdup(text);
    if (key == NULL || shown == NULL) {
        free(key);
        free(shown);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    *ret_key = key;
    *ret_shown = shown;
    return MAILBUS_OK;
}

mailbus_code_t key_parse(const char *text, char **ret_key, char **ret_shown, mailbus_error_t *error)
{
    if (strncmp(text, DOMAIN_PREFIX, sizeof DOMAIN_PREFIX - 1) == 0) {
        return parse_domain(text, ret_key, ret_shown, error);
    }
    mailbus_error_t why = {0};
    char *shown = parse_mailbox(text, &why);
    if (shown == NULL) {
        return mailbus_fail(error, why.code, "%s", why.text);
    }
    char *key = key_of_mailbox(shown);
    if (key == NULL) {
        free(shown);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    *ret_key = key;
    *ret_shown = shown;
    return MAILBUS_OK;
}

mailbus_code_t keys_covering(const char *address, char **ret_keys, size_t *ret_count,
                             mailbus_error_t *error)
{
    const char *at = strrchr(address, '@');
    size_t count = 0;
    bool ok = (ret_keys[count] = key_of_mailbox(address)) != NULL;
    count += ok;
    char *domain = ok && at != NULL ? key_of_domain("d:", at + 1) : NULL;
    ok = ok && (at == NULL || domain != NULL);
    if (domain != NULL) {
        ret_keys[count++] = domain;
        const char *dot = strchr(domain, '.');
        for (; ok && dot != NULL && count < KEYS_MAX; dot = strchr(dot + 1, '.')) {
            ret_keys[count] = key_of_domain("s:", dot + 1);
            ok = ret_keys[count] != NULL;
            count += ok;
        }
    }
    if (!ok) {
        keys_free(ret_keys, count);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    *ret_count = count;
    return MAILBUS_OK;
}

void keys_free(char **keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(keys[i]);
        keys[i] = NULL;
    }
}

const char *key_block_entry(const char *key, const char *shown)
{
    switch (key[0]) {
    case 'a': /* a mailbox called * may be a pattern there */
        return strncmp(shown, DOMAIN_PREFIX, sizeof DOMAIN_PREFIX - 1) == 0 ? NULL : shown;
    case 'd':
        return shown + sizeof DOMAIN_PREFIX - 1;
    default:
        return NULL;
    }
}

void key_print(const char *key, const char *shown, mailbus_buf_t *out)
{
    if (key[0] == 'a' && strncmp(shown, DOMAIN_PREFIX, sizeof DOMAIN_PREFIX - 1) == 0) {
        mailbus_buf_text(out, "\"*\"");
        shown++;
    }
    mailbus_buf_text(out, shown);
}
