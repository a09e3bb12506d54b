/* Own thread: the admin listener's. It takes the store as everybody does. */
#include <string.h>

#include "clock.h"
#include "commands.h"
#include "mailbus/json.h"

static void answer_error(mb_http_response_t *response, unsigned status, const char *code,
                         const char *text)
{
    response->status = status;
    mailbus_buf_clear(&response->body);
    mailbus_buf_text(&response->body, "{\"error\":");
    mailbus_json_write_string(&response->body, text, strlen(text));
    mailbus_buf_printf(&response->body, ",\"code\":\"%s\"}\n", code);
}

static unsigned status_of(mailbus_code_t code)
{
    switch (code) {
    case MAILBUS_EINVAL:
        return 400;
    case MAILBUS_ENOTFOUND:
        return 404;
    case MAILBUS_EEXIST:
        return 409;
    case MAILBUS_ETOOBIG:
        return 413;
    case MAILBUS_EAGAIN:
    case MAILBUS_EFULL:
        return 503;
    default:
        return 500;
    }
}

static void run(const commands_http_t *self, const mailbus_command_t *command,
                const mb_http_request_t *request, mb_http_response_t *response)
{
    mailbus_error_t error = {0};
    response->body.limit = COMMANDS_ANSWER_MAX;
    commands_call_t call = {
        .command = command, .now_ms = mb_clock_wall_ms(), .answer = &response->body};
    call.request = mb_http_body(request, &call.size);
    mailbus_code_t code = inbox_with_store(self->inbox, commands_run, &call, &error);
    response->body.limit = 0;
    if (call.code != MAILBUS_OK) {
        code = call.code;
    }
    if (code == MAILBUS_OK) {
        mailbus_buf_char(&response->body, '\n');
        return;
    }
    answer_error(response, status_of(code), mailbus_code_name(code), error.text);
}

void commands_http_handle(void *arg, const mb_http_request_t *request, mb_http_response_t *response)
{
    const commands_http_t *self = arg;
    const char *name = mb_http_path(request) + sizeof COMMANDS_PATH - 1;
    const char *wanted = mb_http_query(request, "subscriber");
    const mailbus_command_t *command = commands_find(self->subscriber->commands, name);
    mailbus_error_t error = {0};
    if (wanted != NULL && strcmp(wanted, self->subscriber->name) != 0) {
        mailbus_fail(&error, MAILBUS_ENOTFOUND, "this is mailbus-%.60s, and not mailbus-%.60s",
                     self->subscriber->name, wanted);
        answer_error(response, 404, "other-program", error.text);
    } else if (command == NULL) {
        mailbus_fail(&error, MAILBUS_ENOTFOUND, "mailbus-%.60s has no command \"%.60s\"",
                     self->subscriber->name, name);
        answer_error(response, 404, "unknown-command", error.text);
    } else if (strcmp(mb_http_method(request), "POST") != 0) {
        mb_http_method_error(response, "POST");
    } else {
        run(self, command, request, response);
    }
}
