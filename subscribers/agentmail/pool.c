#include "agentmail/pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { IDLE_MAX = 64 }; /* clients kept for reuse: more workers than this make their own */

struct agentmail_pool {
    pthread_mutex_t lock; /* guards idle and count */
    agentmail_client_t *idle[IDLE_MAX];
    size_t count;
    agentmail_options_t options; /* its strings are the pool's own */
    char *base_url, *api_key, *user_agent;
};

mailbus_code_t agentmail_pool_new(const agentmail_options_t *options, agentmail_pool_t **ret_self,
                                  mailbus_error_t *error)
{
    agentmail_client_t *first = NULL;
    mailbus_code_t code = agentmail_client_new(options, &first, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    agentmail_pool_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        agentmail_client_destroy(&first);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    pthread_mutex_init(&self->lock, NULL);
    self->idle[self->count++] = first;
    self->base_url = strdup(options->base_url);
    self->api_key = strdup(options->api_key);
    self->user_agent = strdup(options->user_agent);
    if (self->base_url == NULL || self->api_key == NULL || self->user_agent == NULL) {
        agentmail_pool_destroy(&self);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    self->options = *options;
    self->options.base_url = self->base_url;
    self->options.api_key = self->api_key;
    self->options.user_agent = self->user_agent;
    *ret_self = self;
    return MAILBUS_OK;
}

void agentmail_pool_destroy(agentmail_pool_t **self_p)
{
    agentmail_pool_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    while (self->count > 0) {
        agentmail_client_destroy(&self->idle[--self->count]);
    }
    pthread_mutex_destroy(&self->lock);
    free(self->base_url);
    if (self->api_key != NULL) {
        explicit_bzero(self->api_key, strlen(self->api_key));
    }
    free(self->api_key);
    free(self->user_agent);
    free(self);
    *self_p = NULL;
}

agentmail_client_t *agentmail_pool_take(agentmail_pool_t *self)
{
    agentmail_client_t *client = NULL;
    pthread_mutex_lock(&self->lock);
    if (self->count > 0) {
        client = self->idle[--self->count];
    }
    pthread_mutex_unlock(&self->lock);
    if (client == NULL && agentmail_client_new(&self->options, &client, NULL) != MAILBUS_OK) {
        return NULL;
    }
    return client;
}

void agentmail_pool_give(agentmail_pool_t *self, agentmail_client_t *client)
{
    pthread_mutex_lock(&self->lock);
    if (self->count < IDLE_MAX) {
        self->idle[self->count++] = client;
        client = NULL;
    }
    pthread_mutex_unlock(&self->lock);
    agentmail_client_destroy(&client);
}
