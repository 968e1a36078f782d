/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/sandbox_files.h"

#include <fcntl.h>
#include <glib.h>
#include <limits.h>
#include <link.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/path.h"
#include "model/data_path.h"
#include "nst.h"

#define MAX_GPUS 32

/* Rights of later versions of Landlock than that of the headers. */
#define TRUNCATE ((uint64_t)1 << 14)     /* version 3 */
#define IOCTL_DEVICE ((uint64_t)1 << 15) /* version 5 */

#define EXECUTE LANDLOCK_ACCESS_FS_EXECUTE
#define READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE (LANDLOCK_ACCESS_FS_WRITE_FILE | TRUNCATE)
/* Plain files alone: the service may follow links and folders. */
#define OWN                                                                            \
    (READ | WRITE | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG)
#define OF_FILES (EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | WRITE | IOCTL_DEVICE)
#define ALL_OF_VERSION_1 (((uint64_t)LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)

#define TCP ((uint64_t)3)     /* bind and connect: version 4 */
#define OUTSIDE ((uint64_t)3) /* abstract Unix sockets and signals: version 6 */

/* struct landlock_ruleset_attr of version 6; earlier kernels accept zeros. */
struct ruleset {
    uint64_t files, network, scopes;
};

/* What the programs and their libraries read. */
static const char *const system_files[] = {
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld.so.preload",
    "/etc/localtime",
    "/dev/null",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
    "/proc/self", /* memory in use, and the control group */
    "/proc/cpuinfo",
    "/proc/filesystems",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system", /* processors and their memory */
    "/sys/fs/cgroup",      /* limits of memory */
    "/sys/kernel/mm/transparent_hugepage",
};

/* CUDA's driver sends commands through device files, and names its threads through
 * /proc/self/task; cuInit() fails without either. */
static const char *const gpu_devices[] = {"/dev/nvidiactl", "/dev/nvidia-uvm",
                                          "/dev/nvidia-uvm-tools", "/proc/self/task"};
static const char *const gpu_files[] = {
    "/proc/devices", "/proc/driver", "/proc/modules", "/etc/nvidia", "/opt", "/sys"};

static struct {
    char *loader;     /* the dynamic loader, which the kernel executes with a program */
    GPtrArray *files; /* outside of system_files */
} found;

static void add_file(const char *path)
{
    if (path && path[0] && !g_str_has_prefix(path, "/usr/"))
        g_ptr_array_add(found.files, g_strdup(path));
}

/* The data folder of nst, and of the user. Frees the path. */
static void take_folder(char *path)
{
    add_file(path);
    free(path);
}

/* A model may be a link to a file elsewhere. */
static void add_model(void *ctx, const char *name, const char *path)
{
    (void)ctx;
    (void)name;
    g_ptr_array_add(found.files, g_strdup(path));
}

static void add_models(const char *list)
{
    struct nst_models models;
    enum nst_status st = nst_models_parse(&models, list, NULL);

    for (int i = 0; st == NST_OK && i < models.count; i++) {
        char *path = NULL;

        if (nst_find_model(&path, models.model[i].name, NULL) == NST_OK)
            add_model(NULL, NULL, path);
        free(path);
    }
    nst_models_clear(&models);
    nst_list_models(add_model, NULL);
}

/* The libraries of this program are those of the others: libnst may be anywhere. */
static int add_object(struct dl_phdr_info *object, size_t size, void *first)
{
    (void)size;
    if (strchr(object->dlpi_name, '/'))
        add_file(object->dlpi_name);
    for (int i = 0; *(bool *)first && i < object->dlpi_phnum; i++)
        if (object->dlpi_phdr[i].p_type == PT_INTERP)
            found.loader = g_strdup(
                (const char *)(object->dlpi_addr + object->dlpi_phdr[i].p_vaddr));
    *(bool *)first = false;
    return 0;
}

void serve_files_open(const char *model)
{
    bool first = true;

    found.files = g_ptr_array_new_with_free_func(g_free);
    dl_iterate_phdr(add_object, &first);
    take_folder(nst_find_data(""));
    take_folder(nst_find_data("styles"));
    take_folder(nst_find_data("nets"));
    take_folder(nst_find_data("presets"));
    take_folder(nst_user_path("XDG_DATA_HOME", ".local/share", ""));
    take_folder(nst_user_path("XDG_CONFIG_HOME", ".config", "presets"));
    add_file(getenv("NST_BLAS"));
    add_models(model);
}

void serve_files_close(void)
{
    g_ptr_array_free(found.files, TRUE);
    g_free(found.loader);
    found.files = NULL;
    found.loader = NULL;
}

static int landlock_version(void)
{
    return (int)syscall(SYS_landlock_create_ruleset, NULL, 0,
                        LANDLOCK_CREATE_RULESET_VERSION);
}

bool serve_files_can_be_restricted(void)
{
    return landlock_version() > 0;
}

/* The functions below run between fork() and exec. */

struct rules {
    int fd;
    uint64_t handled;
};

/* A file that does not exist needs no rule. */
static void allow(const struct rules *r, const char *path, uint64_t access)
{
    struct landlock_path_beneath_attr beneath = {
        .parent_fd = path ? open(path, O_PATH | O_CLOEXEC) : -1};
    struct stat st;

    if (beneath.parent_fd < 0)
        return;
    if (fstat(beneath.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
        access &= OF_FILES;
    beneath.allowed_access = access & r->handled;
    syscall(SYS_landlock_add_rule, r->fd, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0);
    close(beneath.parent_fd);
}

static void allow_all(const struct rules *r, const char *const *path, size_t n,
                      uint64_t access)
{
    for (size_t i = 0; i < n; i++)
        allow(r, path[i], access);
}

static void allow_gpus(const struct rules *r)
{
    const uint64_t use = READ | WRITE | IOCTL_DEVICE;
    char path[32];

    allow_all(r, gpu_devices, sizeof gpu_devices / sizeof *gpu_devices, use);
    allow_all(r, gpu_files, sizeof gpu_files / sizeof *gpu_files, READ);
    for (int i = 0; i < MAX_GPUS; i++) {
        snprintf(path, sizeof path, "/dev/nvidia%d", i);
        allow(r, path, use);
    }
}

static void add_rules(const struct rules *r, const struct serve_files *f)
{
    allow_all(r, system_files, sizeof system_files / sizeof *system_files, READ);
    if (found.files)
        allow_all(r, (const char *const *)found.files->pdata, found.files->len, READ);
    allow(r, f->program, READ | EXECUTE);
    allow(r, found.loader, READ | EXECUTE);
    for (int i = 0; f->inputs && f->inputs[i]; i++)
        allow(r, f->inputs[i], LANDLOCK_ACCESS_FS_READ_FILE);
    allow(r, f->folder, OWN);
    allow(r, "/dev/null", WRITE);
    if (f->gpu)
        allow_gpus(r);
}

bool serve_files_restrict(const struct serve_files *f)
{
    int version = landlock_version();
    struct ruleset attr = {.files = ALL_OF_VERSION_1 | (version >= 3 ? TRUNCATE : 0) |
                                    (version >= 5 ? IOCTL_DEVICE : 0),
                           .network = version >= 4 ? TCP : 0,
                           .scopes = version >= 6 ? OUTSIDE : 0};
    struct rules r = {.handled = attr.files};
    bool restricted;

    if (version <= 0)
        return true;
    r.fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (r.fd < 0)
        return false;
    add_rules(&r, f);
    restricted = syscall(SYS_landlock_restrict_self, r.fd, 0) == 0;
    close(r.fd);
    return restricted;
}
