#include "held.h"

#include <pthread.h>
#include <stdlib.h>

/* A value, the present one or one that somebody still holds. */
typedef struct version {
    void *value;
    size_t holders; /* the present one is held once by itself */
    struct version *older;
} version_t;

struct mb_held {
    mb_held_free_fn *free_value;
    pthread_mutex_t lock; /* guards the versions */
    version_t *newest;    /* the present one */
};

static version_t *version_new(const mb_held_t *self, void *value, mailbus_error_t *error)
{
    version_t *version = calloc(1, sizeof *version);
    if (version == NULL) {
        self->free_value(value);
        mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
        return NULL;
    }
    *version = (version_t){.value = value, .holders = 1};
    return version;
}

/* One holder of `value` less. The version that nobody holds any more is taken out, or NULL. */
static version_t *let_go(mb_held_t *self, const void *value)
{
    version_t **at = &self->newest;
    while (*at != NULL && (*at)->value != value) {
        at = &(*at)->older;
    }
    version_t *version = *at;
    if (version == NULL || --version->holders > 0) {
        return NULL;
    }
    *at = version->older;
    return version;
}

static void version_free(const mb_held_t *self, version_t *version)
{
    if (version != NULL) {
        self->free_value(version->value);
        free(version);
    }
}

mailbus_code_t mb_held_new(void *value, mb_held_free_fn *free_value, mb_held_t **ret_self,
                           mailbus_error_t *error)
{
    mb_held_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        free_value(value);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    self->free_value = free_value;
    self->newest = version_new(self, value, error);
    if (self->newest == NULL) {
        free(self);
        return MAILBUS_ENOMEM;
    }
    pthread_mutex_init(&self->lock, NULL);
    *ret_self = self;
    return MAILBUS_OK;
}

void mb_held_destroy(mb_held_t **self_p)
{
    mb_held_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    version_free(self, let_go(self, self->newest->value));
    pthread_mutex_destroy(&self->lock);
    free(self);
}

void *mb_held_take(mb_held_t *self)
{
    pthread_mutex_lock(&self->lock);
    self->newest->holders++;
    void *value = self->newest->value;
    pthread_mutex_unlock(&self->lock);
    return value;
}

void mb_held_give(mb_held_t *self, const void *value)
{
    pthread_mutex_lock(&self->lock);
    version_t *last = let_go(self, value);
    pthread_mutex_unlock(&self->lock);
    version_free(self, last);
}

mailbus_code_t mb_held_replace(mb_held_t *self, void *value, mailbus_error_t *error)
{
    version_t *version = version_new(self, value, error);
    if (version == NULL) {
        return MAILBUS_ENOMEM;
    }
    pthread_mutex_lock(&self->lock);
    const void *old = self->newest->value;
    version->older = self->newest;
    self->newest = version;
    version_t *last = let_go(self, old);
    pthread_mutex_unlock(&self->lock);
    version_free(self, last);
    return MAILBUS_OK;
}
