#include "delivery_slot.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "encoding.h"
#include "webhook_signature.h"

enum {
    TIMEOUT_S = 15,           /* Svix's */
    ANSWER_MAX = 1024 * 1024, /* bytes of an answer: it is not looked at */
    RETRY_AFTER_MAX_S = 3600, /* a receiver can't put us off for longer */
};

static size_t take_answer(char *data, size_t size, size_t count, void *arg)
{
    (void)data;
    slot_t *self = arg;
    self->received += size * count;
    return self->received <= ANSWER_MAX ? size * count : 0;
}

bool slot_open(slot_t *self)
{
    self->easy = curl_easy_init();
    if (self->easy == NULL) {
        return false;
    }
    curl_easy_setopt(self->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(self->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(self->easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(self->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(self->easy, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
    curl_easy_setopt(self->easy, CURLOPT_POST, 1L);
    curl_easy_setopt(self->easy, CURLOPT_USERAGENT, "agentmail-sim/" MAILBUS_VERSION);
    curl_easy_setopt(self->easy, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(self->easy, CURLOPT_WRITEDATA, self);
    curl_easy_setopt(self->easy, CURLOPT_ERRORBUFFER, self->error);
    curl_easy_setopt(self->easy, CURLOPT_PRIVATE, self);
    return true;
}

static void add_header(slot_t *self, const char *text)
{
    struct curl_slist *list = curl_slist_append(self->headers, text);
    if (list != NULL) {
        self->headers = list;
    }
}

/* The signature of one attempt: a Svix timestamp is that of the attempt, not of the event. */
static void sign(slot_t *self, const delivery_item_t *item, int64_t wall_ms)
{
    mailbus_buf_t line = MAILBUS_BUF_INIT;
    if (item->guide) {
        const mb_part_t part = {item->body, item->size};
        uint8_t digest[MB_SHA256_SIZE];
        mailbus_code_t code = mb_hmac_sha256(item->secret, strlen(item->secret), &part, 1, digest);
        assert(code == MAILBUS_OK);
        mailbus_buf_text(&line, "X-AgentMail-Signature: sha256=");
        mb_hex_encode(digest, sizeof digest, &line);
        add_header(self, line.data);
        mailbus_buf_free(&line);
        return;
    }
    mb_webhook_key_t key;
    char timestamp[32];
    snprintf(timestamp, sizeof timestamp, "%lld", (long long)(wall_ms / 1000));
    mailbus_code_t code = mb_webhook_key_parse(item->secret, &key, NULL);
    assert(code == MAILBUS_OK); /* looked at when it was registered */
    mailbus_buf_printf(&line, "svix-id: %s", item->id);
    add_header(self, line.data);
    mailbus_buf_clear(&line);
    mailbus_buf_printf(&line, "svix-timestamp: %s", timestamp);
    add_header(self, line.data);
    mailbus_buf_clear(&line);
    mailbus_buf_text(&line, "svix-signature: ");
    code = mb_webhook_sign(&key, item->id, timestamp, item->body, item->size, &line);
    assert(code == MAILBUS_OK);
    add_header(self, line.data);
    mailbus_buf_free(&line);
}

void slot_close(slot_t *self)
{
    curl_slist_free_all(self->headers);
    self->headers = NULL;
    curl_easy_cleanup(self->easy);
    self->easy = NULL;
    delivery_item_free(&self->item);
}

void slot_load(slot_t *self, delivery_item_t *item)
{
    self->item = item;
    self->received = 0;
    self->error[0] = '\0';
    self->started_ms = mb_clock_monotonic_ms();
    self->wall_ms = mb_clock_wall_ms();
    add_header(self, "Content-Type: application/json");
    add_header(self, "Expect:");
    for (char **header = item->headers; header != NULL && *header != NULL; header++) {
        add_header(self, *header);
    }
    sign(self, item, self->wall_ms);
    curl_easy_setopt(self->easy, CURLOPT_URL, item->url);
    curl_easy_setopt(self->easy, CURLOPT_HTTPHEADER, self->headers);
    curl_easy_setopt(self->easy, CURLOPT_POSTFIELDS, item->body);
    curl_easy_setopt(self->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)item->size);
}

unsigned slot_result(slot_t *self, CURLcode result, attempt_t *ret_attempt)
{
    attempt_t attempt = {
        .wall_ms = self->wall_ms,
        .took_ms = mb_clock_monotonic_ms() - self->started_ms,
    };
    curl_off_t retry_after = 0;
    if (result == CURLE_OK) {
        curl_easy_getinfo(self->easy, CURLINFO_RESPONSE_CODE, &attempt.status);
        curl_easy_getinfo(self->easy, CURLINFO_RETRY_AFTER, &retry_after);
    } else {
        snprintf(attempt.error, sizeof attempt.error, "%.127s",
                 self->error[0] != '\0' ? self->error : curl_easy_strerror(result));
    }
    if (self->spoil.count > 0) {
        attempt.status = (long)self->spoil.status;
        retry_after = self->spoil.retry_after;
        snprintf(attempt.error, sizeof attempt.error, "delivered, then made to fail by /sim/fail");
    }
    *ret_attempt = attempt;
    return (unsigned)(retry_after > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : retry_after);
}

delivery_item_t *slot_unload(slot_t *self)
{
    delivery_item_t *item = self->item;
    curl_slist_free_all(self->headers);
    self->headers = NULL;
    self->item = NULL;
    return item;
}
