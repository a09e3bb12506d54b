#include <stdarg.h>

#include "engine.h"

engine_status_t engine_fail(mailbus_error_t *why, engine_status_t status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why->text, sizeof why->text, format, arguments);
    va_end(arguments);
    return status;
}
