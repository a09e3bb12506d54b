/* The id that ties an answer to its request: shared by requests and answers. Not a public header.
 */
#ifndef REQUEST_ID_H
#define REQUEST_ID_H

#include "mailbus/json.h"
#include "mailbus/replay.h"

mailbus_code_t mailbus_request_id_read(const cJSON *tree, char id[MAILBUS_REQUEST_ID_MAX + 1],
                                       mailbus_error_t *error);

#endif
