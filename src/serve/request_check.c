/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/request_check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "nst.h"
#include "serve/init_image.h"
#include "serve/request.h"
#include "serve/sides.h"
#include "serve/store.h"
#include "serve/styles.h"

struct sizes {
    int longest; /* --size */
    bool square;
    double style_scale;
    int max_size;
};

/* The sides of a picture resized for a size and a scale, by which it is multiplied. */
static void resize(const struct sizes *s, int size, double scale, int *w, int *h)
{
    const struct nst_picture_size target = {.longest = (int)lround(size * scale),
                                            .square = s->square};

    nst_picture_target_size(&target, w, h);
}

static bool is_large_enough(const struct sizes *s, int size, double scale, int w, int h)
{
    resize(s, size, scale, &w, &h);
    return w >= NST_PICTURE_MIN_SIDE && h >= NST_PICTURE_MIN_SIDE;
}

/* The error of a picture of w x h pixels that is too small: a new string. */
static char *size_error(const struct sizes *s, double scale, const char *field, int w,
                        int h)
{
    int least = s->longest, now_w = w, now_h = h;

    while (least <= s->max_size && !is_large_enough(s, least, scale, w, h))
        least++;
    if (least <= s->max_size) {
        resize(s, s->longest, scale, &now_w, &now_h);
        return nst_xasprintf("size: %d makes %s %dx%d pixels, but each side needs at "
                             "least %d: ask for a size of %d or more",
                             s->longest, field, now_w, now_h, NST_PICTURE_MIN_SIDE,
                             least);
    }
    resize(s, s->max_size, scale, &now_w, &now_h);
    return nst_xasprintf("%s: %dx%d pixels is too narrow: even at size %d it has %dx%d "
                         "pixels, but each side needs at least %d: crop it%s",
                         field, w, h, s->max_size, now_w, now_h, NST_PICTURE_MIN_SIDE,
                         scale < 1 ? ", or raise style_scale" : "");
}

/* The error of a picture, a new string, or NULL. path is taken over; NULL: none. */
static char *check(const struct sizes *s, double scale, const char *field, char *path)
{
    char *error = NULL;
    int w, h;

    if (path && serve_sides_read(path, &w, &h) &&
        !is_large_enough(s, s->longest, scale, w, h))
        error = size_error(s, scale, field, w, h);
    free(path);
    return error;
}

static char *check_upload(const struct sizes *s, const char *field, const json_t *name)
{
    const char *file = json_string_value(name);

    return file ? check(s, 1, field, serve_store_path("uploads", file)) : NULL;
}

/* Packs have no pixels. */
static char *check_style(const struct sizes *s, const json_t *style)
{
    const char *name = json_string_value(json_object_get(style, "name"));
    char *field = nst_xasprintf("the style %s", name);
    char *error = check(s, s->style_scale, field, serve_styles_picture_path(name));

    free(field);
    return error ? error
                 : check_upload(s, "styles.mask", json_object_get(style, "mask"));
}

static char *check_sizes(const json_t *record, const struct sizes *s)
{
    char *error =
        check_upload(s, "content_image", json_object_get(record, "content_img"));
    const json_t *style;
    size_t i;

    if (!error)
        error = check_upload(s, "keep_mask", json_object_get(record, "keep_mask"));
    if (!error)
        error = check(s, 1, "init_image", serve_init_path(record));
    json_array_foreach(json_object_get(record, "styles"), i, style)
        if (!error)
            error = check_style(s, style);
    return error;
}

static void layer_name(char *text, size_t size, int conv, bool after_relu)
{
    const struct nst_layers one = {1, {{conv, after_relu, 1}}};

    nst_layers_format(&one, text, size);
}

/* True if a pack has a layer with this pooling ("max" or "avg"), for any network. */
static bool has_layer(const struct nst_pack *pack, const struct nst_layer *wanted,
                      const char *pooling)
{
    struct nst_pack_layer l;

    for (int i = 0; nst_pack_layer(pack, i, &l); i++)
        if (l.layer.conv == wanted->conv && l.layer.after_relu == wanted->after_relu &&
            (!l.pooling || strcmp(l.pooling, "any") == 0 ||
             strcmp(l.pooling, pooling) == 0))
            return true;
    return false;
}

/* The error of a style, a new string, if it is a pack that lacks a layer of p. */
static char *check_layers(const char *name, const struct nst_params *p)
{
    char *picture = serve_styles_picture_path(name), *path = serve_styles_path(name);
    char *pooling = nst_params_get(p, nst_option_find("pooling")), *error = NULL;
    struct nst_pack *pack = NULL;

    if (!picture && path && nst_pack_load(&pack, path, NULL) == NST_OK)
        for (int i = 0; i < p->style_layers.count && !error; i++) {
            const struct nst_layer *wanted = &p->style_layers.layer[i];
            char layer[32];

            layer_name(layer, sizeof layer, wanted->conv, wanted->after_relu);
            if (!has_layer(pack, wanted, pooling))
                error = nst_xasprintf("style_layers: %s with %s pooling is not in the "
                                      "style %s, which is a pack: leave it out, or use "
                                      "a style picture",
                                      layer, pooling, name);
        }
    nst_pack_free(pack);
    free(pooling);
    free(picture);
    free(path);
    return error;
}

/* The styles of a record as those of a run: packs choose the network. */
static void set_styles(struct nst_params *p, const json_t *record)
{
    const json_t *style;
    size_t i;

    json_array_foreach(json_object_get(record, "styles"), i, style) {
        char *path =
            serve_styles_path(json_string_value(json_object_get(style, "name")));

        if (path && p->styles.count < NST_STYLES_MAX)
            p->styles.item[p->styles.count++].file = path;
        else
            free(
                path); /* NULL: the style was deleted meanwhile; the task will say so */
    }
}

/* The error of a layer that a network of the task lacks, a new string, or NULL. */
static char *check_network(const json_t *record, struct nst_params *p,
                           const struct serve_settings *s)
{
    struct nst_missing_layer missing;
    char layer[32], last[32], *error;

    if (s->model) { /* as runner.c */
        free(p->model);
        p->model = nst_xstrdup(s->model);
    }
    set_styles(p, record);
    if (!nst_run_lacks_layer(p, &missing))
        return NULL;
    layer_name(layer, sizeof layer, missing.layer.conv, missing.layer.after_relu);
    layer_name(last, sizeof last, missing.convs - 1, true);
    error = nst_xasprintf("%s: %s is not in the network %s, whose last layer is %s: "
                          "name layers up to that",
                          missing.is_style ? "style_layers" : "content_layers", layer,
                          missing.network, last);
    free(missing.network);
    return error;
}

char *serve_request_check(const json_t *record, const struct serve_settings *s)
{
    struct nst_params p;
    char *error = NULL;
    const json_t *style;
    size_t i;

    nst_params_init(&p);
    if (serve_request_params(record, &p, NULL) == NST_OK) {
        const struct sizes sizes = {(int)p.size, p.square, p.style_scale,
                                    (int)s->max_size};

        error = check_sizes(record, &sizes);
        if (!error && !serve_request_is_net(record))
            error = check_network(record, &p, s);
        json_array_foreach(json_object_get(record, "styles"), i, style)
            if (!error)
                error =
                    check_layers(json_string_value(json_object_get(style, "name")), &p);
    }
    nst_params_clear(&p);
    return error;
}
