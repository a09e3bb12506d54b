#include "busy.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct busy {
    pthread_mutex_t lock;
    pthread_cond_t given;
    busy_claim_t *claims; /* as many as workers at most */
};

busy_t *busy_new(void)
{
    busy_t *self = calloc(1, sizeof *self);
    if (self != NULL) {
        pthread_mutex_init(&self->lock, NULL);
        pthread_cond_init(&self->given, NULL);
    }
    return self;
}

void busy_destroy(busy_t **self_p)
{
    busy_t *self = *self_p;
    *self_p = NULL;
    if (self != NULL) {
        assert(self->claims == NULL);
        pthread_cond_destroy(&self->given);
        pthread_mutex_destroy(&self->lock);
        free(self);
    }
}

static bool is_taken(const busy_t *self, const char *name)
{
    const busy_claim_t *claim = self->claims;
    while (claim != NULL && strcmp(claim->name, name) != 0) {
        claim = claim->next;
    }
    return claim != NULL;
}

void busy_take(busy_t *self, busy_claim_t *claim, const char *name)
{
    pthread_mutex_lock(&self->lock);
    while (is_taken(self, name)) {
        pthread_cond_wait(&self->given, &self->lock);
    }
    *claim = (busy_claim_t){.next = self->claims, .name = name};
    self->claims = claim;
    pthread_mutex_unlock(&self->lock);
}

void busy_give(busy_t *self, busy_claim_t *claim)
{
    pthread_mutex_lock(&self->lock);
    busy_claim_t **at = &self->claims;
    while (*at != claim) {
        assert(*at != NULL);
        at = &(*at)->next;
    }
    *at = claim->next;
    pthread_cond_broadcast(&self->given);
    pthread_mutex_unlock(&self->lock);
}
