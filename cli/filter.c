#include "filter.h"

#include <stdlib.h>
#include <string.h>

/* A prefix holds the characters of a topic, and may end anywhere in one. */
static mailbus_code_t check_prefix(const char *text, size_t size, mailbus_error_t *error)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_-.";
    if (size > MAILBUS_TOPIC_MAX || strspn(text, allowed) < size) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "\"%.60s\" is no topic: message.received, or message.* for all that "
                            "begin so",
                            text);
    }
    return MAILBUS_OK;
}

static mailbus_code_t read_one(filter_t *self, const char *text, mailbus_error_t *error)
{
    size_t size = strlen(text);
    bool prefix = size > 0 && text[size - 1] == '*';
    mailbus_code_t code =
        prefix ? check_prefix(text, size - 1, error) : mailbus_topic_check(text, size, error);
    if (code == MAILBUS_EACCESS) {
        return mailbus_fail(error, code, "%.60s is the bus's own: it holds no events", text);
    }
    if (code != MAILBUS_OK) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "\"%.60s\" is no topic: message.received, or message.* for all that "
                            "begin so",
                            text);
    }
    char *copy = strndup(text, prefix ? size - 1 : size);
    if (copy == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    if (prefix) {
        self->prefixes[self->prefix_count++] = copy;
    } else {
        self->topics[self->topic_count++] = copy;
    }
    return MAILBUS_OK;
}

mailbus_code_t filter_read(char *const *operands, size_t count, filter_t *ret_self,
                           mailbus_error_t *error)
{
    static char *const everything[] = {"*"};
    if (count > MAILBUS_FETCH_MAX_NAMES) {
        return mailbus_fail(error, MAILBUS_ETOOBIG, "at most %d topics at once",
                            MAILBUS_FETCH_MAX_NAMES);
    }
    if (count == 0) {
        operands = everything;
        count = 1;
    }
    filter_t self = {calloc(count + 1, sizeof *self.topics), calloc(count + 1, sizeof *self.topics),
                     0, 0};
    if (self.topics == NULL || self.prefixes == NULL) {
        filter_free(&self);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    mailbus_code_t code = MAILBUS_OK;
    for (size_t i = 0; i < count && code == MAILBUS_OK; i++) {
        code = read_one(&self, operands[i], error);
    }
    if (code != MAILBUS_OK) {
        filter_free(&self);
        return code;
    }
    *ret_self = self;
    return MAILBUS_OK;
}

static void free_names(const char **names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free((char *)names[i]);
    }
    free(names);
}

void filter_free(filter_t *self)
{
    free_names(self->topics, self->topic_count);
    free_names(self->prefixes, self->prefix_count);
    *self = (filter_t){NULL, NULL, 0, 0};
}

bool filter_everything(const filter_t *self)
{
    for (size_t i = 0; i < self->prefix_count; i++) {
        if (self->prefixes[i][0] == '\0') {
            return true;
        }
    }
    return false;
}

void filter_apply(const filter_t *self, mailbus_fetch_t *fetch)
{
    if (filter_everything(self)) {
        return; /* no names at all: everything */
    }
    fetch->topics = (char **)self->topics;
    fetch->topic_count = self->topic_count;
    fetch->prefixes = (char **)self->prefixes;
    fetch->prefix_count = self->prefix_count;
}
