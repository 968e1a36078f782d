/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/presets.h"

#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>

#include "nst.h"

static struct {
    pthread_mutex_t lock;
    GRefString *list; /* NULL: to be read */
} presets = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct visit {
    json_t *list;
    int64_t max_size;
};

/* Skips presets whose size exceeds --max-size: their tasks would be rejected. */
static void add_preset(void *ctx, const char *name, const char *path,
                       const char *description)
{
    struct visit *v = ctx;
    struct nst_params params;

    nst_params_init(&params);
    if (nst_preset_apply(&params, path, NULL) == NST_OK && params.size > 0 &&
        params.size <= v->max_size)
        json_array_append_new(v->list, json_pack("{s:s, s:s, s:I, s:I}", "name", name,
                                                 "description", description, "size",
                                                 (json_int_t)params.size, "num_steps",
                                                 (json_int_t)params.iterations));
    nst_params_clear(&params);
}

static GRefString *read_list(int64_t max_size)
{
    struct visit v = {json_array(), max_size};
    GRefString *list;
    char *text;

    nst_preset_each(add_preset, &v);
    text = json_dumps(v.list, JSON_COMPACT);
    list = g_ref_string_new(text);
    free(text);
    json_decref(v.list);
    return list;
}

GRefString *serve_presets_list(const struct serve_settings *s)
{
    GRefString *list;

    pthread_mutex_lock(&presets.lock);
    if (!presets.list)
        presets.list = read_list(s->max_size);
    list = g_ref_string_acquire(presets.list);
    pthread_mutex_unlock(&presets.lock);
    return list;
}

void serve_presets_reload(void)
{
    pthread_mutex_lock(&presets.lock);
    g_clear_pointer(&presets.list, g_ref_string_release);
    pthread_mutex_unlock(&presets.lock);
}
