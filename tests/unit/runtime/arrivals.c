#include "arrivals.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

#define STREAM "11111111-1111-4111-8111-111111111111"

inbox_arrival_t arrival_new(uint64_t sequence, size_t body_size)
{
    char id[32];
    snprintf(id, sizeof id, "evt_%llu", (unsigned long long)sequence);
    char *body = calloc(1, body_size + 1);
    assert(body != NULL);
    memset(body, 'x', body_size);
    const mailbus_event_t event = {.topic = "message.received",
                                   .id = id,
                                   .source = "/agentmail",
                                   .time = "2026-10-12T09:31:04.000Z",
                                   .recorded_time = "2026-10-12T09:31:05.000Z",
                                   .stream = STREAM,
                                   .sequence = sequence,
                                   .previous = sequence - 1};
    mailbus_buf_t header = MAILBUS_BUF_INIT;
    mailbus_code_t code = mailbus_header_encode(&event, &header, NULL);
    assert(code == MAILBUS_OK);
    inbox_arrival_t made = {.header_size = header.size};
    code = mailbus_event_decode(event.topic, strlen(event.topic), header.data, header.size, body,
                                body_size, &made.event, NULL);
    assert(code == MAILBUS_OK);
    made.header = mailbus_buf_take(&header, NULL);
    free(body);
    return made;
}

void arrival_free(inbox_arrival_t *made)
{
    mailbus_event_free(&made->event);
    free(made->header);
}

mailbus_code_t arrival_take_in(inbox_t *inbox, uint64_t sequence, size_t body_size, const char *gap)
{
    inbox_arrival_t made = arrival_new(sequence, body_size);
    mailbus_code_t code = inbox_take_in(inbox, &made, 1, gap, mb_clock_wall_ms(), NULL);
    arrival_free(&made);
    return code;
}
