#include "running.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mailbus/json.h"

enum {
    /* A page of letters with long reasons, one with the largest body escaped, or what a command
     * may answer (the runtime's COMMANDS_ANSWER_MAX, with its line break). */
    ANSWER_MAX = 32 * 1024 * 1024 + 1024,
    ADDRESS_MAX = 300,
    PATH_MAX_SIZE = 400,
};

struct running {
    CURL *curl;
    char address[ADDRESS_MAX];
    long timeout_ms;
};

mailbus_code_t running_new(const char *address, long timeout_ms, running_t **ret_self,
                           mailbus_error_t *error)
{
    running_t *self = calloc(1, sizeof *self);
    if (self == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
        free(self);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    self->timeout_ms = timeout_ms;
    self->curl = curl_easy_init();
    snprintf(self->address, sizeof self->address, "%s", address);
    if (self->curl == NULL) {
        running_destroy(&self);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    *ret_self = self;
    return MAILBUS_OK;
}

void running_destroy(running_t **self_p)
{
    if (*self_p == NULL) {
        return;
    }
    curl_easy_cleanup((*self_p)->curl);
    curl_global_cleanup();
    free(*self_p);
    *self_p = NULL;
}

const char *running_address(const running_t *self)
{
    return self->address;
}

static size_t receive(char *data, size_t size, size_t count, void *arg)
{
    mailbus_buf_t *answer = arg;
    mailbus_buf_append(answer, data, size * count);
    return answer->failed ? 0 : size * count;
}

static mailbus_code_t translate(const running_t *self, CURLcode result, mailbus_error_t *error)
{
    if (result == CURLE_COULDNT_CONNECT) {
        return mailbus_fail(error, MAILBUS_ENOTFOUND,
                            "nobody listens on %.120s: is it the program's admin.listen? Where it "
                            "is stopped, leave --admin out",
                            self->address);
    }
    if (result == CURLE_OPERATION_TIMEDOUT) {
        return mailbus_fail(error, MAILBUS_ETIMEOUT,
                            "%.120s has not answered within %ld ms (--timeout); what was asked may "
                            "still happen",
                            self->address, self->timeout_ms);
    }
    return mailbus_fail(error, MAILBUS_EIO, "%.120s: %s", self->address,
                        curl_easy_strerror(result));
}

mailbus_code_t running_ask(running_t *self, const running_question_t *question,
                           running_answer_t *ret_answer, mailbus_error_t *error)
{
    char url[ADDRESS_MAX + PATH_MAX_SIZE];
    mailbus_buf_t text = {.limit = ANSWER_MAX};
    struct curl_slist *headers = NULL;
    snprintf(url, sizeof url, "http://%s%s", self->address, question->path);
    curl_easy_reset(self->curl);
    curl_easy_setopt(self->curl, CURLOPT_URL, url);
    curl_easy_setopt(self->curl, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(self->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(self->curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(self->curl, CURLOPT_TIMEOUT_MS, self->timeout_ms);
    curl_easy_setopt(self->curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(self->curl, CURLOPT_WRITEDATA, &text);
    if (strcmp(question->method, "POST") == 0) {
        headers = curl_slist_append(NULL, "Content-Type: application/json");
        curl_easy_setopt(self->curl, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(self->curl, CURLOPT_POST, 1L);
        curl_easy_setopt(self->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)question->size);
        curl_easy_setopt(self->curl, CURLOPT_POSTFIELDS,
                         question->body != NULL ? question->body : "");
    }
    CURLcode result = curl_easy_perform(self->curl);
    mailbus_code_t code = MAILBUS_OK;
    if (result != CURLE_OK) {
        code = translate(self, result, error);
    } else {
        running_answer_t answer = {0};
        curl_easy_getinfo(self->curl, CURLINFO_RESPONSE_CODE, &answer.status);
        (void)!mailbus_json_parse_object(text.data != NULL ? text.data : "", text.size,
                                         &answer.tree, NULL);
        *ret_answer = answer;
    }
    curl_slist_free_all(headers);
    mailbus_buf_free(&text);
    return code;
}

mailbus_code_t running_judge(const running_answer_t *answer, mailbus_error_t *error)
{
    static const struct {
        long status;
        mailbus_code_t code;
    } codes[] = {
        {400, MAILBUS_EINVAL}, {403, MAILBUS_EACCESS}, {404, MAILBUS_ENOTFOUND},
        {409, MAILBUS_EEXIST}, {413, MAILBUS_ETOOBIG}, {503, MAILBUS_EAGAIN},
    };
    if (answer->status >= 200 && answer->status < 300) {
        return answer->tree != NULL
                   ? MAILBUS_OK
                   : mailbus_fail(error, MAILBUS_EIO, "the answer is no JSON object");
    }
    const char *text = mailbus_json_string(answer->tree, "error");
    text = text != NULL ? text : "no reason was given";
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (codes[i].status == answer->status) {
            return mailbus_fail(error, codes[i].code, "%.240s", text);
        }
    }
    return mailbus_fail(error, MAILBUS_EIO, "%.230s (%ld)", text, answer->status);
}

mailbus_code_t running_call(running_t *self, const running_question_t *question, cJSON **ret_tree,
                            mailbus_error_t *error)
{
    running_answer_t answer = {0};
    mailbus_code_t code = running_ask(self, question, &answer, error);
    if (code == MAILBUS_OK) {
        code = running_judge(&answer, error);
    }
    if (code != MAILBUS_OK) {
        cJSON_Delete(answer.tree);
        return code;
    }
    *ret_tree = answer.tree;
    return MAILBUS_OK;
}
