/* Questions to a program that runs, over HTTP, on its admin listener (the runtime's dead_http.h and
 * commands.h). One thread. */
#ifndef CLI_RUNNING_H
#define CLI_RUNNING_H

#include <cjson/cJSON.h>
#include <stddef.h>

#include "mailbus/error.h"

typedef struct running running_t;

typedef struct {
    const char *method; /* "GET" or "POST" */
    const char *path;   /* with its query */
    const char *body;   /* POST; may be NULL */
    size_t size;
} running_question_t;

/* What came back. */
typedef struct {
    long status;
    cJSON *tree; /* the object; NULL where it was none. cJSON_Delete */
} running_answer_t;

/* address: "127.0.0.1:8082". timeout_ms: for each question. Nothing is sent yet. */
MAILBUS_MUST_USE mailbus_code_t running_new(const char *address, long timeout_ms,
                                            running_t **ret_self, mailbus_error_t *error);
void running_destroy(running_t **self_p); /* takes NULL */
const char *running_address(const running_t *self);

/* Ask; OK whatever the status is. ENOTFOUND: nobody listens there. ETIMEOUT: no answer in time, and
 * what was asked may have happened. */
MAILBUS_MUST_USE mailbus_code_t running_ask(running_t *self, const running_question_t *question,
                                            running_answer_t *ret_answer, mailbus_error_t *error);
/* The verdict of an answer, with its "error" as text: 2xx with an object OK, 400 EINVAL, 403
 * EACCESS, 404 ENOTFOUND, 409 EEXIST, 413 ETOOBIG, 503 EAGAIN, else EIO. */
MAILBUS_MUST_USE mailbus_code_t running_judge(const running_answer_t *answer,
                                              mailbus_error_t *error);
/* Both; *ret_tree is to be deleted. */
MAILBUS_MUST_USE mailbus_code_t running_call(running_t *self, const running_question_t *question,
                                             cJSON **ret_tree, mailbus_error_t *error);

#endif
