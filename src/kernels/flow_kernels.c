/* SPDX-License-Identifier: MIT */
/* flow_kernels.c - compiled once per instruction set. */
#include "config.h"

#include "kernels/flow_kernels.h"

#include <math.h>
#include <string.h>

#include "kernels/nchw16c_isa.h"

#define PATCH NST_FLOW_PATCH
#define AREA (PATCH * PATCH)
#define MAX_STEPS 16
#define SMALL_STEP 0.01F /* pixels */
#define FLATNESS 32.0F   /* added to the Hessian: patches without texture stay */

/* The variational method of flow/refine.c. */
#define GRADIENT 3.0F
#define SMOOTHNESS 10.0F   /* less follows the noise of a film */
#define EPSILON 0.25F      /* of samples */
#define EPSILON_FLOW 0.02F /* of differences of the flow, pixels */
#define RELAXATION 1.6F

/* A row of a patch, or half of one. */
#define WIDTH (NST_LANES < PATCH ? NST_LANES : PATCH)
typedef float row_vec __attribute__((vector_size(4 * WIDTH)));
typedef float unaligned_row __attribute__((vector_size(4 * WIDTH), aligned(4)));

static void luma(int n, float *restrict to, const float *restrict rgb, size_t plane)
{
    const float *g = rgb + plane, *b = g + plane;

#pragma omp simd
    for (int x = 0; x < n; x++)
        to[x] = 255 * (0.299f * rgb[x] + 0.587f * g[x] + 0.114f * b[x]);
}

static void halve(int n, float *restrict to, const float *a, const float *b)
{
#pragma omp simd
    for (int x = 0; x < n; x++)
        to[x] = (a[2 * x] + a[2 * x + 1] + b[2 * x] + b[2 * x + 1]) / 4;
}

static void derive(int n, float *restrict dx, float *restrict dy, const float *from,
                   int stride)
{
    const float *up = from - stride, *down = from + stride;
    const float *up2 = up - stride, *down2 = down + stride;

#pragma omp simd
    for (int x = 0; x < n; x++) {
        dx[x] = (8 * (from[x + 1] - from[x - 1]) - (from[x + 2] - from[x - 2])) *
                (1.0F / 12);
        dy[x] = (8 * (down[x] - up[x]) - (down2[x] - up2[x])) * (1.0F / 12);
    }
}

static inline float clampf(float v, float least, float most)
{
    v = v > least ? v : least;
    return v < most ? v : most;
}

INLINE row_vec load_row(const float *p)
{
    return *(const unaligned_row *)p;
}

INLINE float lane_sum(row_vec v)
{
    float sum = 0;

    UNROLL for (int i = 0; i < WIDTH; i++) sum += v[i];
    return sum;
}

/* A patch of the frame from: its samples, and its derivatives less their means. */
struct model {
    float sample[AREA], dx[AREA], dy[AREA];
    float xx, xy, yy; /* the inverse of the Hessian */
};

INLINE void copy_patch(float to[AREA], const struct nst_flow_plane *p, int x, int y)
{
    const float *from = p->origin + (ptrdiff_t)y * p->stride + x;

    for (int r = 0; r < PATCH; r++)
        memcpy(to + r * PATCH, from + (ptrdiff_t)r * p->stride, PATCH * sizeof *to);
}

INLINE void subtract_mean(float a[AREA])
{
    row_vec sum = {0};

    UNROLL for (int i = 0; i < AREA; i += WIDTH) sum += load_row(a + i);
    sum = (row_vec){0} + lane_sum(sum) / AREA;
    UNROLL for (int i = 0; i < AREA; i += WIDTH) * (unaligned_row *)(a + i) -= sum;
}

INLINE void make_model(struct model *m, const struct nst_flow_match *a)
{
    row_vec xx = {0}, xy = {0}, yy = {0};
    float sxx, sxy, syy, determinant;

    copy_patch(m->sample, a->from, a->x, a->y);
    copy_patch(m->dx, a->dx, a->x, a->y);
    copy_patch(m->dy, a->dy, a->x, a->y);
    subtract_mean(m->dx);
    subtract_mean(m->dy);
    UNROLL for (int i = 0; i < AREA; i += WIDTH)
    {
        row_vec dx = load_row(m->dx + i), dy = load_row(m->dy + i);

        xx += dx * dx;
        xy += dx * dy;
        yy += dy * dy;
    }
    sxx = FLATNESS + lane_sum(xx);
    sxy = lane_sum(xy);
    syy = FLATNESS + lane_sum(yy);
    determinant = sxx * syy - sxy * sxy;
    m->xx = syy / determinant;
    m->xy = -sxy / determinant;
    m->yy = sxx / determinant;
}

/* Where a patch is displaced to: its first sample and the weights of four samples. */
struct place {
    const float *at;
    float a, b, c, d;
};

INLINE struct place displaced(const struct nst_flow_plane *p, float x, float y)
{
    float cx = clampf(x + NST_FLOW_BORDER, 0,
                      (float)(p->width + 2 * NST_FLOW_BORDER - PATCH - 1));
    float cy = clampf(y + NST_FLOW_BORDER, 0,
                      (float)(p->height + 2 * NST_FLOW_BORDER - PATCH - 1));
    int left = (int)cx, top = (int)cy; /* neither is negative */
    float fx = cx - (float)left, fy = cy - (float)top;

    return (struct place){p->origin + (ptrdiff_t)(top - NST_FLOW_BORDER) * p->stride +
                              left - NST_FLOW_BORDER,
                          (1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy};
}

INLINE row_vec interpolate(const struct place *p, const float *row, int stride)
{
    return p->a * load_row(row) + p->b * load_row(row + 1) +
           p->c * load_row(row + stride) + p->d * load_row(row + stride + 1);
}

/* Compare the model with the frame to at a displacement: the sum of squares of their
 * difference less its mean, and the products of the difference with the derivatives. */
struct comparison {
    float u, v, sum, bx, by;
};

INLINE struct comparison compare(const struct model *m, const struct nst_flow_match *a,
                                 float u, float v)
{
    struct place p = displaced(a->to, (float)a->x + u, (float)a->y + v);
    row_vec sum = {0}, squares = {0}, bx = {0}, by = {0};
    float mean;

    UNROLL for (int i = 0; i < AREA; i += WIDTH)
    {
        const float *row = p.at + (ptrdiff_t)(i / PATCH) * a->to->stride + i % PATCH;
        row_vec diff = interpolate(&p, row, a->to->stride) - load_row(m->sample + i);

        sum += diff;
        squares += diff * diff;
        bx += diff * load_row(m->dx + i);
        by += diff * load_row(m->dy + i);
    }
    mean = lane_sum(sum) / AREA;
    return (struct comparison){u, v, lane_sum(squares) - AREA * mean * mean,
                               lane_sum(bx), lane_sum(by)};
}

static void match(struct nst_flow_match *a)
{
    struct model m;
    struct comparison at, best = {.sum = INFINITY};
    float start_u, start_v, du, dv;

    make_model(&m, a);
    for (int i = 0; i < a->starts; i++) {
        at = compare(&m, a, a->start[i][0], a->start[i][1]);
        if (at.sum < best.sum)
            best = at;
    }
    start_u = best.u;
    start_v = best.v;
    for (int step = 0; step < MAX_STEPS; step++) {
        du = m.xx * best.bx + m.xy * best.by;
        dv = m.xy * best.bx + m.yy * best.by;
        if (du * du + dv * dv < SMALL_STEP * SMALL_STEP)
            break;
        at = compare(&m, a, best.u - du, best.v - dv);
        if (!(at.sum < best.sum))
            break;
        best = at;
    }
    du = best.u - start_u;
    dv = best.v - start_v;
    if (du * du + dv * dv > PATCH * PATCH) { /* it got lost */
        best.u = start_u;
        best.v = start_v;
    }
    a->u = best.u;
    a->v = best.v;
}

/* The weights fall faster with the difference than those of Kroeger et al. (1 / max(1,
 * d)): that keeps boundaries of the motion sharp. */
static void spread(const struct nst_flow_spread *s)
{
    int count = nst_flow_patch_count(s->from->width);
    const float *from = s->from->origin + (ptrdiff_t)s->y * s->from->stride;

    for (int i = 0; i < count; i++) {
        float u = s->patch[2 * i], v = s->patch[2 * i + 1];
        int x = nst_flow_patch_origin(i, s->from->width);
        struct place p = displaced(s->to, (float)x + u, (float)s->top + v);
        const float *row = p.at + (ptrdiff_t)(s->y - s->top) * s->to->stride;

        UNROLL for (int k = 0; k < PATCH; k += WIDTH)
        {
            row_vec diff =
                interpolate(&p, row + k, s->to->stride) - load_row(from + x + k);
            row_vec square = diff * diff, weight = 1 / (1 + square * square);

            *(unaligned_row *)(s->weight + x + k) += weight;
            *(unaligned_row *)(s->u + x + k) += weight * u;
            *(unaligned_row *)(s->v + x + k) += weight * v;
        }
    }
}

/* The difference of a linear interpolation over a distance of 1, half of it on each
 * side of f between b and c, where a to d are at -1, 0, 1 and 2. */
static inline float difference(float a, float b, float c, float d, float f)
{
    float first = f + 0.5F < 1 ? f + 0.5F : 1, second = f - 0.5F > 0 ? f - 0.5F : 0;

    return b - a + first * (c - b - (b - a)) + second * (d - c - (c - b));
}

static void linearise_term(const struct nst_flow_cells *c,
                           const struct nst_flow_plane *from,
                           const struct nst_flow_plane *to, const float *restrict u,
                           const float *restrict v, float *restrict residual,
                           float *restrict gx, float *restrict gy)
{
    const float *f = from->origin + (ptrdiff_t)c->y * from->stride + c->first;
    const float *t = to->origin;
    int s = to->stride, first = c->first, y = c->y;
    float right = (float)(to->width - 1), bottom = (float)(to->height - 1);

#pragma omp simd
    for (int k = 0; k < c->count; k++) {
        float px = (float)(first + 2 * k) + u[k], py = (float)y + v[k];
        float cx = clampf(px, 0, right), cy = clampf(py, 0, bottom);
        int left = (int)cx, top = (int)cy, i = top * s + left;
        float fx = cx - (float)left, fy = cy - (float)top;
        float b0 = t[i], b1 = t[i + 1], c0 = t[i + s], c1 = t[i + s + 1];
        /* columns between both rows, and rows between both columns */
        float x0 = t[i - 1] + fy * (t[i + s - 1] - t[i - 1]);
        float x1 = b0 + fy * (c0 - b0), x2 = b1 + fy * (c1 - b1);
        float x3 = t[i + 2] + fy * (t[i + s + 2] - t[i + 2]);
        float y0 = t[i - s] + fx * (t[i - s + 1] - t[i - s]);
        float y1 = b0 + fx * (b1 - b0), y2 = c0 + fx * (c1 - c0);
        float y3 = t[i + 2 * s] + fx * (t[i + 2 * s + 1] - t[i + 2 * s]);
        float dx = difference(x0, x1, x2, x3, fx), dy = difference(y0, y1, y2, y3, fy);
        float is_inside = ((px == cx) & (py == cy)) ? 1 : 0;

        gx[k] = is_inside * dx;
        gy[k] = is_inside * dy;
        residual[k] =
            is_inside * (x1 + fx * (x2 - x1) - f[2 * k] - dx * u[k] - dy * v[k]);
    }
}

static void linearise(const struct nst_flow_lattice *l, const struct nst_flow_cells *c,
                      const struct nst_flow_plane *const from[NST_FLOW_TERMS],
                      const struct nst_flow_plane *const to[NST_FLOW_TERMS])
{
    for (int t = 0; t < NST_FLOW_TERMS; t++)
        linearise_term(c, from[t], to[t], l->u + c->own, l->v + c->own,
                       l->residual[t] + c->own, l->gx[t] + c->own, l->gy[t] + c->own);
}

/* The squared difference quotient of a component of the flow, central, times 4. */
#define SQUARED_GRADIENT(f, k)                                                         \
    (((f)[c->left + 1 + (k)] - (f)[c->left + (k)]) *                                   \
         ((f)[c->left + 1 + (k)] - (f)[c->left + (k)]) +                               \
     ((f)[c->down + (k)] - (f)[c->up + (k)]) *                                         \
         ((f)[c->down + (k)] - (f)[c->up + (k)]))

static void weigh(const struct nst_flow_lattice *l, const struct nst_flow_cells *c)
{
    const float *u = l->u + c->own, *v = l->v + c->own;
    const float *r0 = l->residual[0] + c->own, *r1 = l->residual[1] + c->own,
                *r2 = l->residual[2] + c->own;
    const float *x0 = l->gx[0] + c->own, *x1 = l->gx[1] + c->own,
                *x2 = l->gx[2] + c->own;
    const float *y0 = l->gy[0] + c->own, *y1 = l->gy[1] + c->own,
                *y2 = l->gy[2] + c->own;
    float *restrict a11 = l->a11 + c->own, *restrict a12 = l->a12 + c->own,
                    *restrict a22 = l->a22 + c->own, *restrict b1 = l->b1 + c->own,
                    *restrict b2 = l->b2 + c->own,
                    *restrict smooth = l->smooth + c->own;

#pragma omp simd
    for (int k = 0; k < c->count; k++) {
        float v0 = r0[k] + x0[k] * u[k] + y0[k] * v[k];
        float v1 = r1[k] + x1[k] * u[k] + y1[k] * v[k];
        float v2 = r2[k] + x2[k] * u[k] + y2[k] * v[k];
        float w = 1 / sqrtf(v0 * v0 + EPSILON * EPSILON);
        float g = GRADIENT / sqrtf(v1 * v1 + v2 * v2 + EPSILON * EPSILON);
        float squares = SQUARED_GRADIENT(l->u, k) + SQUARED_GRADIENT(l->v, k);

        a11[k] = w * x0[k] * x0[k] + g * (x1[k] * x1[k] + x2[k] * x2[k]);
        a12[k] = w * x0[k] * y0[k] + g * (x1[k] * y1[k] + x2[k] * y2[k]);
        a22[k] = w * y0[k] * y0[k] + g * (y1[k] * y1[k] + y2[k] * y2[k]);
        b1[k] = -w * x0[k] * r0[k] - g * (x1[k] * r1[k] + x2[k] * r2[k]);
        b2[k] = -w * y0[k] * r0[k] - g * (y1[k] * r1[k] + y2[k] * r2[k]);
        smooth[k] = SMOOTHNESS / sqrtf(squares / 4 + EPSILON_FLOW * EPSILON_FLOW);
    }
}

static void relax(const struct nst_flow_lattice *l, const struct nst_flow_cells *c)
{
    float *u = l->u, *v = l->v;
    const float *s = l->smooth;
    size_t own = c->own, left = c->left, right = c->left + 1, up = c->up,
           down = c->down;

#pragma omp simd
    for (int k = 0; k < c->count; k++) {
        size_t i = own + (size_t)k;
        float wl = (s[i] + s[left + (size_t)k]) / 2,
              wr = (s[i] + s[right + (size_t)k]) / 2;
        float wu = (s[i] + s[up + (size_t)k]) / 2,
              wd = (s[i] + s[down + (size_t)k]) / 2;
        float sum = wl + wr + wu + wd;
        float su = wl * u[left + (size_t)k] + wr * u[right + (size_t)k] +
                   wu * u[up + (size_t)k] + wd * u[down + (size_t)k];
        float sv = wl * v[left + (size_t)k] + wr * v[right + (size_t)k] +
                   wu * v[up + (size_t)k] + wd * v[down + (size_t)k];
        float nu = (l->b1[i] + su - l->a12[i] * v[i]) / (l->a11[i] + sum), nv;

        nu = u[i] + RELAXATION * (nu - u[i]);
        nv = (l->b2[i] + sv - l->a12[i] * nu) / (l->a22[i] + sum);
        u[i] = nu;
        v[i] += RELAXATION * (nv - v[i]);
    }
}

static void sample(float *restrict to, const float *restrict plane, int height,
                   int width, int y, const float *restrict u, const float *restrict v)
{
    float most_x = (float)(width - 1), most_y = (float)(height - 1);

#pragma omp simd
    for (int x = 0; x < width; x++) {
        float cx = clampf((float)x + u[x], 0, most_x);
        float cy = clampf((float)y + v[x], 0, most_y);
        int left = (int)cx, top = (int)cy, i = top * width + left;
        int right = left < width - 1, down = top < height - 1 ? width : 0;
        float fx = cx - (float)left, fy = cy - (float)top;
        float a = plane[i] + fx * (plane[i + right] - plane[i]);
        float b = plane[i + down] + fx * (plane[i + down + right] - plane[i + down]);

        to[x] = a + fy * (b - a);
    }
}

extern const struct nst_flow_kernels ISA(flow_kernels);
const struct nst_flow_kernels ISA(flow_kernels) = {
    .luma = luma,
    .halve = halve,
    .derive = derive,
    .match = match,
    .spread = spread,
    .linearise = linearise,
    .weigh = weigh,
    .relax = relax,
    .sample = sample,
};
