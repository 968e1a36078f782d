/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/repair.h"

#include <glib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "serve/log.h"
#include "serve/pictures.h"
#include "serve/store.h"

static struct {
    const struct serve_settings *settings;
    pthread_t thread;
    bool started;
    atomic_bool stopping;
} repair;

/* Pictures of a folder without one of their versions. */
struct lacking {
    const char *folder;
    unsigned parts;   /* of enum serve_picture_part */
    GPtrArray *names; /* owned strings */
};

static void collect(void *ctx, const char *name)
{
    struct lacking *l = ctx;

    if (g_str_has_suffix(name, SERVE_PARTIAL_SUFFIX))
        return;
    if (!serve_store_has_version("thumbs", name) ||
        (l->parts && !serve_store_has_version("renditions", name)))
        g_ptr_array_add(l->names, g_strdup(name));
}

static void make_versions(const struct lacking *l, const char *name)
{
    char *path = serve_store_path(l->folder, name), *error = NULL;

    if (serve_picture_check(path, name, repair.settings, l->parts, &error) !=
            SERVE_CHECK_OK &&
        !atomic_load(&repair.stopping))
        serve_log(SERVE_WARNING, "%s/%s: no thumbnail: %s", l->folder, name, error);
    if (!serve_store_has(l->folder, name)) /* deleted in the meantime */
        serve_store_remove_picture(l->folder, name);
    free(error);
    free(path);
}

static void repair_folder(const char *folder, unsigned parts)
{
    struct lacking l = {folder, parts, g_ptr_array_new_with_free_func(g_free)};

    serve_store_foreach(folder, collect, &l);
    for (guint i = 0; i < l.names->len && !atomic_load(&repair.stopping); i++)
        make_versions(&l, l.names->pdata[i]);
    g_ptr_array_free(l.names, TRUE);
}

static void *run(void *unused)
{
    (void)unused;
    repair_folder("uploads", SERVE_PICTURE_RENDITION);
    repair_folder("styles", SERVE_PICTURE_RENDITION);
    repair_folder("results", 0);
    return NULL;
}

void serve_repair_open(const struct serve_settings *s)
{
    repair.settings = s;
    repair.started = pthread_create(&repair.thread, NULL, run, NULL) == 0;
}

void serve_repair_close(void)
{
    atomic_store(&repair.stopping, true);
    if (repair.started)
        pthread_join(repair.thread, NULL);
}
