/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "flow/flow_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define BORDER NST_FLOW_BORDER

/* The first sample, in the border. */
static float *first_sample(const struct nst_flow_plane *p)
{
    return p->origin - (ptrdiff_t)BORDER * p->stride - BORDER;
}

enum nst_status nst_flow_plane_new(struct nst_flow_plane *p, int height, int width,
                                   struct nst_err *err)
{
    size_t w = (size_t)width + 2 * BORDER, h = (size_t)height + 2 * BORDER;
    float *samples;
    enum nst_status status = nst_floats_new(&samples, 1, h, w, err);

    if (status != NST_OK)
        return status;
    *p = (struct nst_flow_plane){samples + BORDER * w + BORDER, height, width, (int)w};
    return NST_OK;
}

void nst_flow_plane_free(struct nst_flow_plane *p)
{
    if (p->origin)
        free(first_sample(p));
    p->origin = NULL;
}

static float *row_of(const struct nst_flow_plane *p, int y)
{
    return p->origin + (ptrdiff_t)y * p->stride;
}

static void fill_sides(const struct nst_flow_plane *p, int y)
{
    float *row = row_of(p, y);

    for (int x = 1; x <= BORDER; x++) {
        row[-x] = row[0];
        row[p->width - 1 + x] = row[p->width - 1];
    }
}

/* The rows above and below, once all others are complete. */
static void fill_ends(const struct nst_flow_plane *p)
{
    float *top = row_of(p, 0) - BORDER, *bottom = row_of(p, p->height - 1) - BORDER;
    size_t bytes = (size_t)p->stride * sizeof *top;

    for (ptrdiff_t y = 1; y <= BORDER; y++) {
        memcpy(top - y * p->stride, top, bytes);
        memcpy(bottom + y * p->stride, bottom, bytes);
    }
}

/* A plane that is made row by row, from another one or from an image. */
struct row_job {
    const struct nst_flow_plane *p, *of, *dx, *dy;
    struct nst_image image;
    const struct nst_flow_kernels *kernels;
};

static void luma_row(void *ctx, int y, int thread)
{
    const struct row_job *j = ctx;
    size_t n = nst_area(j->image.height, j->image.width);
    int w = j->image.width;

    (void)thread;
    j->kernels->luma(w, row_of(j->p, y), j->image.rgb + nst_area(y, w), n);
    fill_sides(j->p, y);
}

/* The luma of two rows is made in the parts of a row of p that hold it, then halved. */
static void half_luma_row(void *ctx, int y, int thread)
{
    enum { PART = 128 };
    const struct row_job *j = ctx;
    size_t n = nst_area(j->image.height, j->image.width);
    int w = j->image.width, below = 2 * y + 1 < j->image.height ? 2 * y + 1 : 2 * y;
    const float *a = j->image.rgb + nst_area(2 * y, w),
                *b = j->image.rgb + nst_area(below, w);
    float part[2][2 * PART], *to = row_of(j->p, y);

    (void)thread;
    for (int x = 0; x < j->p->width; x += PART) {
        int count = j->p->width - x < PART ? j->p->width - x : PART;
        int pixels = w - 2 * x < 2 * count ? w - 2 * x : 2 * count;

        j->kernels->luma(pixels, part[0], a + 2 * x, n);
        j->kernels->luma(pixels, part[1], b + 2 * x, n);
        if (pixels < 2 * count) { /* an odd side: the last pixel stands in */
            part[0][pixels] = part[0][pixels - 1];
            part[1][pixels] = part[1][pixels - 1];
        }
        j->kernels->halve(count, to + x, part[0], part[1]);
    }
    fill_sides(j->p, y);
}

void nst_flow_plane_of_image(struct nst_flow_plane *p, struct nst_image image,
                             bool is_half, const struct nst_flow_kernels *k,
                             struct nst_threads *threads)
{
    struct row_job j = {.p = p, .image = image, .kernels = k};

    nst_threads_run(threads, p->height, is_half ? half_luma_row : luma_row, &j);
    fill_ends(p);
}

static void halve_row(void *ctx, int y, int thread)
{
    const struct row_job *j = ctx;
    /* the border stands in for the other half of the last pixels of odd sides */
    const float *a = row_of(j->of, 2 * y);

    (void)thread;
    j->kernels->halve(j->p->width, row_of(j->p, y), a, a + j->of->stride);
    fill_sides(j->p, y);
}

void nst_flow_plane_halve(struct nst_flow_plane *p, const struct nst_flow_plane *of,
                          const struct nst_flow_kernels *k, struct nst_threads *threads)
{
    nst_threads_run(threads, p->height, halve_row,
                    &(struct row_job){.p = p, .of = of, .kernels = k});
    fill_ends(p);
}

static void derive_row(void *ctx, int y, int thread)
{
    const struct row_job *j = ctx;

    (void)thread;
    j->kernels->derive(j->of->width, row_of(j->dx, y), row_of(j->dy, y),
                       row_of(j->of, y), j->of->stride);
    fill_sides(j->dx, y);
    fill_sides(j->dy, y);
}

void nst_flow_plane_derive(struct nst_flow_plane *dx, struct nst_flow_plane *dy,
                           const struct nst_flow_plane *of,
                           const struct nst_flow_kernels *k,
                           struct nst_threads *threads)
{
    nst_threads_run(threads, of->height, derive_row,
                    &(struct row_job){.of = of, .dx = dx, .dy = dy, .kernels = k});
    fill_ends(dx);
    fill_ends(dy);
}
