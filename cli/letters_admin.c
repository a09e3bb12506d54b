/* Dead letters of a program that runs, through its admin listener (the runtime's dead_http.h). */
#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoding.h"
#include "letters.h"
#include "mailbus/json.h"
#include "mailbus/replay.h"

enum {
    /* A page of DEAD_LIST_MAX letters with long reasons, or one with the largest body escaped. */
    ANSWER_MAX = 32 * 1024 * 1024,
    ADDRESS_MAX = 300,
};

typedef struct {
    letters_t base;
    CURL *curl;
    char address[ADDRESS_MAX];
    long timeout_ms;
} letters_admin_t;

static letters_admin_t *admin_of(letters_t *self)
{
    return (letters_admin_t *)self;
}

static size_t receive(char *data, size_t size, size_t count, void *arg)
{
    mailbus_buf_t *answer = arg;
    mailbus_buf_append(answer, data, size * count);
    return answer->failed ? 0 : size * count;
}

static mailbus_code_t judge(long status, const cJSON *tree, mailbus_error_t *error)
{
    const char *text = mailbus_json_string(tree, "error");
    text = text != NULL ? text : "no reason was given";
    if (status >= 200 && status < 300) {
        return tree != NULL ? MAILBUS_OK
                            : mailbus_fail(error, MAILBUS_EIO, "the answer is not JSON");
    }
    if (status == 404) {
        return mailbus_fail(error, MAILBUS_ENOTFOUND, "%.200s", text);
    }
    return mailbus_fail(error, status == 403 ? MAILBUS_EACCESS : MAILBUS_EIO, "%.180s (%ld)", text,
                        status);
}

/* Ask for `path`, and give back the answer's tree, to be deleted. */
static mailbus_code_t call(letters_admin_t *self, bool post, const char *path, cJSON **ret_tree,
                           mailbus_error_t *error)
{
    char url[ADDRESS_MAX + 128];
    mailbus_buf_t answer = {.limit = ANSWER_MAX};
    cJSON *tree = NULL;
    long status = 0;
    snprintf(url, sizeof url, "http://%s%s", self->address, path);
    curl_easy_reset(self->curl);
    curl_easy_setopt(self->curl, CURLOPT_URL, url);
    curl_easy_setopt(self->curl, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(self->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(self->curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(self->curl, CURLOPT_TIMEOUT_MS, self->timeout_ms);
    curl_easy_setopt(self->curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(self->curl, CURLOPT_WRITEDATA, &answer);
    if (post) {
        curl_easy_setopt(self->curl, CURLOPT_POST, 1L);
        curl_easy_setopt(self->curl, CURLOPT_POSTFIELDSIZE, 0L);
    }
    CURLcode result = curl_easy_perform(self->curl);
    curl_easy_getinfo(self->curl, CURLINFO_RESPONSE_CODE, &status);
    mailbus_code_t code;
    if (result == CURLE_COULDNT_CONNECT) {
        code = mailbus_fail(error, MAILBUS_ENOTFOUND,
                            "nobody listens on %s: is it the program's admin.listen? Where it is "
                            "stopped, leave --admin out",
                            self->address);
    } else if (result != CURLE_OK) {
        code =
            mailbus_fail(error, MAILBUS_EIO, "%s: %s", self->address, curl_easy_strerror(result));
    } else {
        (void)!mailbus_json_parse_object(answer.data != NULL ? answer.data : "", answer.size, &tree,
                                         NULL);
        code = judge(status, tree, error);
    }
    mailbus_buf_free(&answer);
    if (code != MAILBUS_OK) {
        cJSON_Delete(tree);
        return code;
    }
    *ret_tree = tree;
    return MAILBUS_OK;
}

static uint64_t number_of(const cJSON *item, const char *key)
{
    const char *text = mailbus_json_string(item, key);
    uint64_t number = 0;
    return text != NULL && mailbus_sequence_parse(text, &number) == MAILBUS_OK ? number : 0;
}

static unsigned count_of(const cJSON *item, const char *key)
{
    double number = cJSON_GetNumberValue(mailbus_json_item(item, key));
    return number >= 0 && number <= 1e9 ? (unsigned)number : 0;
}

static int64_t time_of(const cJSON *item, const char *key)
{
    const char *text = mailbus_json_string(item, key);
    int64_t ms = 0;
    return text != NULL && mailbus_time_parse(text, &ms) == MAILBUS_OK ? ms : 0;
}

static const char *text_of(const cJSON *item, const char *key)
{
    const char *text = mailbus_json_string(item, key);
    return text != NULL ? text : "";
}

/* Hand one letter on; header and body only where the answer has them. */
static mailbus_code_t visit_letter(const cJSON *item, dead_visit_fn *visit, void *arg,
                                   mailbus_error_t *error)
{
    dead_letter_t letter = {
        .number = (int64_t)(number_of(item, "id") & INT64_MAX),
        .sequence = number_of(item, "sequence"),
        .id = text_of(item, "event"),
        .topic = text_of(item, "topic"),
        .reason = text_of(item, "reason"),
        .attempts = count_of(item, "attempts"),
        .crashes = count_of(item, "crashes"),
        .first_ms = time_of(item, "first"),
        .set_aside_ms = time_of(item, "set_aside"),
    };
    const cJSON *header = mailbus_json_item(item, "header");
    const char *body = mailbus_json_string(item, "body");
    const char *coded = mailbus_json_string(item, "body_base64");
    char *header_text = header != NULL ? cJSON_PrintUnformatted(header) : NULL;
    uint8_t *decoded = NULL;
    mailbus_code_t code = MAILBUS_OK;
    if (header_text != NULL) {
        letter.header = header_text;
        letter.header_size = strlen(header_text);
    }
    if (body != NULL) {
        letter.body = body;
        letter.body_size = strlen(body);
    } else if (coded != NULL) {
        decoded = malloc(strlen(coded) + 1);
        if (decoded == NULL) {
            code = mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
        } else if (mb_base64_decode(coded, strlen(coded), decoded, strlen(coded) + 1,
                                    &letter.body_size) == MAILBUS_OK) {
            letter.body = decoded;
        }
    }
    if (code == MAILBUS_OK) {
        visit(arg, &letter);
    }
    free(decoded);
    cJSON_free(header_text);
    return code;
}

static mailbus_code_t list(letters_t *self, int64_t after, size_t limit, dead_visit_fn *visit,
                           void *arg, mailbus_error_t *error)
{
    char path[96];
    cJSON *tree = NULL;
    snprintf(path, sizeof path, "/dead?after=%" PRId64 "&limit=%zu", after, limit);
    mailbus_code_t code = call(admin_of(self), false, path, &tree, error);
    const cJSON *item;
    cJSON_ArrayForEach(item, mailbus_json_item(tree, "dead"))
    {
        if (code == MAILBUS_OK) {
            code = visit_letter(item, visit, arg, error);
        }
    }
    cJSON_Delete(tree);
    return code;
}

static mailbus_code_t show(letters_t *self, int64_t number, dead_visit_fn *visit, void *arg,
                           mailbus_error_t *error)
{
    char path[64];
    cJSON *tree = NULL;
    snprintf(path, sizeof path, "/dead/%" PRId64, number);
    mailbus_code_t code = call(admin_of(self), false, path, &tree, error);
    if (code == MAILBUS_OK) {
        code = visit_letter(tree, visit, arg, error);
    }
    cJSON_Delete(tree);
    return code;
}

static mailbus_code_t change(letters_t *self, int64_t number, const char *verb,
                             mailbus_error_t *error)
{
    char path[64];
    cJSON *tree = NULL;
    snprintf(path, sizeof path, "/dead/%" PRId64 "/%s", number, verb);
    mailbus_code_t code = call(admin_of(self), true, path, &tree, error);
    cJSON_Delete(tree);
    return code;
}

static mailbus_code_t retry(letters_t *self, int64_t number, mailbus_error_t *error)
{
    return change(self, number, "retry", error);
}

static mailbus_code_t drop(letters_t *self, int64_t number, mailbus_error_t *error)
{
    return change(self, number, "drop", error);
}

static void close_admin(letters_t **self_p)
{
    letters_admin_t *self = admin_of(*self_p);
    curl_easy_cleanup(self->curl);
    curl_global_cleanup();
    free(self);
    *self_p = NULL;
}

static const letters_ops_t ops = {list, show, retry, drop, close_admin};

mailbus_code_t letters_open_admin(const char *address, long timeout_ms, letters_t **ret_self,
                                  mailbus_error_t *error)
{
    letters_admin_t *self = calloc(1, sizeof *self);
    if (self == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
        free(self);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    self->base.ops = &ops;
    self->timeout_ms = timeout_ms;
    self->curl = curl_easy_init();
    snprintf(self->address, sizeof self->address, "%s", address);
    if (self->curl == NULL) {
        letters_t *base = &self->base;
        close_admin(&base);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    *ret_self = &self->base;
    return MAILBUS_OK;
}
