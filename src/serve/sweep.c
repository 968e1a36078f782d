/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/sweep.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "serve/store.h"

struct sweep {
    GHashTable *used;
    GPtrArray *files; /* of struct upload */
};

struct upload {
    char *name;
    time_t time;
    guint rank; /* 0: the newest of its party */
};

static void free_upload(gpointer p)
{
    free(((struct upload *)p)->name);
    free(p);
}

static void collect(void *ctx, const char *name)
{
    struct sweep *s = ctx;
    char *path = serve_store_path("uploads", name);
    struct upload *f;
    struct stat st;

    if (!g_hash_table_contains(s->used, name) && !strstr(name, SERVE_PARTIAL_SUFFIX) &&
        stat(path, &st) == 0) {
        f = nst_xcalloc(1, sizeof *f);
        *f = (struct upload){nst_xstrdup(name), st.st_mtime, 0};
        g_ptr_array_add(s->files, f);
    }
    free(path);
}

static gint newest_first(gconstpointer a, gconstpointer b)
{
    const struct upload *x = *(struct upload *const *)a,
                        *y = *(struct upload *const *)b;

    return (x->time < y->time) - (x->time > y->time);
}

static gint by_rank(gconstpointer a, gconstpointer b)
{
    const struct upload *x = *(struct upload *const *)a,
                        *y = *(struct upload *const *)b;

    return (x->rank > y->rank) - (x->rank < y->rank);
}

/* Set the ranks of uploads, which are sorted. */
static void rank_uploads(GPtrArray *files, char *(*party_of)(const char *upload))
{
    GHashTable *count = g_hash_table_new_full(g_str_hash, g_str_equal, free, NULL);

    for (guint i = 0; i < files->len; i++) {
        struct upload *f = files->pdata[i];
        char *party = party_of(f->name);

        f->rank = GPOINTER_TO_UINT(g_hash_table_lookup(count, party));
        g_hash_table_replace(count, party, GUINT_TO_POINTER(f->rank + 1));
    }
    g_hash_table_destroy(count);
}

/* True if the same picture has been sent again in the meantime. */
static bool is_newer(const struct upload *f)
{
    char *path = serve_store_path("uploads", f->name);
    struct stat st;
    bool newer = stat(path, &st) == 0 && st.st_mtime > f->time;

    free(path);
    return newer;
}

void serve_sweep_uploads(GHashTable *used, int64_t max_age, size_t max_files,
                         char *(*party_of)(const char *upload))
{
    struct sweep s = {used, g_ptr_array_new_with_free_func(free_upload)};
    time_t now = time(NULL);

    serve_store_foreach("uploads", collect, &s);
    g_ptr_array_sort(s.files, newest_first);
    if (s.files->len > max_files) {
        rank_uploads(s.files, party_of);
        g_ptr_array_sort(s.files, by_rank); /* stable */
    }
    for (guint i = 0; i < s.files->len; i++) {
        const struct upload *f = s.files->pdata[i];

        if ((i >= max_files || now - f->time >= max_age) && !is_newer(f))
            serve_store_remove_picture("uploads", f->name);
    }
    g_ptr_array_free(s.files, TRUE);
}
