/* One thread at a time owns the handle. */
#include "agentmail/transfer.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agentmail/client.h"
#include "agentmail/guard.h"

enum {
    HEADERS_LIMIT =
        64 * 1024,  /* bytes of an answer's header: libcurl 7.88 bounds a line, not all */
    LEAST_RATE = 1, /* bytes a second: less than this for stall_s seconds is a standstill */
};

struct agentmail_handle {
    CURL *curl;
    /* of the exchange that runs */
    const agentmail_transfer_t *transfer;
    mailbus_buf_t *body;
    size_t taken;
    size_t header_bytes;
    bool reached_limit;
    bool headers_too_long;
    bool refused;
    char error[CURL_ERROR_SIZE];
};

agentmail_handle_t *agentmail_handle_new(void)
{
    agentmail_handle_t *self = calloc(1, sizeof *self);
    if (self != NULL && (self->curl = curl_easy_init()) == NULL) {
        agentmail_handle_destroy(&self);
    }
    return self;
}

void agentmail_handle_destroy(agentmail_handle_t **self_p)
{
    agentmail_handle_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    curl_easy_cleanup(self->curl);
    free(self);
    *self_p = NULL;
}

/* --- what libcurl calls -------------------------------------------------------------------------
 */

/* The declared length means nothing: count. A short return ends the exchange. */
static size_t on_body(char *data, size_t unit, size_t count, void *arg)
{
    agentmail_handle_t *self = arg;
    size_t size = unit * count;
    size_t room = self->transfer->limit - self->taken;
    size_t take = size < room ? size : room;
    mailbus_buf_append(self->body, data, take);
    self->taken += take;
    if (take < size) {
        self->reached_limit = true;
    }
    return self->body->failed ? 0 : take;
}

static size_t on_header(char *data, size_t unit, size_t count, void *arg)
{
    (void)data;
    agentmail_handle_t *self = arg;
    self->header_bytes += unit * count;
    self->headers_too_long = self->header_bytes > HEADERS_LIMIT;
    return self->headers_too_long ? 0 : unit * count;
}

static bool may_reach(agentmail_reach_t reach, const struct sockaddr *address)
{
    switch (reach) {
    case AGENTMAIL_REACH_ANY:
        return true;
    case AGENTMAIL_REACH_LOOPBACK:
        return agentmail_address_is_loopback(address);
    case AGENTMAIL_REACH_PUBLIC:
        return agentmail_address_is_public(address);
    }
    return false;
}

/* After DNS and before connecting: a name that is fine may lead to an address that is not. */
static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    agentmail_handle_t *self = arg;
    if (purpose != CURLSOCKTYPE_IPCXN || !may_reach(self->transfer->reach, &address->addr)) {
        self->refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* Called about once a second, whether anything moves or not. */
static int on_progress(void *arg, curl_off_t down, curl_off_t now_down, curl_off_t up,
                       curl_off_t now_up)
{
    const agentmail_handle_t *self = arg;
    (void)down, (void)now_down, (void)up, (void)now_up;
    return self->transfer->stopped != NULL && atomic_load(self->transfer->stopped);
}

/* --- one exchange -------------------------------------------------------------------------------
 */

/* An option that libcurl does not take is a build without it: never go on without a guard. */
#define SET(option, value)                                                                         \
    do {                                                                                           \
        CURLcode set = curl_easy_setopt(curl, (option), (value));                                  \
        assert(set == CURLE_OK || set == CURLE_OUT_OF_MEMORY);                                     \
        *failed = *failed || set != CURLE_OK;                                                      \
    } while (0)

static void set_bounds(CURL *curl, const agentmail_transfer_t *transfer, bool *failed)
{
    bool https_only = transfer->reach != AGENTMAIL_REACH_LOOPBACK;
    SET(CURLOPT_NOSIGNAL, 1L); /* threads */
    SET(CURLOPT_PROTOCOLS_STR, https_only ? "https" : "http,https");
    SET(CURLOPT_REDIR_PROTOCOLS_STR, "https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_TIMEOUT_MS, transfer->timeout_ms);
    SET(CURLOPT_CONNECTTIMEOUT_MS, transfer->connect_timeout_ms);
    SET(CURLOPT_LOW_SPEED_LIMIT,
        transfer->least_rate > 0 ? transfer->least_rate : (long)LEAST_RATE);
    SET(CURLOPT_LOW_SPEED_TIME, transfer->stall_s);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_FRESH_CONNECT, transfer->once ? 1L : 0L);
    if (!transfer->cut) {
        SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)transfer->limit); /* by Content-Length */
    }
    if (transfer->reach != AGENTMAIL_REACH_ANY) {
        SET(CURLOPT_PROXY, ""); /* a proxy would connect where we must not, or take the key along */
    }
}

static void set_callbacks(agentmail_handle_t *self, bool *failed)
{
    CURL *curl = self->curl;
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, self);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, self);
    SET(CURLOPT_OPENSOCKETFUNCTION, on_open);
    SET(CURLOPT_OPENSOCKETDATA, self);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_XFERINFODATA, self);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_ERRORBUFFER, self->error);
}

static bool append(struct curl_slist **list, const char *line)
{
    if (line == NULL) {
        return true;
    }
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer != NULL) {
        *list = longer;
    }
    return longer != NULL;
}

static void set_request(CURL *curl, const agentmail_transfer_t *transfer,
                        struct curl_slist **headers, bool *failed)
{
    bool has_body = transfer->json != NULL;
    for (size_t i = 0; transfer->headers != NULL && transfer->headers[i] != NULL; i++) {
        *failed = *failed || !append(headers, transfer->headers[i]);
    }
    *failed = *failed || !append(headers, transfer->authorization) ||
              !append(headers, transfer->key) || !append(headers, "Expect:") ||
              !append(headers, has_body ? "Content-Type: application/json" : NULL);
    SET(CURLOPT_URL, transfer->url);
    SET(CURLOPT_USERAGENT, transfer->user_agent);
    SET(CURLOPT_HTTPHEADER, *headers);
    if (has_body) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)transfer->json_size);
        SET(CURLOPT_POSTFIELDS, transfer->json);
    }
    SET(CURLOPT_CUSTOMREQUEST, transfer->method);
}

#undef SET

/* A value that does not fit says nothing: half a Link field would lead elsewhere. */
static void read_wanted(agentmail_handle_t *self, agentmail_answer_t *answer)
{
    const char *const *wanted = self->transfer->wanted;
    struct curl_header *header = NULL;
    for (size_t i = 0; wanted != NULL && wanted[i] != NULL; i++) {
        assert(i < AGENTMAIL_WANTED_MAX);
        if (curl_easy_header(self->curl, wanted[i], 0, CURLH_HEADER, -1, &header) == CURLHE_OK &&
            strlen(header->value) < AGENTMAIL_HEADER_SIZE) {
            snprintf(answer->values[i], AGENTMAIL_HEADER_SIZE, "%s", header->value);
        }
    }
}

static void read_answer(agentmail_handle_t *self, agentmail_answer_t *answer)
{
    struct curl_header *header = NULL;
    curl_easy_getinfo(self->curl, CURLINFO_RESPONSE_CODE, &answer->status);
    if (curl_easy_header(self->curl, "Retry-After", 0, CURLH_HEADER, -1, &header) == CURLHE_OK) {
        answer->retry_after = agentmail_retry_after(header->value, time(NULL));
    }
    read_wanted(self, answer);
}

static void explain(const agentmail_handle_t *self, CURLcode code, agentmail_answer_t *answer)
{
    const char *why = self->error[0] != '\0' ? self->error : curl_easy_strerror(code);
    if (self->refused) {
        why = "the address leads to a network that must not be asked";
    } else if (self->headers_too_long) {
        why = "the answer's header does not end";
    } else if (answer->too_long) {
        why = "the answer is longer than allowed";
    } else if (code == CURLE_OUT_OF_MEMORY) { /* also what libcurl says of one endless line */
        why = "out of memory, or a line of the answer's header does not end";
    } else if (self->body->failed) {
        why = "out of memory";
    } else if (code == CURLE_ABORTED_BY_CALLBACK) {
        why = "stopped before there was an answer";
    }
    snprintf(answer->failure, sizeof answer->failure, "%s", why);
}

void agentmail_handle_run(agentmail_handle_t *self, const agentmail_transfer_t *transfer,
                          mailbus_buf_t *body, agentmail_answer_t *answer)
{
    struct curl_slist *headers = NULL;
    bool failed = false;
    *answer = (agentmail_answer_t){0};
    self->transfer = transfer;
    self->body = body;
    self->taken = self->header_bytes = 0;
    self->reached_limit = self->headers_too_long = self->refused = false;
    self->error[0] = '\0';
    curl_easy_reset(self->curl); /* options; connections stay */
    set_bounds(self->curl, transfer, &failed);
    set_callbacks(self, &failed);
    set_request(self->curl, transfer, &headers, &failed);
    CURLcode code = failed ? CURLE_OUT_OF_MEMORY : curl_easy_perform(self->curl);
    long request_bytes = 0;
    curl_easy_getinfo(self->curl, CURLINFO_REQUEST_SIZE, &request_bytes);
    answer->sent = code == CURLE_OK || request_bytes > 0;
    answer->refused = self->refused;
    answer->too_long = self->reached_limit || code == CURLE_FILESIZE_EXCEEDED;
    if (code == CURLE_OK || (self->reached_limit && transfer->cut)) {
        read_answer(self, answer);
    } else {
        explain(self, code, answer);
    }
    curl_easy_setopt(self->curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    self->transfer = NULL;
    self->body = NULL;
}
