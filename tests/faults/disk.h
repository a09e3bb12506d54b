/* A disk that does as a test says: a SQLite VFS over the default one.
 *
 * It can fail chosen operations, and it can lose its power: then only what was synced is sure to be
 * there, and of the rest what chance (a seed) kept, in any order, torn at sector borders.
 * Killing a process shows none of that, because the page cache survives it. */
#ifndef TESTS_FAULTS_DISK_H
#define TESTS_FAULTS_DISK_H

#include <stdbool.h>
#include <stdint.h>

typedef struct disk disk_t;

typedef enum { DISK_WRITE, DISK_SYNC } disk_operation_t;

/* Registered with SQLite as `name`, lent for the disk's life. Aborts without memory. */
disk_t *disk_new(const char *name);
void disk_destroy(disk_t **self_p); /* when all connections are closed */

/* The nth operation of this kind from now (1: the next) on files whose names end in `suffix` fails
 * with SQLite's result `code`; `and_after`: so do all after it, until disk_heal. */
void disk_fail(disk_t *self, disk_operation_t operation, const char *suffix, int nth, int code,
               bool and_after);
void disk_heal(disk_t *self);
bool disk_has_failed(disk_t *self); /* the operation that was chosen came and failed */

/* Writes, truncations and syncs so far. */
uint64_t disk_operations(disk_t *self);
/* When operation number `at` (1: the first of this disk) arrives, the power goes: what a new start
 * would find is written into the folder `into`, and from then on every operation fails. */
void disk_cut_power(disk_t *self, uint64_t at, uint64_t seed, const char *into);
bool disk_is_dark(disk_t *self);

#endif
