/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "gimp/stage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <glib/gstdio.h>
#include <libgimp/gimp.h>

/* The first run paints scales up to this longest side. */
#define WHOLE_SIDE 256
/* Pixels, at the scale of the run, around what the user sees: paint there continues
 * beyond the border. */
#define MARGIN 32
#define MIN_SIDE NST_PICTURE_MIN_SIDE

static gboolean is_net(const struct nst_params *p)
{
    char *path = nst_find_net(p->styles.item[0].file);

    free(path);
    return path != NULL;
}

/* The scales of a run by *p on the region; *longest is the side of the last. */
static int find_levels(const struct nst_gimp_region *r, const struct nst_params *p,
                       struct nst_level level[NST_LIST_MAX], int *longest)
{
    const struct nst_picture_size size = {.longest = (int)p->size, .square = p->square};
    int w = r->area.width, h = r->area.height;

    nst_picture_target_size(&size, &w, &h);
    *longest = MAX(w, h);
    return nst_pyramid_levels(p, h, w, level);
}

static int small_levels(const struct nst_level *level, int count)
{
    int i = 0;

    while (i < count && level[i].longest <= WHOLE_SIDE)
        i++;
    return i;
}

/* Let a run have these scales and no other. */
static void set_levels(struct nst_params *p, const struct nst_level *level, int count)
{
    p->scales = (struct nst_list){.count = count};
    p->scale_iterations = (struct nst_list){.count = count};
    for (int i = 0; i < count; i++) {
        p->scales.value[i] = level[i].longest;
        p->scale_iterations.value[i] = level[i].iterations;
    }
    p->size = level[count - 1].longest;
}

/* Read the part of the region that at is, in its pixels at that scale. */
static void read_part(struct nst_gimp_stage *s, const struct nst_gimp_region *r,
                      const GeglRectangle *at, double scale)
{
    gsize bytes = 3 * (gsize)at->width * (gsize)at->height;

    s->x = r->area.x + at->x / scale;
    s->y = r->area.y + at->y / scale;
    s->w = at->width / scale;
    s->h = at->height / scale;
    nst_gimp_region_scaled(r, FALSE, at, scale, &s->picture);
    if (r->keep.data)
        nst_gimp_region_scaled(r, TRUE, at, scale, &s->keep);
    s->result = s->picture;
    s->result.data = g_memdup2(s->picture.data, bytes);
}

gboolean nst_gimp_stage_whole(struct nst_gimp_stage *s, const struct nst_gimp_region *r,
                              struct nst_params *p)
{
    struct nst_level level[NST_LIST_MAX];
    int longest, count = find_levels(r, p, level, &longest);
    struct nst_picture_size size = {.square = p->square};
    GeglRectangle at = {0, 0, r->area.width, r->area.height};

    memset(s, 0, sizeof *s);
    count = small_levels(level, count);
    if (is_net(p) || !count)
        return FALSE;
    size.longest = level[count - 1].longest;
    if (!p->square)
        nst_picture_target_size(&size, &at.width, &at.height);
    read_part(s, r, &at,
              (double)MAX(at.width, at.height) / MAX(r->area.width, r->area.height));
    s->w = r->area.width; /* without the rounding of the sides */
    s->h = r->area.height;
    set_levels(p, level, count);
    return TRUE;
}

/* Restrict a range of a whole of that length to what is in view, with the margin, but
 * at least as long as nst needs. False if nothing is in view. */
static gboolean restrict_to(double from, double to, int whole, gint *at, gint *length)
{
    double low = MAX(0, floor(from) - MARGIN), high = MIN(whole, ceil(to) + MARGIN);

    if (to <= 0 || from >= whole)
        return FALSE;
    if (high - low < MIN_SIDE) {
        low = MAX(0, MIN(low, whole - MIN_SIDE));
        high = MIN(whole, low + MIN_SIDE);
    }
    *at = (gint)low;
    *length = (gint)(high - low);
    return *length >= MIN_SIDE;
}

/* Find what of the region is in view, in its pixels at that scale. */
static gboolean find_part(const struct nst_gimp_region *r,
                          const struct nst_gimp_frame *frame, double scale,
                          GeglRectangle *at)
{
    double x = (frame->x - r->area.x) * scale, y = (frame->y - r->area.y) * scale;
    double shown = scale / frame->zoom;

    return restrict_to(x, x + frame->width * shown, (int)(r->area.width * scale + 0.5),
                       &at->x, &at->width) &&
           restrict_to(y, y + frame->height * shown,
                       (int)(r->area.height * scale + 0.5), &at->y, &at->height);
}

/* The scales that remain after the first run, up to a longest side of the whole, when
 * it is cut to a part. */
static void set_part_levels(struct nst_params *p, const struct nst_level *level,
                            int done, int count, double whole,
                            const GeglRectangle *part)
{
    struct nst_level cut[NST_LIST_MAX];
    int longest = MAX(part->width, part->height), n = 0;
    double least = (double)MIN_SIDE * longest / MIN(part->width, part->height);

    for (int i = done; i < count; i++) {
        int side = (int)(longest * level[i].longest / whole + 0.5);

        cut[n] = (struct nst_level){MIN(side, longest), level[i].iterations};
        if (side >= longest || i == count - 1) {
            cut[n++].longest = longest;
            break;
        }
        if (side >= least && (n == 0 || side > cut[n - 1].longest))
            n++;
    }
    set_levels(p, cut, n);
}

/* Let each network serve the scales of the part that it serves in the whole. */
static void scale_models(struct nst_params *p, double factor)
{
    GString *text = g_string_new(NULL);
    struct nst_models m;
    int last = MIN_SIDE - 1;
    enum nst_status st = nst_models_parse(&m, p->model, NULL);

    for (int i = 0; st == NST_OK && i < m.count && m.model[i].name; i++) {
        int size = (int)(m.model[i].max_size * factor);

        if (i < m.count - 1 && size <= last)
            continue;
        g_string_append(text, m.model[i].name);
        if (m.model[i].optional)
            g_string_append_c(text, '?');
        if (i < m.count - 1)
            g_string_append_printf(text, ":%d,", size);
        last = size;
    }
    if (st == NST_OK && m.count > 1)
        nst_params_set(p, "model", text->str, NULL);
    nst_models_clear(&m);
    g_string_free(text, TRUE);
}

/*
 * The picture from which the part continues: the painting of the whole, enlarged. A
 * weaker style begins with some of the detail that a scale adds, as in a run on the
 * whole.
 */
static void enlarge(const struct nst_gimp_stage *s, const struct nst_gimp_region *r,
                    const struct nst_gimp_paint *painting, float detail,
                    struct nst_gimp_paint *out)
{
    const guchar *content = s->picture.data;
    struct nst_gimp_paint coarse = *painting;
    const GeglRectangle all = {0, 0, painting->width, painting->height};
    struct nst_samples small;
    gsize at = 0;

    nst_gimp_region_scaled(r, FALSE, &all, painting->width / painting->w, &small);
    coarse.rgb = small.data;
    *out = (struct nst_gimp_paint){
        NULL, s->picture.width, s->picture.height, s->x, s->y, s->w, s->h};
    out->rgb = g_malloc_n(3 * (gsize)out->width, (gsize)out->height);
    for (int j = 0; j < out->height; j++)
        for (int i = 0; i < out->width; i++) {
            double x = s->x + (i + 0.5) / out->width * s->w;
            double y = s->y + (j + 0.5) / out->height * s->h;
            float colour[3], without[3];

            nst_gimp_paint_sample(painting, x, y, colour);
            nst_gimp_paint_sample(&coarse, x, y, without);
            for (int c = 0; c < 3; c++, at++) {
                float v = colour[c] + detail * ((float)content[at] - without[c]);

                out->rgb[at] = (guchar)(CLAMP(v, 0, 255) + 0.5f);
            }
        }
    g_free(small.data);
}

/* Let the run start from the painting. */
static void set_init(struct nst_gimp_stage *s, const struct nst_gimp_region *r,
                     const struct nst_gimp_paint *painting, struct nst_params *p)
{
    gboolean adds = p->strength < 1 && strcmp(p->init, "content") == 0;
    struct nst_gimp_paint start;

    enlarge(s, r, painting, adds ? (float)(1 - p->strength) : 0, &start);
    s->init = gimp_temp_name("png");
    if (nst_gimp_paint_save(&start, s->init))
        nst_params_set(p, "init", s->init, NULL);
    nst_gimp_paint_clear(&start);
}

/* Whether what *p says about the whole picture cannot be said about a part. */
static gboolean needs_whole(const struct nst_params *p)
{
    if (p->square || p->keep_mask || p->scale_mode == NST_SCALE_BLEND)
        return TRUE;
    for (int i = 0; i < p->styles.count; i++)
        if (p->styles.item[i].mask)
            return TRUE;
    return FALSE;
}

gboolean nst_gimp_stage_part(struct nst_gimp_stage *s, const struct nst_gimp_region *r,
                             const struct nst_gimp_frame *frame,
                             const struct nst_gimp_paint *painting,
                             struct nst_params *p)
{
    struct nst_level level[NST_LIST_MAX];
    int side, count = find_levels(r, p, level, &side);
    int done = painting->rgb ? small_levels(level, count) : 0;
    double region = MAX(r->area.width, r->area.height);
    double scale = side / region, cut;
    gboolean net = is_net(p);
    GeglRectangle at;

    memset(s, 0, sizeof *s);
    if (needs_whole(p) || done == count)
        return FALSE;
    if (!net) /* the strokes of a network have one size */
        scale = MIN(scale, frame->zoom);
    if ((done && level[done - 1].longest >= scale * region) ||
        !find_part(r, frame, scale, &at))
        return FALSE;
    read_part(s, r, &at, scale);
    cut = MAX(at.width, at.height) / (scale * region);
    if (net)
        p->size = MAX(at.width, at.height);
    else {
        p->style_scale /= cut; /* may leave the range of the option */
        scale_models(p, cut);
        set_part_levels(p, level, done, count, scale * region, &at);
    }
    if (painting->rgb)
        set_init(s, r, painting, p);
    return TRUE;
}

void nst_gimp_stage_clear(struct nst_gimp_stage *s)
{
    g_free(s->picture.data);
    g_free(s->keep.data);
    g_free(s->result.data);
    if (s->init)
        g_unlink(s->init);
    g_free(s->init);
    memset(s, 0, sizeof *s);
}
