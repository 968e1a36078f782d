/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/init_image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "serve/owners.h"
#include "serve/store.h"

#define BLOCK 16384 /* bytes */

bool serve_init_is_word(const char *name)
{
    return strcmp(name, "content") == 0 || strcmp(name, "noise") == 0;
}

/* The folder of a picture; NULL if it is in neither. */
static const char *find_folder(const char *name)
{
    return serve_store_has("uploads", name)   ? "uploads"
           : serve_store_has("results", name) ? "results"
                                              : NULL;
}

static const char *get_name(const json_t *record)
{
    const char *name = json_string_value(json_object_get(record, "init_image"));

    return name && !serve_init_is_word(name) ? name : NULL;
}

char *serve_init_path(const json_t *record)
{
    const char *name = get_name(record), *folder = name ? find_folder(name) : NULL;

    return folder ? serve_store_path(folder, name) : NULL;
}

bool serve_init_is_allowed(const struct serve_identity *who, const char *name)
{
    return serve_init_is_word(name) ||
           (find_folder(name) && serve_owner_sees_picture(who, name));
}

static enum nst_status copy_blocks(int from, struct nst_atomic_file *to,
                                   struct nst_err *err)
{
    enum nst_status st = NST_OK;
    char block[BLOCK];
    ssize_t n;

    while (st == NST_OK && (n = read(from, block, BLOCK)) != 0)
        if (n > 0)
            st = nst_atomic_file_write(to, block, (size_t)n, err);
        else if (errno != EINTR)
            st = nst_err_set(err, NST_ERR_IO, "cannot read");
    return st;
}

/* Copy a result to a path: all of it or nothing. False: errno. */
static bool copy_result(const char *result, const char *path)
{
    struct nst_atomic_file *to = NULL;
    enum nst_status st = NST_OK;
    struct nst_err err;
    uint64_t size = 0;
    int error, from = serve_store_open_file("results", result, &size);

    if (from < 0)
        return false;
    if (!serve_store_has_space(size)) {
        st = NST_ERR_IO;
        errno = ENOSPC;
    }
    if (st == NST_OK)
        st = nst_atomic_file_open(&to, path, &err);
    if (st == NST_OK)
        st = copy_blocks(from, to, &err);
    if (st == NST_OK)
        st = nst_atomic_file_commit(to, &err);
    error = errno;
    nst_atomic_file_free(to);
    close(from);
    errno = error;
    return st == NST_OK;
}

bool serve_init_hold(json_t *record, const struct serve_identity *who, char **held)
{
    const char *name = get_name(record);
    char *copy, *path;
    int error;

    *held = NULL;
    if (!name || serve_store_has("uploads", name))
        return true;
    copy = serve_store_new_name(".png");
    path = serve_store_path("uploads", copy);
    if (serve_owner_set(copy, who->owner, serve_party(who)) &&
        copy_result(name, path)) {
        json_object_set_new(record, "init_image", json_string(copy));
        *held = copy;
    } else {
        error = errno;
        serve_store_remove_picture("uploads", copy);
        free(copy);
        errno = error;
    }
    free(path);
    return *held != NULL;
}
