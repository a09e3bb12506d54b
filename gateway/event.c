#include "event.h"

#include <stdlib.h>

#include "mailbus/replay.h"

event_t *event_new(void)
{
    event_t *self = calloc(1, sizeof *self);
    if (self != NULL) {
        atomic_init(&self->references, 1);
    }
    return self;
}

event_t *event_hold(event_t *self)
{
    atomic_fetch_add_explicit(&self->references, 1, memory_order_relaxed);
    return self;
}

void event_release(event_t **self_p)
{
    event_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL || atomic_fetch_sub_explicit(&self->references, 1, memory_order_acq_rel) > 1) {
        return;
    }
    free(self->topic);
    free(self->id);
    free(self->webhook_id);
    free(self->source);
    free(self->subject);
    free(self->time);
    free(self->body);
    free(self);
}

mailbus_code_t event_header(const event_t *self, const char *stream, mailbus_buf_t *out,
                            mailbus_error_t *error)
{
    char recorded[MAILBUS_TIME_SIZE];
    mailbus_time_format(self->recorded_ms, recorded);
    const mailbus_event_t event = {
        .topic = self->topic,
        .id = self->id,
        .source = self->source,
        .subject = self->subject,
        .time = self->time != NULL ? self->time : recorded,
        .stream = stream,
        .webhook_id = self->webhook_id,
        .recorded_time = recorded,
        .sequence = self->sequence,
        .previous = self->previous,
    };
    return mailbus_header_encode(&event, out, error);
}
