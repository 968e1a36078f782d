/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "base/memory.h"

#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* libvips asks for as much. */
#define SMALL_STACK ((size_t)2 << 20)
/* Small allocations of image libraries. GLib ends the process if one fails. */
#define LIBRARY_BYTES ((size_t)32 << 20)

/* Pages of the process: its virtual size, or its resident set. */
static size_t process_pages(int resident)
{
    unsigned long size = 0, present = 0;
    FILE *f = fopen("/proc/self/statm", "re");

    if (f) {
        if (fscanf(f, "%lu %lu", &size, &present) != 2)
            size = present = 0;
        fclose(f);
    }
    return resident ? present : size;
}

size_t nst_memory_resident(void)
{
    return process_pages(1) * (size_t)sysconf(_SC_PAGESIZE);
}

size_t nst_memory_peak(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (size_t)u.ru_maxrss * 1024;
}

/* The number after word at the start of a line (an empty word: of any line).
 * SIZE_MAX if there is none, as where the file says "max". */
static size_t read_number(const char *path, const char *word)
{
    char line[256];
    unsigned long long n;
    size_t found = SIZE_MAX, length = strlen(word);
    FILE *f = fopen(path, "re");

    if (!f)
        return SIZE_MAX;
    while (found == SIZE_MAX && fgets(line, sizeof line, f))
        if (strncmp(line, word, length) == 0 && sscanf(line + length, "%llu", &n) == 1)
            found = (size_t)n;
    fclose(f);
    return found;
}

/* Bytes left in a cgroup: limit - usage. Cached files count as free. */
static size_t cgroup_available(const char *group, const char *limit, const char *usage,
                               const char *cached)
{
    char path[PATH_MAX + 64];
    size_t max, used, reclaimable;

    snprintf(path, sizeof path, "%s/%s", group, limit);
    max = read_number(path, "");
    snprintf(path, sizeof path, "%s/%s", group, usage);
    used = read_number(path, "");
    snprintf(path, sizeof path, "%s/memory.stat", group);
    reclaimable = read_number(path, cached);
    if (max == SIZE_MAX || used == SIZE_MAX)
        return SIZE_MAX;
    if (reclaimable != SIZE_MAX)
        used -= reclaimable < used ? reclaimable : used;
    return max > used ? max - used : 0;
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The minimum over the group at path under root and its ancestors. */
static size_t hierarchy_available(const char *root, const char *path, const char *limit,
                                  const char *usage, const char *cached)
{
    char group[PATH_MAX];
    size_t left = SIZE_MAX, length = strlen(root);

    if ((size_t)snprintf(group, sizeof group, "%s%s", root, path) >= sizeof group)
        return SIZE_MAX;
    for (;;) {
        char *slash = strrchr(group + length, '/');

        left = min_size(left, cgroup_available(group, limit, usage, cached));
        if (!slash)
            return left;
        *slash = 0;
    }
}

static size_t cgroups_available(void)
{
    char line[PATH_MAX];
    size_t left = SIZE_MAX;
    FILE *f = fopen("/proc/self/cgroup", "re");

    if (!f)
        return SIZE_MAX;
    while (fgets(line, sizeof line, f)) {
        char *controllers = strchr(line, ':'), *path;

        line[strcspn(line, "\n")] = 0;
        if (!controllers || !(path = strchr(controllers + 1, ':')))
            continue;
        *path++ = 0;
        if (!controllers[1])
            left =
                min_size(left, hierarchy_available("/sys/fs/cgroup", path, "memory.max",
                                                   "memory.current", "inactive_file "));
        else if (strstr(controllers, "memory"))
            left = min_size(left, hierarchy_available("/sys/fs/cgroup/memory", path,
                                                      "memory.limit_in_bytes",
                                                      "memory.usage_in_bytes",
                                                      "total_inactive_file "));
    }
    fclose(f);
    return left;
}

static size_t rlimit_available(int resource)
{
    struct rlimit r;
    size_t used = process_pages(0) * (size_t)sysconf(_SC_PAGESIZE);

    if (getrlimit(resource, &r) != 0 || r.rlim_cur == RLIM_INFINITY)
        return SIZE_MAX;
    return r.rlim_cur > used ? (size_t)r.rlim_cur - used : 0;
}

void nst_memory_trim(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

size_t nst_memory_address_space(void)
{
    return min_size(rlimit_available(RLIMIT_AS), rlimit_available(RLIMIT_DATA));
}

void nst_memory_limit_stacks(void)
{
#ifdef __GLIBC__
    pthread_attr_t attr;

    if (nst_memory_address_space() == SIZE_MAX)
        return;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, SMALL_STACK);
    pthread_setattr_default_np(&attr);
    pthread_attr_destroy(&attr);
#endif
}

int nst_memory_library_threads(void)
{
    return 2 * (int)sysconf(_SC_NPROCESSORS_ONLN) + 5;
}

size_t nst_memory_for_threads(void)
{
    size_t stack = SMALL_STACK;
    pthread_attr_t attr;

    pthread_attr_init(&attr);
    pthread_attr_getstacksize(&attr, &stack);
    pthread_attr_destroy(&attr);
    return (size_t)nst_memory_library_threads() * stack;
}

static size_t address_space_available(void)
{
    size_t left = nst_memory_address_space();
    size_t libraries = nst_memory_for_threads() + LIBRARY_BYTES;

    if (left == SIZE_MAX)
        return left;
    return left > libraries ? left - libraries : 0;
}

size_t nst_memory_available(void)
{
    size_t kib = read_number("/proc/meminfo", "MemAvailable:");
    size_t left = kib == SIZE_MAX ? SIZE_MAX : kib * 1024;

    left = min_size(left, cgroups_available());
    return min_size(left, address_space_available());
}
