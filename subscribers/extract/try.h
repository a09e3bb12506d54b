/* mailbus-extract --file PATH: what would come out of a file, without a bus, a mail or a store. */
#ifndef EXTRACT_TRY_H
#define EXTRACT_TRY_H

#include "mailbus/subscriber.h"

bool try_wanted(int argc, char **argv);
/* Read each --file with the settings that the rest of the command line says, and print what came
 * out. The exit status: 0 where every file gave text, 1 where one did not, 2 for a wrong command
 * line. */
int try_file(int argc, char **argv, const mailbus_subscriber_t *subscriber);

#endif
