/* The one set of results that every fallible function of Mailbus returns.
 *
 * Codes of libraries and errno are translated where they are met. Text is for people: it names what
 * is wrong and, where it can, what to do about it. */
#ifndef MAILBUS_ERROR_H
#define MAILBUS_ERROR_H

#define MAILBUS_PRINTF(string, first) __attribute__((format(printf, string, first)))
#define MAILBUS_MUST_USE              __attribute__((warn_unused_result))

typedef enum {
    MAILBUS_OK = 0,
    MAILBUS_EINVAL,    /* what a caller, a peer or a file gave is malformed */
    MAILBUS_ENOMEM,    /* out of memory */
    MAILBUS_EIO,       /* the disk or a library failed */
    MAILBUS_EFULL,     /* a bounded resource is used up: queue, disk, budget */
    MAILBUS_EAGAIN,    /* not now; nothing is wrong */
    MAILBUS_ENOTFOUND, /* no such thing */
    MAILBUS_EEXIST,    /* it is there already, or held by somebody else */
    MAILBUS_EACCESS,   /* not allowed */
    MAILBUS_ETOOBIG,   /* beyond a stated limit */
    MAILBUS_ETIMEOUT,  /* no answer in time */
    MAILBUS_ESTOPPED,  /* shutting down */
} mailbus_code_t;

/* A result with its text. Callers that want no text pass NULL. */
typedef struct {
    mailbus_code_t code;
    char text[256];
} mailbus_error_t;

/* Fill `error` (may be NULL) and return `code`, so that a failure is one line. */
mailbus_code_t mailbus_fail(mailbus_error_t *error, mailbus_code_t code, const char *format, ...)
    MAILBUS_PRINTF(3, 4);

/* The name of a code in lower case, "invalid", "no-memory", …: for logs and metrics. */
const char *mailbus_code_name(mailbus_code_t code);

#endif
