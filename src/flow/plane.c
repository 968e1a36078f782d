/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "flow/flow_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

static enum nst_status plane_new(struct flow_plane *p, int height, int width,
                                 struct nst_err *err)
{
    size_t w = (size_t)width + 2 * FLOW_BORDER, h = (size_t)height + 2 * FLOW_BORDER;
    enum nst_status status = nst_floats_new(&p->samples, 1, h, w, err);

    if (status != NST_OK)
        return status;
    p->height = height;
    p->width = width;
    p->stride = (ptrdiff_t)w;
    p->origin = p->samples + FLOW_BORDER * p->stride + FLOW_BORDER;
    return NST_OK;
}

void nst_flow_plane_free(struct flow_plane *p)
{
    free(p->samples);
    p->samples = NULL;
}

static void fill_border(struct flow_plane *p)
{
    for (int y = 0; y < p->height; y++) {
        float *row = p->origin + y * p->stride;

        for (int x = 1; x <= FLOW_BORDER; x++) {
            row[-x] = row[0];
            row[p->width - 1 + x] = row[p->width - 1];
        }
    }
    for (int y = 1; y <= FLOW_BORDER; y++) {
        size_t bytes = (size_t)p->stride * sizeof *p->samples;
        float *top = p->origin - FLOW_BORDER;
        float *bottom = top + (p->height - 1) * p->stride;

        memcpy(top - y * p->stride, top, bytes);
        memcpy(bottom + y * p->stride, bottom, bytes);
    }
}

struct luma {
    struct flow_plane *p;
    const float *rgb;
};

static void luma_row(void *ctx, int y, int thread)
{
    const struct luma *l = ctx;
    size_t n = nst_area(l->p->height, l->p->width);
    const float *r = l->rgb + (size_t)y * (size_t)l->p->width, *g = r + n, *b = g + n;
    float *to = l->p->origin + y * l->p->stride;

    (void)thread;
    for (int x = 0; x < l->p->width; x++)
        to[x] = 255 * (0.299f * r[x] + 0.587f * g[x] + 0.114f * b[x]);
}

enum nst_status nst_flow_plane_from_image(struct flow_plane *p, struct nst_image image,
                                          struct nst_threads *threads,
                                          struct nst_err *err)
{
    enum nst_status status = plane_new(p, image.height, image.width, err);

    if (status != NST_OK)
        return status;
    nst_threads_run(threads, p->height, luma_row, &(struct luma){p, image.rgb});
    fill_border(p);
    return NST_OK;
}

struct halving {
    struct flow_plane *p;
    const struct flow_plane *of;
};

static void halve_row(void *ctx, int y, int thread)
{
    const struct halving *h = ctx;
    /* the border stands in for the other half of the last pixels of odd sides */
    const float *a = h->of->origin + 2 * y * h->of->stride, *b = a + h->of->stride;
    float *to = h->p->origin + y * h->p->stride;

    (void)thread;
    for (ptrdiff_t x = 0; x < h->p->width; x++)
        to[x] = (a[2 * x] + a[2 * x + 1] + b[2 * x] + b[2 * x + 1]) / 4;
}

enum nst_status nst_flow_plane_halve(struct flow_plane *p, const struct flow_plane *of,
                                     struct nst_threads *threads, struct nst_err *err)
{
    enum nst_status status =
        plane_new(p, (of->height + 1) / 2, (of->width + 1) / 2, err);

    if (status != NST_OK)
        return status;
    nst_threads_run(threads, p->height, halve_row, &(struct halving){p, of});
    fill_border(p);
    return NST_OK;
}

struct derivation {
    struct flow_plane *dx, *dy;
    const struct flow_plane *of;
};

/* Central differences of fourth order, as Brox et al. use. */
static float difference(const float *at, ptrdiff_t step)
{
    return (8 * (at[step] - at[-step]) - (at[2 * step] - at[-2 * step])) / 12;
}

static void derive_row(void *ctx, int y, int thread)
{
    const struct derivation *d = ctx;
    const float *from = d->of->origin + y * d->of->stride;
    float *dx = d->dx->origin + y * d->dx->stride;
    float *dy = d->dy->origin + y * d->dy->stride;

    (void)thread;
    for (int x = 0; x < d->of->width; x++) {
        dx[x] = difference(from + x, 1);
        dy[x] = difference(from + x, d->of->stride);
    }
}

enum nst_status nst_flow_plane_derive(struct flow_plane *dx, struct flow_plane *dy,
                                      const struct flow_plane *of,
                                      struct nst_threads *threads, struct nst_err *err)
{
    enum nst_status status = plane_new(dx, of->height, of->width, err);

    if (status == NST_OK)
        status = plane_new(dy, of->height, of->width, err);
    if (status != NST_OK)
        return status;
    nst_threads_run(threads, of->height, derive_row, &(struct derivation){dx, dy, of});
    fill_border(dx);
    fill_border(dy);
    return NST_OK;
}

static float clamp(float value, float least, float most)
{
    return value > least ? value < most ? value : most : least;
}

float nst_flow_plane_at(const struct flow_plane *p, float x, float y)
{
    float cx = clamp(x, -FLOW_BORDER, (float)(p->width + FLOW_BORDER - 2));
    float cy = clamp(y, -FLOW_BORDER, (float)(p->height + FLOW_BORDER - 2));
    float left = floorf(cx), top = floorf(cy), fx = cx - left, fy = cy - top;
    const float *a = p->origin + (ptrdiff_t)top * p->stride + (ptrdiff_t)left;
    const float *b = a + p->stride;

    return (1 - fy) * ((1 - fx) * a[0] + fx * a[1]) +
           fy * ((1 - fx) * b[0] + fx * b[1]);
}
