/* What an engine that has been taken over tries. Each returns true where it got what it must not
 * get; what it starts ends by itself after ATTACK_LIFE_S. */
#ifndef EXTRACT_ATTACKER_H
#define EXTRACT_ATTACKER_H

#include <stdbool.h>

enum {
    ATTACK_LIFE_S = 5,    /* of whatever gets away */
    ATTACK_SOME_MS = 400, /* of sleep: longer than the shortest wall clock of a test */
};

/* Files, descriptors, environment, privileges. */
bool read_file(const char *path);
bool create_file(const char *path);
bool write_file(const char *path);
bool unlink_file(const char *path);
bool chmod_file(const char *path);
bool list_folder(const char *path);
bool make_memfd(const char *unused);
bool read_parents_environment(const char *unused);
bool find_descriptor(const char *unused);
bool find_environment(const char *name);
bool be_root(const char *unused);
bool open_many_files(const char *unused);
bool may_dump_core(const char *unused);

/* Processes. */
bool start_process(const char *unused);
bool bomb(const char *unused);
bool daemonise(const char *unused);
bool leave_group(const char *unused);
bool in_parents_group(const char *unused);
bool start_thread(const char *unused);
bool signal_parent(const char *unused);
bool signal_by_owner(const char *unused);
bool trace_parent(const char *unused);
bool read_parent(const char *address);
bool run_shell(const char *unused);
bool run_by_loader(const char *unused);
bool run_input(const char *unused);
bool say(const char *unused);

/* The kernel. */
bool open_socket(const char *unused);
bool open_local_socket(const char *unused);
bool connect_to(const char *port);
bool mount_something(const char *path);
bool new_user_namespace(const char *unused);
bool use_io_uring(const char *unused);
bool use_keys(const char *unused);
bool use_userfaultfd(const char *unused);
bool use_bpf(const char *unused);
bool use_perf(const char *unused);
bool use_other_numbers(const char *unused);

/* Time, memory and output without end. */
bool allocate(const char *unused);
bool spin(const char *unused);
bool spin_on(const char *unused);
bool sleep_deaf(const char *unused);
bool sleep_silent(const char *unused);
bool flood_output(const char *unused);
bool flood_errors(const char *unused);
bool live(const char *unused);

#endif
