/* One mailbox, one key: international domains in both their forms. */
#include <idn2.h>
#include <string.h>

#include "agentmail/address.h"

static bool is_ascii(const char *text)
{
    while (*text != '\0' && (unsigned char)*text < 0x80) {
        text++;
    }
    return *text == '\0';
}

void agentmail_domain_key(const char *domain, mailbus_buf_t *out)
{
    uint8_t *ascii = NULL;
    if (!is_ascii(domain) && idn2_lookup_u8((const uint8_t *)domain, &ascii,
                                            IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) == IDN2_OK) {
        agentmail_address_fold((const char *)ascii, out);
    } else {
        agentmail_address_fold(domain, out); /* what is no name of IDNA's is compared as it is */
    }
    idn2_free(ascii);
}

void agentmail_address_key(const char *address, mailbus_buf_t *out)
{
    const char *at = strrchr(address, '@');
    mailbus_buf_t local = MAILBUS_BUF_INIT;
    if (at == NULL) {
        agentmail_address_fold(address, out);
        return;
    }
    mailbus_buf_append(&local, address, (size_t)(at + 1 - address));
    if (local.failed) {
        out->failed = true;
    } else {
        agentmail_address_fold(local.data, out);
        agentmail_domain_key(at + 1, out);
    }
    mailbus_buf_free(&local);
}
