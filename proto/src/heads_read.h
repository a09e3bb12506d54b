/* Heads out of parsed JSON: shared by bus.heads and by END. Not a public header. */
#ifndef HEADS_READ_H
#define HEADS_READ_H

#include "mailbus/heads.h"
#include "mailbus/json.h"

mailbus_code_t mailbus_heads_read(const char *stream, const char *sequence, const cJSON *topics,
                                  mailbus_heads_t **ret_heads, mailbus_error_t *error);

#endif
