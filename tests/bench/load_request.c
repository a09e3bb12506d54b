#include "load_request.h"

#include <stdio.h>
#include <string.h>

/* Text of a mail: words, so that nothing along the way is faster than with real mail. */
static void write_text(mailbus_buf_t *body, size_t until)
{
    static const char words[] =
        "Hello, could you look at the invoice of last month? The total is not "
        "what we agreed on, and the delivery was late as well. Thanks! ";
    while (body->size < until && !body->failed) {
        size_t left = until - body->size;
        size_t part = left < sizeof words - 1 ? left : sizeof words - 1;
        mailbus_buf_append(body, words, part);
    }
}

static void write_body(const load_request_t *request, mailbus_buf_t *body)
{
    static const char end[] = "\"}}";
    mailbus_buf_clear(body);
    mailbus_buf_printf(
        body,
        "{\"type\":\"event\",\"event_type\":\"%s\",\"event_id\":\"%s\",\"message\":{"
        "\"inbox_id\":\"load@agentmail.to\",\"thread_id\":\"thd_%s\","
        "\"message_id\":\"<%s@load.example>\",\"labels\":[\"received\"],"
        "\"timestamp\":\"2026-10-12T09:31:04.000Z\",\"from\":\"Load <l@load.example>\","
        "\"to\":[\"load@agentmail.to\"],\"subject\":\"Load\",\"size\":%zu,\"text\":\"",
        request->topic, request->id, request->id, request->id, request->size);
    if (request->size > sizeof end) {
        write_text(body, request->size - (sizeof end - 1));
    }
    mailbus_buf_append(body, end, sizeof end - 1);
}

mailbus_code_t load_request_write(const load_request_t *request, const mb_webhook_key_t *key,
                                  mailbus_buf_t *body, mailbus_buf_t *out,
                                  uint8_t digest[MB_SHA256_SIZE])
{
    char timestamp[24];
    snprintf(timestamp, sizeof timestamp, "%ld", request->timestamp);
    write_body(request, body);
    if (body->failed) {
        return MAILBUS_ENOMEM;
    }
    mb_sha256(body->data, body->size, digest);
    mailbus_buf_clear(out);
    mailbus_buf_printf(
        out,
        "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
        "Content-Length: %zu\r\nsvix-id: %s\r\nsvix-timestamp: %s\r\nsvix-signature: ",
        request->path, request->host, body->size, request->id, timestamp);
    mailbus_code_t code = mb_webhook_sign(key, request->id, timestamp, body->data, body->size, out);
    if (code != MAILBUS_OK) {
        return code;
    }
    mailbus_buf_text(out, "\r\n\r\n");
    mailbus_buf_append(out, body->data, body->size);
    return out->failed ? MAILBUS_ENOMEM : MAILBUS_OK;
}
