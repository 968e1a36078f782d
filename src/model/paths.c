/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "model/paths.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/path.h"

#define FULL_MODEL "vgg19"
#define BUNDLED_MODEL "vgg19-lite"
#define MODEL_SUFFIX ".safetensors"

static bool is_readable_file(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, R_OK) == 0;
}

/* path if it is a readable file, else NULL. Takes path over. */
static char *path_if_file(char *path)
{
    if (path && is_readable_file(path))
        return path;
    free(path);
    return NULL;
}

/* Find file in one entry of $NST_MODEL_PATH: a directory, or the file itself. */
static char *find_in_entry(const char *entry, const char *file)
{
    if (strcmp(nst_base_name(entry), file) == 0 && is_readable_file(entry))
        return nst_xstrdup(entry);
    return path_if_file(nst_xasprintf("%s/%s", entry, file));
}

static char *find_in_model_path(const char *file)
{
    const char *list = getenv("NST_MODEL_PATH");
    char *copy, *rest, *entry, *found = NULL;

    if (!list)
        return NULL;
    rest = copy = nst_xstrdup(list);
    while (!found && (entry = strsep(&rest, ":")))
        if (*entry)
            found = find_in_entry(entry, file);
    free(copy);
    return found;
}

static char *find_by_name(const char *name)
{
    char *file = nst_xasprintf("%s%s", name, MODEL_SUFFIX), *path;

    path = find_in_model_path(file);
    if (!path)
        path = path_if_file(nst_user_path("XDG_DATA_HOME", ".local/share", file));
    if (!path)
        path = nst_find_data(file);
    free(file);
    return path;
}

/* Without a model name, a file in $NST_MODEL_PATH is the model, whatever its name. */
static char *model_path_file(void)
{
    const char *list = getenv("NST_MODEL_PATH");

    return list && is_readable_file(list) ? nst_xstrdup(list) : NULL;
}

static bool is_path(const char *name)
{
    return strchr(name, '/') || nst_has_suffix(name, MODEL_SUFFIX);
}

enum nst_status nst_find_model(char **path, const char *name, struct nst_err *err)
{
    if (name && is_path(name)) {
        *path = nst_xstrdup(name);
        return NST_OK;
    }
    if (name) {
        *path = find_by_name(name);
        if (!*path && is_readable_file(name))
            *path = nst_xstrdup(name);
    } else {
        *path = model_path_file();
        if (!*path)
            *path = find_by_name(FULL_MODEL);
        if (!*path)
            *path = find_by_name(BUNDLED_MODEL);
    }
    if (*path)
        return NST_OK;
    return nst_err_set(
        err, NST_ERR_ARG,
        "model '%s': no file %s%s in $NST_MODEL_PATH, $XDG_DATA_HOME/nst "
        "(~/.local/share/nst) or %s",
        name ? name : BUNDLED_MODEL, name ? name : BUNDLED_MODEL, MODEL_SUFFIX,
        PKGDATADIR);
}

char *nst_model_name(const char *path)
{
    char *name = nst_xstrdup(nst_base_name(path)), *dot = strrchr(name, '.');

    if (dot && dot != name)
        *dot = 0;
    return name;
}

static int is_model(const struct dirent *d)
{
    return nst_has_suffix(d->d_name, MODEL_SUFFIX);
}

static void visit_model(const char *path,
                        void (*visit)(void *ctx, const char *name, const char *path),
                        void *ctx)
{
    char *name = nst_xstrdup(nst_base_name(path));

    if (nst_has_suffix(name, MODEL_SUFFIX))
        name[strlen(name) - strlen(MODEL_SUFFIX)] = 0;
    visit(ctx, name, path);
    free(name);
}

/* Visit the models in a directory, or the file dir. Takes dir over; NULL is fine. */
static void visit_models(char *dir,
                         void (*visit)(void *ctx, const char *name, const char *path),
                         void *ctx)
{
    struct dirent **found;
    int n = dir ? scandir(dir, &found, is_model, alphasort) : -1;

    if (dir && n < 0 && is_readable_file(dir))
        visit_model(dir, visit, ctx);
    for (int i = 0; i < n; i++) {
        bool slash = dir[strlen(dir) - 1] == '/';
        char *path = nst_xasprintf("%s%s%s", dir, slash ? "" : "/", found[i]->d_name);

        visit_model(path, visit, ctx);
        free(path);
        free(found[i]);
    }
    if (n >= 0)
        free(found);
    free(dir);
}

void nst_list_models(void (*visit)(void *ctx, const char *name, const char *path),
                     void *ctx)
{
    char *list = nst_xstrdup(getenv("NST_MODEL_PATH") ? getenv("NST_MODEL_PATH") : "");
    char *rest = list, *entry;

    while ((entry = strsep(&rest, ":")))
        if (*entry)
            visit_models(nst_xstrdup(entry), visit, ctx);
    free(list);
    visit_models(nst_user_path("XDG_DATA_HOME", ".local/share", ""), visit, ctx);
    visit_models(nst_find_data(""), visit, ctx);
}

bool nst_path_is_file(const char *name)
{
    struct stat st;

    return stat(name, &st) == 0 && !S_ISDIR(st.st_mode);
}

/* Find NAME.suffix in a folder of the user's data or of the installed ones. */
static char *find_style_file(const char *name, const char *folder, const char *suffix)
{
    char *file, *path;

    if (nst_has_suffix(name, suffix))
        return nst_xstrdup(name);
    if (strchr(name, '/') || strcmp(name, "-") == 0 || nst_path_is_file(name))
        return NULL;
    file = nst_xasprintf("%s/%s%s", folder, name, suffix);
    path = path_if_file(nst_user_path("XDG_DATA_HOME", ".local/share", file));
    if (!path)
        path = nst_find_data(file);
    free(file);
    return path;
}

char *nst_find_pack(const char *name)
{
    return find_style_file(name, "styles", NST_PACK_SUFFIX);
}

char *nst_find_net(const char *name)
{
    char *pack = nst_find_pack(name);

    free(pack);
    return pack ? NULL : find_style_file(name, "nets", NST_NET_SUFFIX);
}

char *nst_find_style(const char *name)
{
    char *pack = nst_find_pack(name);

    return pack ? pack : nst_find_net(name);
}
