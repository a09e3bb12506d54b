/* What the attack suite works with: a folder, a secret, a listener, and the attacker. */
#ifndef EXTRACT_DESK_H
#define EXTRACT_DESK_H

#include <sys/types.h>

#include "sandbox.h"

typedef struct {
    char folder[64]; /* anybody may write there */
    char mount[80], secret[80], port[8], address[24];
    char helper[512], attacker[512];
    void *attacker_bytes; /* the program itself */
    size_t attacker_size;
    int listener, open_fd, empty;
    bool is_root;
    long landlock_abi;
} desk_t;

typedef struct {
    const char *attack, *argument, *without; /* argument: {secret}, {folder}, … are filled in */
    bool threads, own_input;                 /* own_input: the attacker's own program */
    int input;                               /* 0: nothing to read */
    int64_t wall_ms, cpu_s, max_output;      /* 0: plenty */
    mailbus_code_t code;                     /* what came of it */
    mailbus_error_t error;
    sandbox_result_t result; /* without `out`, which is freed */
    size_t out_size;
} desk_run_t;

int desk_setup(void **state);
int desk_teardown(void **state);
/* Make the folder as it is at the beginning of every attack. */
void desk_prepare(desk_t *desk);
sandbox_job_t desk_job(const desk_t *desk, const char *const *argv);
/* True where the attacker said that it succeeded. Whatever got away is ended. */
bool desk_attack(desk_t *desk, desk_run_t *run);
bool desk_is_attacker(const desk_t *desk, pid_t pid);
/* Milliseconds until `fd` is readable; -1: not in this time. */
int desk_wait_readable(int fd, int ms);

#endif
