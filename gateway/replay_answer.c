#include "replay_answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mailbus/json.h"
#include "replay_page.h"
#include "replay_peers.h"

/* Pages that fit below the high-water mark. */
#define HWM_PAGES 5

/* A page is not smaller, whatever the mark: libzmq lets go of the last few parcels late, and a peer
 * that has read all must not look like one that has not. */
#define PAGE_EVENTS_MIN 10

typedef enum {
    RESULT_OK,
    RESULT_MALFORMED,
    RESULT_OTHER_STREAM,
    RESULT_TOO_MANY,
    RESULT_FAILED,
    RESULT_UNSENT, /* the peer is gone, or takes nothing: it asks again or it does not care */
    RESULTS,
} result_t;

static const char *const result_labels[RESULTS] = {
    [RESULT_OK] = "result=\"ok\"",
    [RESULT_MALFORMED] = "result=\"malformed\"",
    [RESULT_OTHER_STREAM] = "result=\"other_stream\"",
    [RESULT_TOO_MANY] = "result=\"too_many\"",
    [RESULT_FAILED] = "result=\"failed\"",
    [RESULT_UNSENT] = "result=\"unsent\"",
};

struct replay_answerer {
    char stream[MAILBUS_UUID_SIZE];
    size_t page_events;
    mb_log_t *log;
    mb_metric_t *requests[RESULTS];
    mb_metric_t *events, *bytes, *trimmed, *in_flight;
    replay_peers_t *peers;
    replay_page_t page;
    mailbus_buf_t json;
    /* While a request is answered. */
    void *socket;
    journal_reader_t *reader;
};

/* Who asked, and what for. Lent from the message. */
typedef struct {
    const void *id;
    size_t id_size;
    bool delimited; /* an empty frame came first, as REQ sends: answered in kind */
    char request[MAILBUS_REQUEST_ID_MAX + 1];
    gateway_account_t *account; /* NULL: too many peers */
} asker_t;

/* Send the frames that every answer begins with. The first one decides for the whole message: with
 * ROUTER_MANDATORY it fails where the peer is gone (EHOSTUNREACH) or has no room (EAGAIN), and what
 * follows an accepted one is accepted too. */
static mailbus_code_t send_verb(replay_answerer_t *self, const asker_t *asker,
                                mailbus_replay_kind_t kind)
{
    const char *verb = mailbus_replay_verb(kind);
    mailbus_code_t code = mb_frame_send(self->socket, asker->id, asker->id_size, true, NULL);
    if (code == MAILBUS_OK && asker->delimited) {
        code = mb_frame_send(self->socket, "", 0, true, NULL);
    }
    return code == MAILBUS_OK ? mb_frame_send(self->socket, verb, strlen(verb), true, NULL) : code;
}

static mailbus_code_t send_last(replay_answerer_t *self, zmq_msg_t *frame)
{
    if (zmq_msg_send(frame, self->socket, ZMQ_DONTWAIT) < 0) {
        return mb_socket_fail(NULL, "sending an answer");
    }
    return MAILBUS_OK;
}

/* END, TRIMMED or ERROR. They count as parcels too: END names every topic there is, and errors
 * answer whoever goes on asking without reading. */
static mailbus_code_t send_answer(replay_answerer_t *self, const asker_t *asker,
                                  mailbus_answer_t *answer)
{
    memcpy(answer->request, asker->request, sizeof answer->request);
    if (asker->account != NULL &&
        gateway_account_parcels(asker->account) > (HWM_PAGES - 2) * self->page_events) {
        return MAILBUS_EAGAIN;
    }
    mailbus_error_t error;
    mailbus_buf_clear(&self->json);
    mailbus_code_t code = mailbus_answer_encode(answer, &self->json, &error);
    if (code != MAILBUS_OK) {
        mb_log(self->log, MB_ERROR, "replay", "an answer can't be encoded",
               MB_S("error", error.text));
        return code;
    }
    zmq_msg_t frame;
    code = asker->account != NULL
               ? gateway_parcel_copy(asker->account, self->json.data, self->json.size, &frame)
               : gateway_frame_copy(self->json.data, self->json.size, &frame);
    if (code != MAILBUS_OK) {
        return code;
    }
    code = send_verb(self, asker, answer->kind);
    if (code == MAILBUS_OK) {
        code = send_last(self, &frame);
    }
    zmq_msg_close(&frame); /* nothing where it was sent */
    return code;
}

static result_t refuse(replay_answerer_t *self, const asker_t *asker, result_t result, int code,
                       const char *message)
{
    mailbus_answer_t answer = {.kind = MAILBUS_REPLAY_ERROR, .code = code};
    size_t size = strnlen(message, sizeof answer.message - 1);
    if (mailbus_utf8_valid(message, size)) { /* it may quote the peer, and be cut in a character */
        memcpy(answer.message, message, size);
    } else {
        snprintf(answer.message, sizeof answer.message, "the request is malformed");
    }
    mb_log(self->log, MB_DEBUG, "replay", "refused", MB_S("request", asker->request),
           MB_I("code", code), MB_S("reason", message));
    return send_answer(self, asker, &answer) == MAILBUS_OK ? result : RESULT_UNSENT;
}

static mailbus_code_t send_event(replay_answerer_t *self, const asker_t *asker,
                                 replay_entry_t *entry)
{
    size_t size = zmq_msg_size(&entry->body);
    mailbus_code_t code = send_verb(self, asker, MAILBUS_REPLAY_EVENT);
    if (code == MAILBUS_OK) {
        code = mb_frame_send(self->socket, asker->request, strlen(asker->request), true, NULL);
    }
    if (code == MAILBUS_OK && (zmq_msg_send(&entry->topic, self->socket, ZMQ_SNDMORE) < 0 ||
                               zmq_msg_send(&entry->header, self->socket, ZMQ_SNDMORE) < 0)) {
        code = mb_socket_fail(NULL, "sending an event");
    }
    if (code == MAILBUS_OK) {
        code = send_last(self, &entry->body);
    }
    if (code == MAILBUS_OK) {
        mb_metric_add(self->events, 1);
        mb_metric_add(self->bytes, size);
    }
    return code;
}

static result_t send_page(replay_answerer_t *self, const asker_t *asker)
{
    replay_page_t *page = &self->page;
    mailbus_answer_t trimmed = {.kind = MAILBUS_REPLAY_TRIMMED, .oldest = page->oldest};
    if (page->trimmed) {
        mb_metric_add(self->trimmed, 1);
        if (send_answer(self, asker, &trimmed) != MAILBUS_OK) {
            return RESULT_UNSENT;
        }
    }
    for (size_t i = 0; i < page->count; i++) {
        if (send_event(self, asker, &page->entries[i]) != MAILBUS_OK) {
            page->next = page->entries[i].sequence;
            break;
        }
    }
    mailbus_answer_t end = {
        .kind = MAILBUS_REPLAY_END,
        .next = page->next,
        .oldest = page->oldest,
        .heads = page->heads,
    };
    return send_answer(self, asker, &end) == MAILBUS_OK ? RESULT_OK : RESULT_UNSENT;
}

/* True where this peer may be sent a page. */
static bool has_room(const replay_answerer_t *self, const asker_t *asker)
{
    return asker->account != NULL && gateway_account_parcels(asker->account) <= self->page_events &&
           gateway_account_bytes(asker->account) <= MAILBUS_FETCH_MAX_BYTES &&
           replay_peers_bytes(self->peers) <= REPLAY_TOTAL_BYTES_MAX;
}

static result_t answer_fetch(replay_answerer_t *self, const asker_t *asker,
                             const mailbus_fetch_t *fetch)
{
    if (fetch->stream[0] != '\0' && strcmp(fetch->stream, self->stream) != 0) {
        return refuse(self, asker, RESULT_OTHER_STREAM, 404,
                      "this gateway has another journal: ask without \"stream\" to see which, and "
                      "begin anew there");
    }
    if (!has_room(self, asker)) {
        return refuse(self, asker, RESULT_TOO_MANY, 429,
                      asker->account == NULL ||
                              replay_peers_bytes(self->peers) > REPLAY_TOTAL_BYTES_MAX
                          ? "too many readers are behind: ask again in a second"
                          : "read what was sent before asking for more");
    }
    mailbus_error_t error;
    mailbus_code_t code = replay_page_read(&self->page, self->reader, fetch, self->page_events,
                                           self->stream, asker->account, &error);
    if (code != MAILBUS_OK) {
        mb_log(self->log, MB_ERROR, "replay", "the journal can't be read",
               MB_S("request", asker->request), MB_S("error", error.text));
        return refuse(self, asker, RESULT_FAILED, 500,
                      "the journal can't be read now: ask again, and look at the gateway's log");
    }
    mb_log(self->log, MB_DEBUG, "replay", "page", MB_S("request", asker->request),
           MB_U("from", fetch->from), MB_U("events", self->page.count),
           MB_U("next", self->page.next), MB_U("head", self->page.heads->sequence));
    result_t result = send_page(self, asker);
    replay_page_clear(&self->page);
    return result;
}

/* The request id of what could not be decoded, where it can be read: the asker then knows which of
 * its requests was wrong. */
static void guess_request(mb_message_t *message, size_t frame, asker_t *asker)
{
    cJSON *tree = NULL;
    if (frame >= message->count || mb_message_size(message, frame) > MAILBUS_FETCH_MAX_SIZE ||
        mailbus_json_parse_object(mb_message_data(message, frame), mb_message_size(message, frame),
                                  &tree, NULL) != MAILBUS_OK) {
        return;
    }
    const char *text = mailbus_json_string(tree, "request");
    size_t size = text != NULL ? strlen(text) : 0;
    bool printable = size > 0 && size <= MAILBUS_REQUEST_ID_MAX;
    for (size_t i = 0; printable && i < size; i++) {
        printable = text[i] > ' ' && text[i] <= '~';
    }
    if (printable) {
        memcpy(asker->request, text, size + 1);
    }
    cJSON_Delete(tree);
}

static result_t answer_message(replay_answerer_t *self, mb_message_t *message)
{
    asker_t asker = {
        .id = mb_message_data(message, 0),
        .id_size = mb_message_size(message, 0),
        .delimited = message->count > 1 && mb_message_size(message, 1) == 0,
    };
    asker.account = replay_peers_account(self->peers, asker.id, asker.id_size);
    size_t verb = asker.delimited ? 2 : 1;
    if (message->too_many || message->count != verb + 2) {
        guess_request(message, verb + 1, &asker);
        return refuse(self, &asker, RESULT_MALFORMED, 400,
                      "a request is two frames: FETCH or HEADS, and a JSON object");
    }
    mailbus_error_t error;
    mailbus_fetch_t *fetch = NULL;
    if (mailbus_fetch_decode(mb_message_data(message, verb), mb_message_size(message, verb),
                             mb_message_data(message, verb + 1), mb_message_size(message, verb + 1),
                             &fetch, &error) != MAILBUS_OK) {
        guess_request(message, verb + 1, &asker);
        return refuse(self, &asker, RESULT_MALFORMED, 400, error.text);
    }
    memcpy(asker.request, fetch->request, sizeof asker.request);
    result_t result;
    if (asker.delimited) {
        result = refuse(self, &asker, RESULT_MALFORMED, 400,
                        "use a DEALER socket: REQ would read the first answer only");
    } else {
        result = answer_fetch(self, &asker, fetch);
    }
    mailbus_fetch_free(&fetch);
    return result;
}

void replay_answer(replay_answerer_t *self, void *socket, journal_reader_t *reader,
                   mb_message_t *message)
{
    self->socket = socket;
    self->reader = reader;
    mb_metric_add(self->requests[answer_message(self, message)], 1);
}

void replay_answerer_tend(replay_answerer_t *self)
{
    mb_metric_set(self->in_flight, (int64_t)replay_peers_bytes(self->peers));
}

static void register_metrics(replay_answerer_t *self, mb_metrics_t *metrics)
{
    for (int i = 0; i < RESULTS; i++) {
        self->requests[i] = mb_counter(metrics, "mailbus_replay_requests_total", result_labels[i],
                                       "Replay requests by what became of them");
    }
    self->events =
        mb_counter(metrics, "mailbus_replay_events_total", "", "Events sent in replay pages");
    self->bytes = mb_counter(metrics, "mailbus_replay_bytes_total", "",
                             "Bytes of event bodies sent in replay pages");
    self->trimmed = mb_counter(metrics, "mailbus_replay_trimmed_total", "",
                               "Pages whose beginning was no longer kept");
    self->in_flight = mb_gauge(metrics, "mailbus_replay_in_flight_bytes", "",
                               "Answers that their readers have not taken yet");
}

static size_t page_events(int send_hwm)
{
    const int events = send_hwm / HWM_PAGES;
    if (events < PAGE_EVENTS_MIN) {
        return PAGE_EVENTS_MIN;
    }
    return events > MAILBUS_FETCH_MAX_LIMIT ? MAILBUS_FETCH_MAX_LIMIT : (size_t)events;
}

mailbus_code_t replay_answerer_new(const char *stream, int send_hwm, mb_metrics_t *metrics,
                                   mb_log_t *log, replay_answerer_t **ret_self,
                                   mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    replay_answerer_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for replay");
    }
    memcpy(self->stream, stream, sizeof self->stream);
    self->page_events = page_events(send_hwm);
    self->log = log;
    register_metrics(self, metrics);
    self->peers = replay_peers_new();
    if (self->peers == NULL) {
        code = mailbus_fail(error, MAILBUS_ENOMEM, "no memory for replay");
        goto out;
    }
    code = replay_page_init(&self->page, error);
    if (code != MAILBUS_OK) {
        goto out;
    }
    *ret_self = self;
    self = NULL;
out:
    replay_answerer_destroy(&self);
    return code;
}

void replay_answerer_destroy(replay_answerer_t **self_p)
{
    replay_answerer_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    replay_page_free(&self->page);
    replay_peers_destroy(&self->peers);
    mailbus_buf_free(&self->json);
    free(self);
}
