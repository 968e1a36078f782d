/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "model/search.h"

#include <limits.h>
#include <stdbool.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define FULL "vgg19"
#define BUNDLED "vgg19-lite"
#define ENDING ".safetensors"

static bool readable_file(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, R_OK) == 0;
}

/* path if it is a readable file, else NULL; takes path. */
static char *keep_if_file(char *path)
{
    if (path && readable_file(path))
        return path;
    free(path);
    return NULL;
}

static char *keep_if_there(char *path)
{
    if (access(path, R_OK) == 0)
        return path;
    free(path);
    return NULL;
}

char *nst_search_data(const char *name)
{
    char exe[PATH_MAX], *path, *slash;
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);

    path = keep_if_there(nst_xasprintf("%s/%s", PKGDATADIR, name));
    if (path || n <= 0)
        return path;
    exe[n] = 0;
    slash = strrchr(exe, '/');
    if (!slash)
        return NULL;
    *slash = 0;
    path = keep_if_there(nst_xasprintf("%s/share/nst/%s", exe, name));
    if (!path)
        path = keep_if_there(nst_xasprintf("%s/../share/nst/%s", exe, name));
    return path;
}

char *nst_search_user(const char *variable, const char *fallback, const char *name)
{
    const char *dir = getenv(variable), *home = getenv("HOME");

    if (dir && dir[0] == '/') /* the XDG specification: a relative path is ignored */
        return nst_xasprintf("%s/nst/%s", dir, name);
    if (home && *home)
        return nst_xasprintf("%s/%s/nst/%s", home, fallback, name);
    return NULL;
}

/* One entry of $NST_MODEL_PATH: a directory to look in, or a file of that name. */
static char *try_entry(const char *entry, const char *file)
{
    const char *base = strrchr(entry, '/');

    base = base ? base + 1 : entry;
    if (strcmp(base, file) == 0 && readable_file(entry))
        return nst_xstrdup(entry);
    return keep_if_file(nst_xasprintf("%s/%s", entry, file));
}

static char *try_environment(const char *file)
{
    const char *list = getenv("NST_MODEL_PATH");
    char *copy, *rest, *entry, *found = NULL;

    if (!list)
        return NULL;
    rest = copy = nst_xstrdup(list);
    while (!found && (entry = strsep(&rest, ":")))
        if (*entry)
            found = try_entry(entry, file);
    free(copy);
    return found;
}

static char *find_named(const char *name)
{
    char *file = nst_xasprintf("%s%s", name, ENDING), *path;

    path = try_environment(file);
    if (!path)
        path = keep_if_file(nst_search_user("XDG_DATA_HOME", ".local/share", file));
    if (!path)
        path = nst_search_data(file);
    free(file);
    return path;
}

/* With no model named, a file in $NST_MODEL_PATH is the model whatever its name. */
static char *environment_file(void)
{
    const char *list = getenv("NST_MODEL_PATH");

    return list && readable_file(list) ? nst_xstrdup(list) : NULL;
}

static bool is_path(const char *wanted)
{
    size_t n = strlen(wanted), e = strlen(ENDING);

    return strchr(wanted, '/') || (n > e && strcmp(wanted + n - e, ENDING) == 0);
}

enum nst_status nst_search_model(char **path, const char *wanted, struct nst_err *err)
{
    if (wanted && is_path(wanted)) {
        *path = nst_xstrdup(wanted);
        return NST_OK;
    }
    if (wanted) {
        *path = find_named(wanted);
        if (!*path && readable_file(wanted))
            *path = nst_xstrdup(wanted);
    } else {
        *path = environment_file();
        if (!*path)
            *path = find_named(FULL);
        if (!*path)
            *path = find_named(BUNDLED);
    }
    if (*path)
        return NST_OK;
    return nst_err_set(
        err, NST_ERR_IO,
        "model '%s': no file %s%s in $NST_MODEL_PATH, $XDG_DATA_HOME/nst "
        "(~/.local/share/nst) or %s",
        wanted ? wanted : BUNDLED, wanted ? wanted : BUNDLED, ENDING, PKGDATADIR);
}

char *nst_search_name(const char *path)
{
    const char *base = strrchr(path, '/');
    char *name = nst_xstrdup(base ? base + 1 : path), *dot = strrchr(name, '.');

    if (dot && dot != name)
        *dot = 0;
    return name;
}

static int is_model(const struct dirent *d)
{
    size_t n = strlen(d->d_name), e = strlen(ENDING);

    return n > e && strcmp(d->d_name + n - e, ENDING) == 0;
}

static void tell_model(const char *path,
                       void (*tell)(void *ctx, const char *name, const char *path),
                       void *ctx)
{
    const char *base = strrchr(path, '/');
    char *name = nst_xstrdup(base ? base + 1 : path);
    size_t n = strlen(name), e = strlen(ENDING);

    if (n > e && strcmp(name + n - e, ENDING) == 0)
        name[n - e] = 0;
    tell(ctx, name, path);
    free(name);
}

/* Those of a folder, or a file that is one. Takes place over; NULL is fine. */
static void tell_models(char *place,
                        void (*tell)(void *ctx, const char *name, const char *path),
                        void *ctx)
{
    struct dirent **found;
    int n = place ? scandir(place, &found, is_model, alphasort) : -1;

    if (place && n < 0 && readable_file(place))
        tell_model(place, tell, ctx);
    for (int i = 0; i < n; i++) {
        bool slash = place[strlen(place) - 1] == '/';
        char *path = nst_xasprintf("%s%s%s", place, slash ? "" : "/", found[i]->d_name);

        tell_model(path, tell, ctx);
        free(path);
        free(found[i]);
    }
    if (n >= 0)
        free(found);
    free(place);
}

void nst_search_models(void (*tell)(void *ctx, const char *name, const char *path),
                       void *ctx)
{
    char *list = nst_xstrdup(getenv("NST_MODEL_PATH") ? getenv("NST_MODEL_PATH") : "");
    char *rest = list, *entry;

    while ((entry = strsep(&rest, ":")))
        if (*entry)
            tell_models(nst_xstrdup(entry), tell, ctx);
    free(list);
    tell_models(nst_search_user("XDG_DATA_HOME", ".local/share", ""), tell, ctx);
    tell_models(nst_search_data(""), tell, ctx);
}

static bool ends_as_pack(const char *name)
{
    size_t n = strlen(name), e = strlen(NST_PACK_ENDING);

    return n > e && strcmp(name + n - e, NST_PACK_ENDING) == 0;
}

bool nst_search_is_file(const char *name)
{
    struct stat st;

    return stat(name, &st) == 0 && !S_ISDIR(st.st_mode);
}

char *nst_search_pack(const char *name)
{
    char *file, *path;

    if (ends_as_pack(name))
        return nst_xstrdup(name);
    if (strchr(name, '/') || strcmp(name, "-") == 0 || nst_search_is_file(name))
        return NULL;
    file = nst_xasprintf("styles/%s%s", name, NST_PACK_ENDING);
    path = keep_if_file(nst_search_user("XDG_DATA_HOME", ".local/share", file));
    if (!path)
        path = nst_search_data(file);
    free(file);
    return path;
}
