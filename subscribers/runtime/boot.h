/* What a running subscriber is made of: boot.c makes it in the order of the data and unmakes it in
 * reverse order, main.c waits in between. */
#ifndef RUNTIME_BOOT_H
#define RUNTIME_BOOT_H

#include "admin.h"
#include "bus.h"
#include "options.h"
#include "pages.h"
#include "rebuild.h"
#include "runtime_internal.h"
#include "workers.h"

/* Everything that is made at start and unmade at the end. */
typedef struct {
    mailbus_runtime_t runtime;
    options_t *options;
    const char *const *topics;
    const char *const *prefixes;
    mb_key_pair_t own_keys;
    mb_key_pair_t server_keys;
    void *context;
    bus_t *bus;
    workers_t *workers;
    mb_admin_t *admin;
    pages_t pages;
    int signals;
    int wake;           /* eventfd: the bus is positioned, or has failed */
    bool started;       /* the subscriber's start returned 0 */
    rebuild_t *rebuild; /* NULL: a usual run */
} boot_t;

void boot_configure_log(mailbus_runtime_t *runtime);
MAILBUS_MUST_USE mailbus_code_t boot_start(boot_t *self, mailbus_error_t *error);
/* Intake first, then what is in hand, then what was finished is written. Ends the process with
 * `status` where a handler does not come back. */
void boot_stop(boot_t *self, int status);
/* After a rebuild that ended with `status` (0: everything was handled): the exit status. */
int boot_end_rebuild(boot_t *self, int status);
void boot_free(boot_t *self); /* takes a half-made one */

#endif
