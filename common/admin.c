#include "admin.h"

#include <stdlib.h>
#include <string.h>

enum { MIN_BODY = 4096 }; /* bytes that are read and thrown away: nothing here wants one */

struct mb_admin {
    mb_httpd_t *httpd;
    mb_metrics_t *metrics;
    mb_ready_fn *ready;
    void *arg;
    mb_admin_more_t more;
};

static void serve_index(mb_admin_t *self, mb_http_response_t *response)
{
    (void)self;
    mailbus_buf_text(&response->body, "Mailbus " MAILBUS_VERSION "\n"
                                      "/healthz  200 while the process lives\n"
                                      "/readyz   200 when it can do its work, else 503 and why\n"
                                      "/metrics  figures for Prometheus\n");
}

static void serve_health(mb_admin_t *self, mb_http_response_t *response)
{
    (void)self;
    mailbus_buf_text(&response->body, "ok\n");
}

static void serve_ready(mb_admin_t *self, mb_http_response_t *response)
{
    char reason[256] = "";
    if (self->ready == NULL || self->ready(self->arg, reason, sizeof reason)) {
        mailbus_buf_text(&response->body, "ready\n");
        return;
    }
    response->status = 503;
    mailbus_buf_printf(&response->body, "not ready: %s\n",
                       reason[0] != '\0' ? reason : "no reason is known");
}

static void serve_metrics(mb_admin_t *self, mb_http_response_t *response)
{
    response->content_type = "text/plain; version=0.0.4; charset=utf-8";
    mb_metrics_render(self->metrics, &response->body);
}

static const struct {
    const char *path;
    void (*serve)(mb_admin_t *self, mb_http_response_t *response);
} pages[] = {
    {"/", serve_index},
    {"/healthz", serve_health},
    {"/readyz", serve_ready},
    {"/metrics", serve_metrics},
};

static void handle(void *arg, const mb_http_request_t *request, mb_http_response_t *response)
{
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        if (strcmp(mb_http_path(request), pages[i].path) != 0) {
            continue;
        }
        const char *method = mb_http_method(request);
        if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
            mb_http_method_error(response, "GET, HEAD");
            return;
        }
        response->content_type = "text/plain; charset=utf-8";
        pages[i].serve(arg, response);
        return;
    }
    mb_admin_t *self = arg;
    if (self->more.handler != NULL) {
        self->more.handler(self->more.arg, request, response);
        return;
    }
    mb_http_error(response, 404, "no such page: /healthz, /readyz, /metrics");
}

mailbus_code_t mb_admin_new(const char *listen, mb_metrics_t *metrics, mb_ready_fn *ready,
                            void *arg, mb_admin_t **ret_self, mailbus_error_t *error)
{
    const mb_admin_more_t none = {0};
    return mb_admin_new_with(listen, metrics, ready, arg, &none, ret_self, error);
}

mailbus_code_t mb_admin_new_with(const char *listen, mb_metrics_t *metrics, mb_ready_fn *ready,
                                 void *arg, const mb_admin_more_t *more, mb_admin_t **ret_self,
                                 mailbus_error_t *error)
{
    if (listen[0] == '\0') {
        *ret_self = NULL;
        return MAILBUS_OK;
    }
    mb_admin_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    self->metrics = metrics;
    self->ready = ready;
    self->arg = arg;
    self->more = *more;
    const mb_httpd_options_t options = {
        .listen = listen,
        .max_body = more->max_body > MIN_BODY ? more->max_body : MIN_BODY,
        .handler = handle,
        .arg = self,
    };
    mailbus_code_t code = mb_httpd_new(&options, &self->httpd, error);
    if (code != MAILBUS_OK) {
        free(self);
        return code;
    }
    *ret_self = self;
    return MAILBUS_OK;
}

void mb_admin_destroy(mb_admin_t **self_p)
{
    if (*self_p == NULL) {
        return;
    }
    mb_httpd_destroy(&(*self_p)->httpd);
    free(*self_p);
    *self_p = NULL;
}

const char *mb_admin_address(const mb_admin_t *self)
{
    return self != NULL ? mb_httpd_address(self->httpd) : "";
}
