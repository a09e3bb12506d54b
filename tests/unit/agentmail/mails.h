/* Mails for the tests. */
#ifndef TEST_AUTOREPLY_MAILS_H
#define TEST_AUTOREPLY_MAILS_H

#include "agentmail/message.h"

/* A message of the inbox support@agentmail.to from Jane Doe <jane@example.com> to that inbox; the
 * members in `json` ("\"subject\":\"x\"", may be "") are added or replace those. Fails the test
 * where it can't be read. */
agentmail_message_t *mail_with(const char *json);

#endif
