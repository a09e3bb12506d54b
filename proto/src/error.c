#include "mailbus/error.h"

#include <stdarg.h>
#include <stdio.h>

mailbus_code_t mailbus_fail(mailbus_error_t *error, mailbus_code_t code, const char *format, ...)
{
    if (error == NULL) {
        return code;
    }
    error->code = code;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return code;
}

const char *mailbus_code_name(mailbus_code_t code)
{
    switch (code) {
    case MAILBUS_OK:
        return "ok";
    case MAILBUS_EINVAL:
        return "invalid";
    case MAILBUS_ENOMEM:
        return "no-memory";
    case MAILBUS_EIO:
        return "io";
    case MAILBUS_EFULL:
        return "full";
    case MAILBUS_EAGAIN:
        return "again";
    case MAILBUS_ENOTFOUND:
        return "not-found";
    case MAILBUS_EEXIST:
        return "exists";
    case MAILBUS_EACCESS:
        return "access";
    case MAILBUS_ETOOBIG:
        return "too-big";
    case MAILBUS_ETIMEOUT:
        return "timeout";
    case MAILBUS_ESTOPPED:
        return "stopped";
    }
    return "unknown";
}
