/* extract_attacker NAME [ARGUMENT]: an engine that has been taken over. Prints SUCCEEDED once it
 * has what it must not get; anything else, its death too, means that it was stopped. Everything
 * that it starts ends by itself after a few seconds. */
#include "attacker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    bool (*run)(const char *argument);
} attacks[] = {
    {"read-file", read_file},
    {"create-file", create_file},
    {"write-file", write_file},
    {"unlink-file", unlink_file},
    {"chmod-file", chmod_file},
    {"list-folder", list_folder},
    {"memfd", make_memfd},
    {"parents-environment", read_parents_environment},
    {"descriptor", find_descriptor},
    {"environment", find_environment},
    {"root", be_root},
    {"many-files", open_many_files},
    {"core", may_dump_core},
    {"fork", start_process},
    {"fork-bomb", bomb},
    {"daemon", daemonise},
    {"leave-group", leave_group},
    {"in-parents-group", in_parents_group},
    {"thread", start_thread},
    {"signal-parent", signal_parent},
    {"signal-by-owner", signal_by_owner},
    {"ptrace", trace_parent},
    {"read-parent", read_parent},
    {"shell", run_shell},
    {"loader", run_by_loader},
    {"exec-input", run_input},
    {"say", say},
    {"socket", open_socket},
    {"local-socket", open_local_socket},
    {"connect", connect_to},
    {"mount", mount_something},
    {"user-namespace", new_user_namespace},
    {"io_uring", use_io_uring},
    {"keys", use_keys},
    {"userfaultfd", use_userfaultfd},
    {"bpf", use_bpf},
    {"perf", use_perf},
    {"other-numbers", use_other_numbers},
    {"allocate", allocate},
    {"spin", spin},
    {"spin-on", spin_on},
    {"sleep-deaf", sleep_deaf},
    {"sleep-silent", sleep_silent},
    {"flood", flood_output},
    {"flood-errors", flood_errors},
    {"live", live},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof attacks / sizeof attacks[0]; i++) {
        if (strcmp(argv[1], attacks[i].name) == 0) {
            bool got = attacks[i].run(argc > 2 ? argv[2] : "");
            int why = errno;
            printf("%s", got ? "SUCCEEDED\n" : "");
            if (!got) {
                fprintf(stderr, "%s\n", strerror(why));
            }
            return got ? EXIT_SUCCESS : EXIT_FAILURE;
        }
    }
    fprintf(stderr, "no such attack\n");
    return 64;
}
