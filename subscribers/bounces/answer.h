/* May one send to an address? The check protocol's question, on the server's thread with a reading
 * connection of its own. */
#ifndef BOUNCES_ANSWER_H
#define BOUNCES_ANSWER_H

#include "machine.h"
#include "mailbus/error.h"

typedef struct answer answer_t;

typedef enum { ANSWER_YES, ANSWER_NO, ANSWER_SILENT } answer_verdict_t;

/* ENOTFOUND where there is no file. */
MAILBUS_MUST_USE mailbus_code_t answer_new(const char *path, answer_t **ret_self,
                                           mailbus_error_t *error);
void answer_destroy(answer_t **self_p); /* takes NULL */
/* YES for what is not known or ok; NO with `reason` and *ret_until_ms (0: dead, for good). SILENT
 * with `error` where the tables can't be read; a file that is itself again is opened anew at the
 * next question. */
answer_verdict_t answer_ask(answer_t *self, const char *address, const machine_limits_t *limits,
                            int64_t now_ms, char *reason, size_t size, int64_t *ret_until_ms,
                            mailbus_error_t *error);

#endif
