/* SPDX-License-Identifier: MIT */
/* search.c - dense inverse search: patches of one frame are moved until they match the
 * other one, and pixels take the weighted mean of the patches that cover them. */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "flow/flow_internal.h"

#define PATCH 8  /* pixels */
#define STRIDE 2 /* from patch to patch */
#define AREA (PATCH * PATCH)
#define MAX_STEPS 16
#define SMALL_STEP 0.01F /* pixels */
#define FLATNESS 32.0F   /* added to the Hessian: patches without texture stay */
#define CANDIDATES 5

struct search {
    const struct flow_scale *s;
    float *flow; /* in and out */
    struct patch {
        float u, v;
    } * patch;
    int rows, columns; /* of patches */
    int height, width; /* of the frame */
};

/* The last patch ends where the frame ends. */
static int patch_origin(int index, int side)
{
    return index * STRIDE < side - PATCH ? index * STRIDE : side - PATCH;
}

static int patch_count(int side)
{
    return (side - PATCH + STRIDE - 1) / STRIDE + 1;
}

/* A patch of the frame from: its samples and derivatives, less their means. */
struct model {
    float sample[AREA], dx[AREA], dy[AREA];
    float xx, xy, yy; /* the inverse of the Hessian */
};

static float subtract_mean(float a[AREA])
{
    float sum = 0;

    for (int i = 0; i < AREA; i++)
        sum += a[i];
    for (int i = 0; i < AREA; i++)
        a[i] -= sum / AREA;
    return sum / AREA;
}

static void copy_patch(float to[AREA], const struct flow_plane *p, int x, int y)
{
    const float *from = p->origin + y * p->stride + x;

    for (int r = 0; r < PATCH; r++)
        memcpy(to + r * PATCH, from + r * p->stride, PATCH * sizeof *to);
}

static void make_model(struct model *m, const struct flow_scale *s, int x, int y)
{
    float xx = FLATNESS, xy = 0, yy = FLATNESS, determinant;

    copy_patch(m->sample, &s->from, x, y);
    copy_patch(m->dx, &s->dx, x, y);
    copy_patch(m->dy, &s->dy, x, y);
    subtract_mean(m->sample);
    subtract_mean(m->dx);
    subtract_mean(m->dy);
    for (int i = 0; i < AREA; i++) {
        xx += m->dx[i] * m->dx[i];
        xy += m->dx[i] * m->dy[i];
        yy += m->dy[i] * m->dy[i];
    }
    determinant = xx * yy - xy * xy;
    m->xx = yy / determinant;
    m->xy = -xy / determinant;
    m->yy = xx / determinant;
}

static float clamp(float value, float least, float most)
{
    return value > least ? value < most ? value : most : least;
}

/* The samples of the frame to at a displaced patch, less their mean. */
static void displaced_patch(float out[AREA], const struct flow_plane *p, float x,
                            float y)
{
    float cx = clamp(x, -FLOW_BORDER, (float)(p->width + FLOW_BORDER - PATCH - 1));
    float cy = clamp(y, -FLOW_BORDER, (float)(p->height + FLOW_BORDER - PATCH - 1));
    float left = floorf(cx), top = floorf(cy), fx = cx - left, fy = cy - top;
    float a = (1 - fx) * (1 - fy), b = fx * (1 - fy), c = (1 - fx) * fy, d = fx * fy;
    const float *row = p->origin + (ptrdiff_t)top * p->stride + (ptrdiff_t)left;

    for (int r = 0; r < PATCH; r++, row += p->stride) {
        const float *below = row + p->stride;

        for (int i = 0; i < PATCH; i++)
            out[r * PATCH + i] =
                a * row[i] + b * row[i + 1] + c * below[i] + d * below[i + 1];
    }
    subtract_mean(out);
}

/* The sum of squares of the difference of a displaced patch, which goes to diff. */
static float compare_patch(float diff[AREA], const struct model *m,
                           const struct flow_plane *to, int x, int y, struct patch at)
{
    float sum = 0;

    displaced_patch(diff, to, (float)x + at.u, (float)y + at.v);
    for (int i = 0; i < AREA; i++) {
        diff[i] -= m->sample[i];
        sum += diff[i] * diff[i];
    }
    return sum;
}

/* The best of the displacements that the coarser scale found here and around. */
static struct patch best_start(const struct search *s, const struct model *m, int x,
                               int y)
{
    static const int offsets[CANDIDATES][2] = {
        {0, 0}, {-PATCH, 0}, {PATCH, 0}, {0, -PATCH}, {0, PATCH}};
    size_t n = nst_area(s->height, s->width);
    struct patch best = {0, 0};
    float least = INFINITY, diff[AREA];

    for (int i = 0; i < CANDIDATES; i++) {
        int cx = x + PATCH / 2 + offsets[i][0], cy = y + PATCH / 2 + offsets[i][1];
        struct patch p;
        size_t at;
        float sum;

        if (cx < 0 || cx >= s->width || cy < 0 || cy >= s->height)
            continue;
        at = (size_t)cy * (size_t)s->width + (size_t)cx;
        p = (struct patch){s->flow[at], s->flow[n + at]};
        sum = compare_patch(diff, m, &s->s->to, x, y, p);
        if (sum < least) {
            least = sum;
            best = p;
        }
    }
    return best;
}

/* Newton's method with the Hessian of the patch that does not move. */
static struct patch descend(const struct search *s, const struct model *m, int x, int y,
                            struct patch start)
{
    struct patch at = start, best = start;
    float least = INFINITY, diff[AREA];

    for (int step = 0; step <= MAX_STEPS; step++) {
        float sum = compare_patch(diff, m, &s->s->to, x, y, at), bx = 0, by = 0, du, dv;

        if (sum >= least)
            break;
        least = sum;
        best = at;
        for (int i = 0; i < AREA; i++) {
            bx += m->dx[i] * diff[i];
            by += m->dy[i] * diff[i];
        }
        du = m->xx * bx + m->xy * by;
        dv = m->xy * bx + m->yy * by;
        at.u -= du;
        at.v -= dv;
        if (du * du + dv * dv < SMALL_STEP * SMALL_STEP)
            break;
    }
    if (hypotf(best.u - start.u, best.v - start.v) > PATCH) /* it got lost */
        return start;
    return best;
}

static void search_row(void *ctx, int row, int thread)
{
    const struct search *s = ctx;
    int y = patch_origin(row, s->height);

    (void)thread;
    for (int i = 0; i < s->columns; i++) {
        int x = patch_origin(i, s->width);
        struct model m;

        make_model(&m, s->s, x, y);
        s->patch[row * s->columns + i] = descend(s, &m, x, y, best_start(s, &m, x, y));
    }
}

/* Add the patches of one row of them to a row of pixels: sum of weights, of u and v.
 * The weights fall faster with the difference than those of Kroeger et al. (1 / max(1,
 * d)): that keeps boundaries of the motion sharp. */
static void add_patches(const struct search *s, int row, int y, float *weights,
                        float *u, float *v)
{
    const struct flow_plane *from = &s->s->from;

    for (int i = 0; i < s->columns; i++) {
        struct patch p = s->patch[row * s->columns + i];
        int left = patch_origin(i, s->width);

        for (int x = left; x < left + PATCH; x++) {
            float there = nst_flow_plane_at(&s->s->to, (float)x + p.u, (float)y + p.v);
            float difference = there - from->origin[y * from->stride + x];
            float square = difference * difference, weight = 1 / (1 + square * square);

            weights[x] += weight;
            u[x] += weight * p.u;
            v[x] += weight * p.v;
        }
    }
}

struct densification {
    const struct search *s;
    float *weights; /* a row for each row of pixels */
};

static void densify_row(void *ctx, int y, int thread)
{
    const struct densification *d = ctx;
    const struct search *s = d->s;
    size_t n = nst_area(s->height, s->width), at = (size_t)y * (size_t)s->width;
    float *weights = d->weights + at, *u = s->flow + at, *v = s->flow + n + at;

    (void)thread;
    memset(u, 0, (size_t)s->width * sizeof *u);
    memset(v, 0, (size_t)s->width * sizeof *v);
    for (int row = 0; row < s->rows; row++) {
        int top = patch_origin(row, s->height);

        if (top <= y && y < top + PATCH)
            add_patches(s, row, y, weights, u, v);
    }
    for (int x = 0; x < s->width; x++) {
        u[x] /= weights[x];
        v[x] /= weights[x];
    }
}

enum nst_status nst_flow_search(float *flow, const struct flow_scale *scale,
                                struct nst_threads *threads, struct nst_err *err)
{
    struct search s = {.s = scale,
                       .flow = flow,
                       .height = scale->from.height,
                       .width = scale->from.width};
    struct densification d = {.s = &s};
    enum nst_status status;

    s.rows = patch_count(s.height);
    s.columns = patch_count(s.width);
    status = nst_floats_new(&d.weights, 1, (size_t)s.height, (size_t)s.width, err);
    if (status != NST_OK)
        return status;
    s.patch = nst_xcalloc((size_t)s.rows * (size_t)s.columns, sizeof *s.patch);
    nst_threads_run(threads, s.rows, search_row, &s);
    nst_threads_run(threads, s.height, densify_row, &d);
    free(s.patch);
    free(d.weights);
    return NST_OK;
}
