#include "agentmail/own.h"

#include <stdlib.h>
#include <string.h>

#include "agentmail/text.h"

/* An address, or "*@" and a domain. */
static bool is_pattern(const char *text)
{
    agentmail_addresses_t list = AGENTMAIL_ADDRESSES_INIT;
    bool good = agentmail_address_parse(text, strlen(text), &list, NULL) == MAILBUS_OK &&
                list.count == 1 && strcmp(list.items[0].address, text) == 0;
    agentmail_addresses_free(&list);
    return good; /* the asterisk is a letter like others in a local part (RFC 5322 atext) */
}

mailbus_code_t own_parse(const char *text, own_t *ret_own, mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    own_t own = OWN_INIT;
    char *copy = strdup(text);
    char *rest = NULL;
    own.patterns = calloc(strlen(text) / 2 + 1, sizeof *own.patterns);
    if (copy == NULL || own.patterns == NULL) {
        code = mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
        goto out;
    }
    for (char *word = strtok_r(copy, " \t,", &rest); word != NULL;
         word = strtok_r(NULL, " \t,", &rest)) {
        if (!is_pattern(word)) {
            code = mailbus_fail(error, MAILBUS_EINVAL,
                                "\"%.80s\" is neither an address nor *@domain", word);
            goto out;
        }
        own.patterns[own.count] = strdup(word);
        if (own.patterns[own.count] == NULL) {
            code = mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
            goto out;
        }
        own.count++;
    }
    *ret_own = own;
    own = (own_t)OWN_INIT;
out:
    own_free(&own);
    free(copy);
    return code;
}

void own_free(own_t *own)
{
    for (size_t i = 0; i < own->count; i++) {
        free(own->patterns[i]);
    }
    free(own->patterns);
    *own = (own_t)OWN_INIT;
}

bool own_has(const own_t *own, const char *address)
{
    const char *domain = strrchr(address, '@');
    for (size_t i = 0; i < own->count; i++) {
        const char *pattern = own->patterns[i];
        if (agentmail_address_equal(pattern, address) ||
            (strncmp(pattern, "*@", 2) == 0 && domain != NULL &&
             agentmail_text_equal(pattern + 1, domain))) {
            return true;
        }
    }
    return false;
}
