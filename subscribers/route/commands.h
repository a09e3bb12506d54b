/* What people ask of this program's tables: `mailbus route …`. */
#ifndef ROUTE_COMMANDS_H
#define ROUTE_COMMANDS_H

#include "mailbus/subscriber.h"

#define COMMANDS_ROWS_MAX 1000 /* rows of one answer: it is built in memory */

/* history: {"rule"?, "event"?, "action"?, "after"?, "limit"?}: newest first. Rows: time, action,
 * rule, target, reason, reference, sender, subject, inbox, message_id, event_id; null where there
 * is none.
 *
 * again: {"event", "rule"?}: what was given up because it may have happened already is forgotten,
 * so that a retry of the dead letter does it (perhaps once more). Answers {"forgotten":n};
 * ENOTFOUND where there is nothing of that kind. */
extern const mailbus_command_t route_commands[];

#endif
