/* The events that this program publishes itself: a journal beside the state file and two sockets,
 * which are the gateway's own (gateway_bus.h), so that whatever reads the gateway's bus reads this
 * one. */
#ifndef EXTRACT_OUTPUT_BUS_H
#define EXTRACT_OUTPUT_BUS_H

#include "mailbus/subscriber.h"

/* Made from the settings publish.… (config.c). */
typedef struct output_bus output_bus_t;

/* What is wrong with the settings, without opening anything: EINVAL. */
MAILBUS_MUST_USE mailbus_code_t output_bus_check(const mailbus_runtime_t *runtime,
                                                 mailbus_error_t *error);
/* Bound and serving when it returns OK; with an empty publish.bind *ret_self is NULL. */
MAILBUS_MUST_USE mailbus_code_t output_bus_new(mailbus_runtime_t *runtime, output_bus_t **ret_self,
                                               mailbus_error_t *error);
void output_bus_destroy(output_bus_t **self_p); /* takes NULL; nobody may be publishing */
/* After SIGHUP: keys and retention. Takes NULL. */
void output_bus_reload(output_bus_t *self);

/* Write an event down, to be published: OK once it is on disk, this time or by an earlier try (its
 * event_id tells). `json` is an event's body as the gateway takes them. Any thread, several at a
 * time; blocks for the disk. EAGAIN: not now. */
MAILBUS_MUST_USE mailbus_code_t output_bus_publish(output_bus_t *self, const char *json,
                                                   size_t size, mailbus_error_t *error);
/* True once the journal's disk failed: only a new process can know what is on it. */
bool output_bus_broken(const output_bus_t *self);

#endif
