/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/level.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "image/pixels.h"
#include "run/pyramid.h"
#include "run/regions.h"

int nst_level_length(const struct nst_level_config *level, int length)
{
    int n = (int)(length * level->ratio + 0.5);

    if (level->ratio == 1)
        return length;
    return n < NST_PICTURE_MIN_SIDE ? NST_PICTURE_MIN_SIDE : n;
}

static enum nst_status resample_picture(const struct nst_level_config *level,
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

enum nst_status nst_level_pad(const struct nst_level_config *level, float **planes,
                              int count, struct nst_size size, struct nst_err *err)
{
    int border = nst_padding_width(level->p);
    float *padded_planes;
    enum nst_status st;

    if (!border || !*planes)
        return NST_OK;
    st = nst_pixels_pad(&padded_planes, *planes, count, size, border,
                        level->p->padding == NST_PADDING_REFLECT, err);
    if (st != NST_OK)
        return st;
    free(*planes);
    *planes = padded_planes;
    return NST_OK;
}

enum nst_status nst_level_content(const struct nst_level_config *level,
                                  const struct nst_picture *p,
                                  struct nst_resampled *out, struct nst_err *err)
{
    int border = nst_padding_width(level->p);
    struct nst_size size;
    float *padded_planes;
    enum nst_status st = resample_picture(level, p, out, err);

    if (st != NST_OK || !border)
        return st;
    size = (struct nst_size){out->image.height, out->image.width};
    st = nst_pixels_pad(&padded_planes, out->image.rgb, 3, size, border,
                        level->p->padding == NST_PADDING_REFLECT, err);
    free(out->owned);
    *out = (struct nst_resampled){
        {padded_planes, size.height + 2 * border, size.width + 2 * border},
        padded_planes};
    return st;
}

const float *nst_padded_row(struct nst_image padded, int border, int row)
{
    int h = padded.height - 2 * border;

    return padded.rgb +
           ((size_t)(row / h) * (size_t)padded.height + (size_t)(row % h + border)) *
               (size_t)padded.width +
           border;
}

enum nst_status nst_level_add_detail(const struct nst_level_config *previous,
                                     const struct nst_picture *p,
                                     struct nst_image content, float amount, float *x,
                                     struct nst_err *err)
{
    int border = nst_padding_width(previous->p);
    int h = content.height - 2 * border, w = content.width - 2 * border;
    struct nst_resampled small;
    float *blurred = NULL;
    enum nst_status st = resample_picture(previous, p, &small, err);

    if (st == NST_OK)
        st = nst_pixels_resize(&blurred, small.image, h, w, err);
    for (int row = 0; st == NST_OK && row < 3 * h; row++) {
        const float *sharp = nst_padded_row(content, border, row);

        for (int k = 0; k < w; k++) {
            size_t i = (size_t)row * (size_t)w + (size_t)k;
            float v = x[i] + amount * (sharp[k] - blurred[i]);

            x[i] = v > 0 ? v < 1 ? v : 1 : 0;
        }
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
    int border = 2 * nst_padding_width(level->p);

    if (size.height) {
        size.height = nst_level_length(level, size.height) + border;
        size.width = nst_level_length(level, size.width) + border;
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
    p->border = nst_padding_width(level->p);
    p->image.height = nst_level_length(level, styles->item[i].height) + 2 * p->border;
    p->image.width = nst_level_length(level, styles->item[i].width) + 2 * p->border;
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

/* Pad plane *guide with zeros. Statistics must exclude the border, which is
 * cropped at the end, or the border would match the style instead of the picture. */
static enum nst_status pad_with_zeros(float **guide, struct nst_size size, int border,
                                      struct nst_err *err)
{
    int h = size.height, w = size.width;
    size_t pitch = (size_t)(w + 2 * border);
    float *padded_planes;
    enum nst_status st =
        nst_floats_new(&padded_planes, 1, (size_t)(h + 2 * border), pitch, err);

    if (st != NST_OK)
        return st;
    for (int y = 0; y < h; y++)
        memcpy(padded_planes + (size_t)(y + border) * pitch + border,
               *guide + (size_t)y * (size_t)w, (size_t)w * sizeof *padded_planes);
    free(*guide);
    *guide = padded_planes;
    return NST_OK;
}

/* Make the guidance masks of the regions for images of that size before padding. */
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
    for (int i = 0; st == NST_OK && i < regions; i++)
        st = pad_with_zeros(&s->guide[i], size, nst_padding_width(level->p), err);
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
