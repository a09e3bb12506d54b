#include "row.h"

#include <inttypes.h>
#include <string.h>

#include "mailbus/json.h"
#include "mailbus/replay.h"

static void row_key(mailbus_buf_t *out, const char *key)
{
    if (out->size > 0 && out->data[out->size - 1] != '{') {
        mailbus_buf_char(out, ',');
    }
    mailbus_buf_printf(out, "\"%s\":", key);
}

void row_text(mailbus_buf_t *out, const char *key, const char *text)
{
    row_key(out, key);
    if (text == NULL) {
        mailbus_buf_text(out, "null");
    } else {
        mailbus_json_write_string(out, text, strlen(text));
    }
}

void row_number(mailbus_buf_t *out, const char *key, int64_t number)
{
    row_key(out, key);
    mailbus_buf_printf(out, "%" PRId64, number);
}

void row_time(mailbus_buf_t *out, const char *key, int64_t time_ms)
{
    char text[MAILBUS_TIME_SIZE];
    if (time_ms > 0) {
        mailbus_time_format(time_ms, text);
    }
    row_text(out, key, time_ms > 0 ? text : NULL);
}
