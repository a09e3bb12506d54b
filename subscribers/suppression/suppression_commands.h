/* What `mailbus suppression` asks, of the program that runs or of its file:
 *
 *   list     {"after","limit","reason","ambiguous":true} → {"rows":[entry…],"next"}
 *   show     {"address"} → {"address","suppressed","by",…the entry's fields…,"removed",
 *            "block_list","facts"}; ENOTFOUND where nothing is known of it
 *   history  {"address","after","limit"} → {"rows":[…],"next"}, the oldest first
 *   add      {"address","reason"} → {"address","suppressed":true,"already"}
 *   remove   {"address","reason"} → {"address","suppressed","by"}
 *   import   {"rows":[{"line","address","reason","first","last","count","ambiguous","event_id",
 *            "message_id","note"}]} → {"added","counted","known","skipped":[{"line","why",
 *            "removed"}]}: bad rows, and those that a person has taken off since (removed)
 *
 * Addresses are written as entry_key.h says; times are RFC 3339. An entry: {"address","reason",
 * "ambiguous","first","last","count","event_id","message_id","note"}. */
#ifndef SUPPRESSION_SUPPRESSION_COMMANDS_H
#define SUPPRESSION_SUPPRESSION_COMMANDS_H

#include "mailbus/subscriber.h"

#define SUPPRESSION_IMPORT_MAX                                                                     \
    500 /* rows of one import: the program does nothing else meanwhile                             \
         */

extern const mailbus_command_t suppression_commands[];

#endif
