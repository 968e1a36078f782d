/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/level.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "image/pixels.h"
#include "run/regions.h"

int nst_level_length(const struct nst_level_config *level, int length)
{
    int n = (int)(length * level->ratio + 0.5);

    if (level->ratio == 1)
        return length;
    return n < NST_PICTURE_MIN_SIDE ? NST_PICTURE_MIN_SIDE : n;
}

enum nst_status nst_level_content(const struct nst_level_config *level,
                                  const struct nst_picture *p,
                                  struct nst_resampled *out, struct nst_err *err)
{
    int h = nst_level_length(level, p->height), w = nst_level_length(level, p->width);
    enum nst_status st = NST_OK;

    *out = (struct nst_resampled){{p->rgb, h, w}, NULL};
    if (level->ratio != 1 && p->small.rgb && (w > h ? w : h) <= NST_PICTURE_SMALL_SIDE)
        st = nst_pixels_resize(
            &out->owned,
            (struct nst_image){p->small.rgb, p->small.height, p->small.width}, h, w,
            err);
    else if (level->ratio != 1)
        st = nst_pixels_resize(&out->owned, nst_picture_image(p), h, w, err);
    if (out->owned)
        out->image.rgb = out->owned;
    return st;
}

enum nst_status nst_level_add_detail(const struct nst_level_config *previous,
                                     const struct nst_picture *p,
                                     struct nst_image content, float amount, float *x,
                                     struct nst_err *err)
{
    size_t n = 3 * nst_area(content.height, content.width);
    struct nst_resampled small;
    float *blurred = NULL;
    enum nst_status st = nst_level_content(previous, p, &small, err);

    if (st == NST_OK)
        st = nst_pixels_resize(&blurred, small.image, content.height, content.width,
                               err);
    for (size_t i = 0; st == NST_OK && i < n; i++) {
        float v = x[i] + amount * (content.rgb[i] - blurred[i]);

        x[i] = v > 0 ? v < 1 ? v : 1 : 0;
    }
    free(blurred);
    free(small.owned);
    return st;
}

enum nst_status nst_level_mask(const struct nst_picture *mask, struct nst_size size,
                               float **out, struct nst_err *err)
{
    size_t n = nst_area(size.height, size.width);
    enum nst_status st;

    *out = NULL;
    if (!mask)
        return NST_OK;
    st = nst_pixels_resize(out, nst_picture_image(mask), size.height, size.width, err);
    for (size_t i = 0; st == NST_OK && i < n; i++)
        (*out)[i] = ((*out)[i] + (*out)[n + i] + (*out)[2 * n + i]) / 3;
    return st;
}

struct nst_size nst_level_style_size(const struct nst_level_config *level,
                                     const struct nst_style_set *styles)
{
    struct nst_size size = nst_style_set_largest(styles);

    if (size.height) {
        size.height = nst_level_length(level, size.height);
        size.width = nst_level_length(level, size.width);
    }
    return size;
}

/* Load the pixels of a style image unless its statistics are cached. */
static enum nst_status load_style_image(const struct nst_level_config *level,
                                        struct nst_style_set *styles, int i, int tile,
                                        struct nst_level_style *s, struct nst_err *err)
{
    struct nst_style_image *p = &s->painting[i];
    struct nst_picture *picture;
    enum nst_status st;

    p->cache = styles->item[i].cache;
    p->image.height = nst_level_length(level, styles->item[i].height);
    p->image.width = nst_level_length(level, styles->item[i].width);
    if (p->cache &&
        nst_statistics_cache_contains(
            p->cache, (struct nst_statistics_key){p->image.height, p->image.width, tile,
                                                  level->fingerprint}))
        return NST_OK;
    st = nst_style_set_picture(styles, i, &picture, err);
    if (st == NST_OK)
        st = nst_level_content(level, picture, &s->size[i], err);
    p->image.rgb = s->size[i].image.rgb;
    return st;
}

/* Make the guidance masks of the regions for images of that size. */
static enum nst_status make_guides(const struct nst_level_config *level,
                                   const struct nst_style_set *styles,
                                   struct nst_size size, struct nst_level_style *s,
                                   struct nst_err *err)
{
    size_t n = nst_area(size.height, size.width);
    int regions = s->style.regions;
    enum nst_status st = NST_OK;

    for (int i = 0; st == NST_OK && i < styles->count; i++)
        if (styles->item[i].mask)
            st = nst_level_mask(styles->item[i].mask, size,
                                &s->guide[s->painting[i].region], err);
    for (int i = 0; st == NST_OK && i < regions; i++)
        if (!s->guide[i])
            st = nst_floats_new(&s->guide[i], n, 1, 1, err);
    if (st == NST_OK)
        nst_regions_normalise(&level->p->styles, s->guide, regions, n);
    return st;
}

enum nst_status nst_level_style_init(const struct nst_level_config *level,
                                     struct nst_style_set *styles, struct nst_size size,
                                     int longest, int tile, struct nst_level_style *out,
                                     struct nst_err *err)
{
    int region[NST_STYLES_MAX];
    /* of the style image that a pack replaces */
    double pack_longest =
        (level->p->size ? (int)level->p->size : longest) * level->p->style_scale;
    enum nst_status st = NST_OK;

    *out = (struct nst_level_style){.style = {out->painting, styles->count,
                                              nst_regions_assign(level->p, region),
                                              (const float *const *)out->guide}};
    for (int i = 0; st == NST_OK && i < styles->count; i++) {
        const struct nst_style_option *o = &level->p->styles.item[i];
        struct nst_style_image *p = &out->painting[i];

        *p = (struct nst_style_image){.region = region[i], .weight = o->weight};
        if (o->layers.count)
            p->layers = &o->layers;
        p->pack = styles->item[i].pack;
        if (p->pack)
            p->image.height = p->image.width =
                nst_level_length(level, (int)lround(pack_longest));
        else
            st = load_style_image(level, styles, i, tile, out, err);
    }
    if (st == NST_OK && out->style.regions)
        st = make_guides(level, styles, size, out, err);
    return st;
}

void nst_level_style_clear(struct nst_level_style *s)
{
    for (int i = 0; i < NST_STYLES_MAX; i++) {
        free(s->size[i].owned);
        free(s->guide[i]);
    }
    *s = (struct nst_level_style){.style = {NULL}};
}
