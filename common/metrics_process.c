#include "metrics_process.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void put_gauge(const char *name, const char *type, const char *help, double value,
                      mailbus_buf_t *out)
{
    mailbus_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.15g\n", name, help, name, type, name,
                       value);
}

/* The start of a file of /proc as text; false where it can't be read. */
static bool read_start(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    size_t length = fread(text, 1, size - 1, file);
    fclose(file);
    text[length] = '\0';
    return length > 0;
}

static void put_memory(mailbus_buf_t *out)
{
    char text[128];
    unsigned long long pages = 0;
    if (read_start("/proc/self/statm", text, sizeof text) &&
        sscanf(text, "%*s %llu", &pages) == 1) {
        put_gauge("process_resident_memory_bytes", "gauge", "Memory in RAM, in bytes.",
                  (double)pages * (double)sysconf(_SC_PAGESIZE), out);
    }
}

static void put_cpu(mailbus_buf_t *out)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        double seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
        put_gauge("process_cpu_seconds_total", "counter", "User and system time used, in seconds.",
                  seconds, out);
    }
}

static void put_descriptors(mailbus_buf_t *out)
{
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL) {
        return;
    }
    int count = -1; /* the folder's own descriptor is none of the program's */
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        count += entry->d_name[0] != '.';
    }
    closedir(folder);
    put_gauge("process_open_fds", "gauge", "Open file descriptors.", count, out);
}

/* Field 22 of /proc/self/stat is the start in ticks after boot; /proc/stat's btime is the boot. */
static void put_start(mailbus_buf_t *out)
{
    char text[1024];
    unsigned long long ticks = 0;
    unsigned long long boot = 0;
    if (!read_start("/proc/self/stat", text, sizeof text)) {
        return;
    }
    const char *at = strrchr(text, ')'); /* the name before it may hold blanks and brackets */
    for (int field = 2; at != NULL && field < 22; field++) {
        at = strchr(at + 1, ' ');
    }
    if (at == NULL || sscanf(at, " %llu", &ticks) != 1) {
        return;
    }
    FILE *file = fopen("/proc/stat", "re");
    while (file != NULL && boot == 0 && fgets(text, sizeof text, file) != NULL) {
        if (sscanf(text, "btime %llu", &boot) == 1) {
            put_gauge("process_start_time_seconds", "gauge",
                      "When the process started, in seconds since 1970.",
                      (double)boot + (double)ticks / (double)sysconf(_SC_CLK_TCK), out);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

void mb_metrics_process(mailbus_buf_t *out)
{
    put_memory(out);
    put_cpu(out);
    put_descriptors(out);
    put_start(out);
}
