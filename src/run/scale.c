/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/scale.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/regions.h"
#include "job/scales.h"

int nst_scaled(const struct nst_at_scale *at, int length)
{
    int n = (int)(length * at->part + 0.5);

    if (at->part == 1)
        return length;
    return n < NST_PICTURE_MIN_SIDE ? NST_PICTURE_MIN_SIDE : n;
}

static enum nst_status size_picture(const struct nst_at_scale *at,
                                    const struct nst_picture *p, struct nst_sized *out,
                                    struct nst_err *err)
{
    int h = nst_scaled(at, p->height), w = nst_scaled(at, p->width);
    enum nst_status st = NST_OK;

    *out = (struct nst_sized){{p->rgb, h, w}, NULL};
    if (at->part != 1 && p->small.rgb && (w > h ? w : h) <= NST_PICTURE_SMALL)
        st = nst_pixels_resize(&out->own, p->small.rgb, p->small.height, p->small.width,
                               h, w, err);
    else if (at->part != 1)
        st = nst_pixels_resize(&out->own, p->rgb, p->height, p->width, h, w, err);
    if (out->own)
        out->image.rgb = out->own;
    return st;
}

enum nst_status nst_scale_extend(const struct nst_at_scale *at, float **planes,
                                 int count, int h, int w, struct nst_err *err)
{
    int border = nst_border(at->p);
    float *larger;
    enum nst_status st;

    if (!border || !*planes)
        return NST_OK;
    st = nst_pixels_extend(&larger, *planes, count, h, w, border,
                           at->p->padding == NST_PADDING_REFLECT, err);
    if (st != NST_OK)
        return st;
    free(*planes);
    *planes = larger;
    return NST_OK;
}

enum nst_status nst_scale_content(const struct nst_at_scale *at,
                                  const struct nst_picture *p, struct nst_sized *out,
                                  struct nst_err *err)
{
    int border = nst_border(at->p), h, w;
    float *larger;
    enum nst_status st = size_picture(at, p, out, err);

    if (st != NST_OK || !border)
        return st;
    h = out->image.height;
    w = out->image.width;
    st = nst_pixels_extend(&larger, out->image.rgb, 3, h, w, border,
                           at->p->padding == NST_PADDING_REFLECT, err);
    free(out->own);
    *out = (struct nst_sized){{larger, h + 2 * border, w + 2 * border}, larger};
    return st;
}

const float *nst_scale_row(struct nst_image extended, int border, int row)
{
    int h = extended.height - 2 * border;

    return extended.rgb +
           ((size_t)(row / h) * (size_t)extended.height + (size_t)(row % h + border)) *
               (size_t)extended.width +
           border;
}

enum nst_status nst_scale_add_detail(const struct nst_at_scale *before,
                                     const struct nst_picture *p,
                                     struct nst_image content, float share, float *x,
                                     struct nst_err *err)
{
    int border = nst_border(before->p);
    int h = content.height - 2 * border, w = content.width - 2 * border;
    struct nst_sized small;
    float *blurred = NULL;
    enum nst_status st = size_picture(before, p, &small, err);

    if (st == NST_OK)
        st = nst_pixels_resize(&blurred, small.image.rgb, small.image.height,
                               small.image.width, h, w, err);
    for (int row = 0; st == NST_OK && row < 3 * h; row++) {
        const float *sharp = nst_scale_row(content, border, row);

        for (int k = 0; k < w; k++) {
            size_t i = (size_t)row * (size_t)w + (size_t)k;
            float v = x[i] + share * (sharp[k] - blurred[i]);

            x[i] = v > 0 ? v < 1 ? v : 1 : 0;
        }
    }
    free(blurred);
    free(small.own);
    return st;
}

enum nst_status nst_scale_mask(const struct nst_picture *mask, int h, int w,
                               float **out, struct nst_err *err)
{
    size_t n = (size_t)h * (size_t)w;
    enum nst_status st;

    *out = NULL;
    if (!mask)
        return NST_OK;
    st = nst_pixels_resize(out, mask->rgb, mask->height, mask->width, h, w, err);
    for (size_t i = 0; st == NST_OK && i < n; i++)
        (*out)[i] = ((*out)[i] + (*out)[n + i] + (*out)[2 * n + i]) / 3;
    return st;
}

void nst_scale_style_sizes(const struct nst_at_scale *at,
                           const struct nst_styles_read *styles, int *height,
                           int *width)
{
    nst_styles_largest(styles, height, width);
    if (*height) {
        *height = nst_scaled(at, *height) + 2 * nst_border(at->p);
        *width = nst_scaled(at, *width) + 2 * nst_border(at->p);
    }
}

/* The longest side of a painting whose pack stands for it. */
static int pack_side(const struct nst_at_scale *at, int longest)
{
    if (at->p->size)
        longest = (int)at->p->size;
    return nst_scaled(at, (int)lround(longest * at->p->style_scale));
}

/* The pixels of a painting, unless all that is asked of them is known. */
static enum nst_status paint(const struct nst_at_scale *at,
                             struct nst_styles_read *styles, int i, int tile,
                             struct nst_scaled_style *s, struct nst_err *err)
{
    struct nst_painting *p = &s->painting[i];
    struct nst_picture *picture;
    enum nst_status st;

    p->kept = styles->of[i].kept;
    p->border = nst_border(at->p);
    p->height = nst_scaled(at, styles->of[i].height) + 2 * p->border;
    p->width = nst_scaled(at, styles->of[i].width) + 2 * p->border;
    if (p->kept && nst_kept_has(p->kept, (struct nst_kept_size){p->height, p->width,
                                                                tile, at->network}))
        return NST_OK;
    st = nst_styles_picture(styles, i, &picture, err);
    if (st == NST_OK)
        st = nst_scale_content(at, picture, &s->size[i], err);
    p->rgb = s->size[i].image.rgb;
    return st;
}

/* The plane *guide of h x w with a border of zeros round it: what is cut off at the end
 * counts in no statistics, or they would be met by the border at the picture's cost. */
static enum nst_status leave_out_border(float **guide, int h, int w, int border,
                                        struct nst_err *err)
{
    size_t pitch = (size_t)(w + 2 * border);
    float *larger;
    enum nst_status st =
        nst_floats_new(&larger, 1, (size_t)(h + 2 * border), pitch, err);

    if (st != NST_OK)
        return st;
    for (int y = 0; y < h; y++)
        memcpy(larger + (size_t)(y + border) * pitch + border,
               *guide + (size_t)y * (size_t)w, (size_t)w * sizeof *larger);
    free(*guide);
    *guide = larger;
    return NST_OK;
}

/* The guides of the regions, for pictures of h x w before they are extended. */
static enum nst_status make_guides(const struct nst_at_scale *at,
                                   const struct nst_styles_read *styles, int h, int w,
                                   struct nst_scaled_style *s, struct nst_err *err)
{
    int regions = s->style.regions;
    enum nst_status st = NST_OK;

    for (int i = 0; st == NST_OK && i < styles->count; i++)
        if (styles->of[i].mask)
            st = nst_scale_mask(styles->of[i].mask, h, w,
                                &s->guide[s->painting[i].region], err);
    for (int i = 0; st == NST_OK && i < regions; i++)
        if (!s->guide[i])
            st = nst_floats_new(&s->guide[i], 1, (size_t)h, (size_t)w, err);
    if (st == NST_OK)
        nst_regions_divide(&at->p->styles, s->guide, regions, (size_t)h * (size_t)w);
    for (int i = 0; st == NST_OK && i < regions; i++)
        st = leave_out_border(&s->guide[i], h, w, nst_border(at->p), err);
    return st;
}

enum nst_status nst_scale_style(const struct nst_at_scale *at,
                                struct nst_styles_read *styles, int h, int w,
                                int longest, int tile, struct nst_scaled_style *out,
                                struct nst_err *err)
{
    int region[NST_STYLES_MAX];
    enum nst_status st = NST_OK;

    *out = (struct nst_scaled_style){.style = {out->painting, styles->count,
                                               nst_regions(at->p, region),
                                               (const float *const *)out->guide}};
    for (int i = 0; st == NST_OK && i < styles->count; i++) {
        const struct nst_style_option *o = &at->p->styles.of[i];
        struct nst_painting *p = &out->painting[i];

        *p = (struct nst_painting){.region = region[i], .share = o->weight};
        if (o->layers.count)
            p->layers = &o->layers;
        p->pack = styles->of[i].pack;
        if (p->pack)
            p->height = p->width = pack_side(at, longest);
        else
            st = paint(at, styles, i, tile, out, err);
    }
    if (st == NST_OK && out->style.regions)
        st = make_guides(at, styles, h, w, out, err);
    return st;
}

void nst_scaled_style_clear(struct nst_scaled_style *s)
{
    for (int i = 0; i < NST_STYLES_MAX; i++) {
        free(s->size[i].own);
        free(s->guide[i]);
    }
    *s = (struct nst_scaled_style){.style = {NULL}};
}
