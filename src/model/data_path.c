/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "model/data_path.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"

static char *path_if_readable(char *path)
{
    if (access(path, R_OK) == 0)
        return path;
    free(path);
    return NULL;
}

char *nst_find_data(const char *name)
{
    char exe[PATH_MAX], *path, *slash;
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);

    path = path_if_readable(nst_xasprintf("%s/%s", PKGDATADIR, name));
    if (path || n <= 0)
        return path;
    exe[n] = 0;
    slash = strrchr(exe, '/');
    if (!slash)
        return NULL;
    *slash = 0;
    path = path_if_readable(nst_xasprintf("%s/share/nst/%s", exe, name));
    if (!path)
        path = path_if_readable(nst_xasprintf("%s/../share/nst/%s", exe, name));
    return path;
}

char *nst_user_path(const char *variable, const char *fallback, const char *name)
{
    const char *dir = getenv(variable), *home = getenv("HOME");

    if (dir && dir[0] == '/') /* the XDG specification ignores relative paths */
        return nst_xasprintf("%s/nst/%s", dir, name);
    if (home && *home)
        return nst_xasprintf("%s/%s/nst/%s", home, fallback, name);
    return NULL;
}
