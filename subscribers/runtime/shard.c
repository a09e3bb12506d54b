#include "shard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "mailbus/json.h"

mailbus_code_t shard_parse(const char *text, shard_t *ret_shard, mailbus_error_t *error)
{
    if (*text == '\0') {
        *ret_shard = (shard_t){1, 1};
        return MAILBUS_OK;
    }
    char index[8];
    char count[8];
    char rest;
    unsigned long i = 0;
    unsigned long n = 0;
    if (sscanf(text, "%7[0-9]/%7[0-9]%c", index, count, &rest) == 2) {
        i = strtoul(index, NULL, 10);
        n = strtoul(count, NULL, 10);
    }
    if (n < 1 || n > SHARD_MAX || i < 1 || i > n) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "a shard is INDEX/COUNT with 1 <= INDEX <= COUNT <= %d, not \"%.40s\"",
                            SHARD_MAX, text);
    }
    *ret_shard = (shard_t){(unsigned)i, (unsigned)n};
    return MAILBUS_OK;
}

/* The thread id in the object that the event is about; NULL where there is none. */
static const char *thread_of(const cJSON *envelope)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, envelope)
    {
        const char *thread = cJSON_IsObject(item) ? mailbus_json_string(item, "thread_id") : NULL;
        if (thread != NULL) {
            return thread;
        }
    }
    return NULL;
}

bool shard_owns(const shard_t *shard, const mailbus_event_t *event)
{
    if (shard->count == 1) {
        return true;
    }
    cJSON *envelope = NULL;
    const char *key = NULL;
    if (mailbus_json_parse(event->body, event->body_size, &envelope, NULL) == MAILBUS_OK) {
        key = thread_of(envelope);
    }
    key = key != NULL ? key : event->id;
    bool ours = hash_bytes(key, strlen(key)) % shard->count == shard->index - 1;
    cJSON_Delete(envelope);
    return ours;
}
