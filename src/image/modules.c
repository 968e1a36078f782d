/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "image/modules.h"

#include <dlfcn.h>
#include <gmodule.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <vips/vips.h>

#include "image/room.h"

/* Address space that the libraries behind the modules map: 45 MiB on Debian 12. */
#define MODULES_BYTES ((size_t)64 << 20)

static bool left_out;
static atomic_bool lacked_room;

bool nst_modules_init(const char *name)
{
    bool failed;

    if (getenv("VIPSHOME"))
        return VIPS_INIT(name) == 0;
    /* libvips looks for modules below $VIPSHOME, or else where it was installed, and
     * sets the variable itself. */
    g_setenv("VIPSHOME", "/nonexistent", TRUE);
    failed = VIPS_INIT(name) != 0;
    g_unsetenv("VIPSHOME");
    left_out = !failed;
    return !failed;
}

/* Modules lie in a folder beside the library. */
static char *modules_folder(void)
{
    char *library, *folder;
    Dl_info info;

    if (!dladdr((void *)(uintptr_t)vips_init, &info) || !info.dli_fname)
        return NULL;
    library = g_path_get_dirname(info.dli_fname);
    folder = g_strdup_printf("%s/vips-modules-%d.%d", library, vips_version(0),
                             vips_version(1));
    g_free(library);
    return folder;
}

static int load_all(void)
{
    char *folder = modules_folder();
    GDir *dir = folder ? g_dir_open(folder, 0, NULL) : NULL;
    const char *name;
    int loaded = 0;

    while (dir && (name = g_dir_read_name(dir))) {
        char *path = g_build_filename(folder, name, NULL);
        GModule *module = g_str_has_suffix(name, "." G_MODULE_SUFFIX)
                              ? g_module_open(path, G_MODULE_BIND_LAZY)
                              : NULL;

        if (module) {
            g_module_make_resident(module);
            loaded++;
        }
        g_free(path);
    }
    if (dir)
        g_dir_close(dir);
    g_free(folder);
    return loaded;
}

bool nst_modules_load(void)
{
    static GMutex lock;
    static bool tried;
    static int loaded;

    if (!left_out)
        return false;
    g_mutex_lock(&lock);
    if (!tried) {
        tried = nst_room_is_left(MODULES_BYTES);
        lacked_room = !tried;
        loaded = tried ? load_all() : 0;
    }
    g_mutex_unlock(&lock);
    return loaded > 0;
}

enum nst_status nst_modules_check_room(const char *label, struct nst_err *err)
{
    return lacked_room ? nst_room_check(label, MODULES_BYTES, err) : NST_OK;
}
