/* The settings of every subscriber program: the runtime's own table, joined with the subscriber's.
 */
#ifndef RUNTIME_OPTIONS_H
#define RUNTIME_OPTIONS_H

#include "mailbus/subscriber.h"
#include "settings.h"

typedef struct options options_t;

/* Make the settings of `subscriber`'s program; nothing is read yet. The tables live as long as
 * *ret_self. EINVAL where the subscriber's own table is wrong: a bug of its author's, in words. */
MAILBUS_MUST_USE mailbus_code_t options_new(const mailbus_subscriber_t *subscriber,
                                            options_t **ret_self, mailbus_error_t *error);
void options_destroy(options_t **self_p);
mb_settings_t *options_settings(options_t *self);

/* The topics and prefixes to subscribe to, from the subscriber or from its `topics_key`; both end
 * with NULL and live as long as the options. EINVAL: none at all, too many, or malformed. Called
 * once, after reading. */
MAILBUS_MUST_USE mailbus_code_t options_topics(options_t *self, const char *const **ret_topics,
                                               const char *const **ret_prefixes,
                                               mailbus_error_t *error);

#endif
