/* mailbus-extract-helper: puts itself into a sandbox and becomes the engine that reads one file.
 *
 *   standard input   the file
 *   standard output  the text
 *   standard error   what the engine has to say
 *   descriptor 3     "ready" once all layers are there; "LAYER: why" where one can't be set up, or
 *                    the engine can't be started. Closed by exec.
 *
 * Not a program for people: mailbus-extract starts it. What can't be set up ends it before the
 * engine runs, with a status of its own. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "layers.h"
#include "without.h"

enum {
    STATUS_FD = LAYERS_STATUS_FD,
    EXIT_FIRST = 101,   /* the first layer's exit status; the next ones count on from there */
    EXIT_USAGE = 64,    /* sysexits' EX_USAGE */
    SECRET_TRIES = 16,  /* addresses tried; nearly all of the address space is free */
    SECRET_SIZE = 4096, /* a page each */
    MAX_ENVIRONMENT = 8,
};

/* Where, for the loader. Their names differ by architecture. */
static const char *const loaders[] = {"/lib64/ld-*.so*", "/lib/ld-*.so*"};

/* Bits of an address that are free to choose, in whole pages: the lower half of x86-64's space, and
 * what the smallest configuration of other 64-bit architectures has. */
#ifdef __x86_64__
#define SECRET_MASK 0x7ffffffff000u
#else
#define SECRET_MASK 0x3ffffff000u
#endif

typedef int (*step_fn)(const layers_t *self);

static const struct {
    const char *name;
    step_fn run;
} steps[] = {
    {"descriptors", layer_descriptors},
    {"session", layer_session},
    {"engine", NULL}, /* opens what the engine needs, while there is the right to */
    {"privileges", layer_privileges},
    {"parent-death", layer_parent_death},
    {"limits", layer_limits},
    {"no-new-privs", layer_no_new_privs},
    {"landlock", layer_landlock},
    {"seccomp", NULL},
    {"exec", NULL},
};

/* Without this word nobody believes that the engine ever ran. */
static int say_ready(void)
{
    static const char ready[] = "ready";
    return write(STATUS_FD, ready, sizeof ready - 1) == sizeof ready - 1 ? 0 : EPIPE;
}

static _Noreturn void give_up(size_t step, int why)
{
    char text[256];
    int size = snprintf(text, sizeof text, "%s: %s", steps[step].name, strerror(why));
    if (write(STATUS_FD, text, (size_t)size) < 0) {
        dprintf(STDERR_FILENO, "mailbus-extract-helper: %s\n", text);
    }
    _exit(EXIT_FIRST + (int)step);
}

static int open_path(const char *path, int *ret_fd)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    *ret_fd = fd;
    return 0;
}

static int open_loaders(layers_t *self)
{
    for (size_t i = 0; i < sizeof loaders / sizeof loaders[0]; i++) {
        glob_t found = {0};
        if (glob(loaders[i], 0, NULL, &found) == 0) {
            for (size_t k = 0; k < found.gl_pathc; k++) {
                size_t most = sizeof self->loader_fds / sizeof self->loader_fds[0];
                if (self->loader_count < most &&
                    open_path(found.gl_pathv[k], &self->loader_fds[self->loader_count]) == 0) {
                    self->loader_count++;
                }
            }
        }
        globfree(&found);
    }
    return self->loader_count > 0 ? 0 : ENOENT;
}

/* A path that is not there is not read: not every machine has every folder. */
static int open_reads(layers_t *self, char *const *reads, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int why = open_path(reads[i], &self->read_fds[self->read_count]);
        if (why == 0) {
            self->read_count++;
        } else if (why != ENOENT) {
            return why;
        }
    }
    int why = open_path(self->engine, &self->engine_fd);
    return why == 0 ? open_loaders(self) : why;
}

/* A page of zeros at an address that nobody can guess (35 random bits on x86-64). */
static int secret_page(void **ret_page)
{
    for (int i = 0; i < SECRET_TRIES; i++) {
        uint64_t address = 0;
        if (getrandom(&address, sizeof address, 0) != sizeof address) {
            return EAGAIN;
        }
        void *wanted = (void *)(uintptr_t)(address & SECRET_MASK);
        void *page = mmap(wanted, SECRET_SIZE, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (page == wanted) {
            *ret_page = page;
            return 0;
        }
        if (page != MAP_FAILED) {
            munmap(page, SECRET_SIZE);
        }
    }
    return ENOMEM;
}

/* The arguments of the one exec that the filter lets through. */
typedef struct {
    char *path; /* "": the descriptor says which program */
    char **argv;
    char **envp;
} secret_exec_t;

static int secret_list(char *const *words, char **ret_page)
{
    for (size_t i = 0; words[i] != NULL; i++) {
        if ((i + 2) * sizeof words[0] > SECRET_SIZE) {
            return E2BIG;
        }
        ret_page[i] = words[i]; /* the words themselves need not be secret */
    }
    return 0;
}

static int secret_exec(char *const *argv, char *const *envp, secret_exec_t *ret_exec)
{
    void *path = NULL, *words = NULL, *environ_page = NULL;
    int why = secret_page(&path);
    why = why != 0 ? why : secret_page(&words);
    why = why != 0 ? why : secret_page(&environ_page);
    if (why != 0) {
        return why;
    }
    *ret_exec = (secret_exec_t){path, words, environ_page};
    why = secret_list(argv, ret_exec->argv);
    return why != 0 ? why : secret_list(envp, ret_exec->envp);
}

/* What the command line says. */
typedef struct {
    char *reads[LAYERS_MAX_READS];
    size_t read_count;
    char *envp[MAX_ENVIRONMENT + 1];
    size_t env_count;
    char **argv; /* of the engine */
} arguments_t;

static bool read_arguments(int argc, char **argv, layers_t *self, arguments_t *ret_arguments)
{
    static const struct option options[] = {
        {"parent", required_argument, NULL, 'p'},
        {"memory", required_argument, NULL, 'm'},
        {"cpu", required_argument, NULL, 'c'},
        {"read", required_argument, NULL, 'r'},
        {"env", required_argument, NULL, 'e'},
        {"threads", no_argument, NULL, 't'},
#ifdef MAILBUS_TEST_POINTS
        {"without", required_argument, NULL, 'w'},
#endif
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        switch (option) {
        case 'p':
            self->parent = (pid_t)strtol(optarg, NULL, 10);
            break;
        case 'm':
            self->memory = strtoll(optarg, NULL, 10);
            break;
        case 'c':
            self->cpu_s = strtoll(optarg, NULL, 10);
            break;
        case 'r':
            if (ret_arguments->read_count == LAYERS_MAX_READS) {
                return false;
            }
            ret_arguments->reads[ret_arguments->read_count++] = optarg;
            break;
        case 'e':
            if (ret_arguments->env_count == MAX_ENVIRONMENT) {
                return false;
            }
            ret_arguments->envp[ret_arguments->env_count++] = optarg;
            break;
        case 't':
            self->threads = true;
            break;
        case 'w':
            self->without = optarg;
            break;
        default:
            return false;
        }
    }
    ret_arguments->argv = argv + optind;
    self->engine = argv[optind];
    return self->engine != NULL && self->engine[0] == '/' && self->parent > 0 && self->memory > 0 &&
           self->cpu_s > 0;
}

int main(int argc, char **argv)
{
    layers_t self = {.without = "", .engine_fd = -1};
    arguments_t arguments = {0};
    if (!read_arguments(argc, argv, &self, &arguments)) {
        dprintf(STDERR_FILENO, "mailbus-extract-helper is started by mailbus-extract, see there\n");
        return EXIT_USAGE;
    }
    secret_exec_t call = {0};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        int why = 0;
        if (steps[i].run != NULL) {
            why = steps[i].run(&self);
        } else if (strcmp(steps[i].name, "engine") == 0) {
            why =
                chdir("/") == 0 ? open_reads(&self, arguments.reads, arguments.read_count) : errno;
        } else if (strcmp(steps[i].name, "seccomp") == 0) {
            bool inherit = without_layer(self.without, "environment");
            why = secret_exec(arguments.argv, inherit ? environ : arguments.envp, &call);
            why = why != 0 ? why : layer_seccomp(&self, call.path, call.argv, call.envp);
        } else {
            why = say_ready();
            if (why != 0) {
                give_up(i, why);
            }
            execveat(self.engine_fd, call.path, call.argv, call.envp, AT_EMPTY_PATH);
            why = errno;
        }
        if (why != 0) {
            give_up(i, why);
        }
    }
    return 0;
}
