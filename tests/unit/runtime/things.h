/* A subscriber for tests of the commands: its table, and commands that keep the rules or break one.
 *
 *   add {"name","size"}    EEXIST where the name is there; a size below 0 breaks a constraint
 *   remove {"name"}        ENOTFOUND
 *   list {"after","limit"} {"rows":[{"name","size"}],"next":…}
 *   fail {"code"}          ends with that mailbus_code_t, after it has written
 *   commit                 ends the transaction, which is not its own
 *   leave                  leaves a statement half way, and one that is never finalised
 *   long                   answers more than anybody takes */
#ifndef TESTS_RUNTIME_THINGS_H
#define TESTS_RUNTIME_THINGS_H

#include "inbox.h"
#include "mailbus/subscriber.h"

extern const mailbus_subscriber_t things;

/* An inbox with the subscriber's tables at `path`; metrics and log are the caller's. */
inbox_t *things_open(const char *path, mb_metrics_t *metrics, mb_log_t *log);

#endif
