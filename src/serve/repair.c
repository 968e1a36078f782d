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

static bool has_thumbnail(const char *name)
{
    char *thumb = nst_xasprintf("%s.jpg", name);
    bool has = serve_store_has("thumbs", thumb);

    free(thumb);
    return has;
}

static void collect(void *ctx, const char *name)
{
    if (!has_thumbnail(name))
        g_ptr_array_add(ctx, g_strdup(name));
}

static void make_thumbnail(const char *name)
{
    char *path = serve_store_path("results", name), *error = NULL;

    if (serve_picture_check(path, name, repair.settings, false, &error) !=
            SERVE_CHECK_OK &&
        !atomic_load(&repair.stopping))
        serve_log(SERVE_WARNING, "results/%s: no thumbnail: %s", name, error);
    if (!serve_store_has("results", name)) /* deleted in the meantime */
        serve_store_remove_picture("results", name);
    free(error);
    free(path);
}

static void *run(void *unused)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);

    (void)unused;
    serve_store_foreach("results", collect, names);
    for (guint i = 0; i < names->len && !atomic_load(&repair.stopping); i++)
        make_thumbnail(names->pdata[i]);
    g_ptr_array_free(names, TRUE);
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
