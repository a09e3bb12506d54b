/* Identifiers in the forms that the real services give out. The caller frees them. */
#ifndef SIM_RANDOM_ID_H
#define SIM_RANDOM_ID_H

#include <stddef.h>

char *random_uuid(void);
char *random_base62(const char *prefix, size_t digits); /* "msg_" + digits: Svix */
char *random_hex(const char *prefix, size_t digits);    /* "evt_" + digits: AgentMail */
char *random_message_id(long long now_ms);              /* "<…@email.amazonses.com>": SES */
char *random_webhook_secret(void);                      /* "whsec_…" */

#endif
