/* SPDX-License-Identifier: MIT */
/*
 * refine.c - the variational method of Brox, Bruhn, Papenberg and Weickert (2004). The
 * flow w = (u, v) minimises, over all pixels,
 *
 *   psi((I1(x + w) - I0(x))^2) + GRADIENT psi(|grad I1(x + w) - grad I0(x)|^2)
 *   + SMOOTHNESS psi(|grad u|^2 + |grad v|^2),    psi(s^2) = sqrt(s^2 + EPSILON^2)
 *
 * I1 is linearised at the flow so far; the weights psi' are held while a few sweeps of
 * red-black successive over-relaxation solve for the increment (du, dv).
 */
#include "config.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "flow/flow_internal.h"

#define GRADIENT 3.0F
#define SMOOTHNESS 10.0F   /* less follows the noise of a film */
#define EPSILON 0.25F      /* of samples, 0 to 255 */
#define EPSILON_FLOW 0.02F /* of differences of the flow, pixels */
#define WARPS 5
#define WEIGHT_UPDATES 2
#define SWEEPS 3
#define RELAXATION 1.6F

enum { TERMS = 3 }; /* the samples and both derivatives */

/* For each pixel: residual + gx du + gy dv of each term; and the linear system. */
struct refinement {
    const struct flow_scale *s;
    const struct flow_plane *to_dx, *to_dy; /* derivatives of the frame to */
    float *flow;
    float *residual[TERMS], *gx[TERMS], *gy[TERMS];
    float *du, *dv;
    float *a11, *a12, *a22, *b1, *b2; /* data terms of the system */
    float *smooth;                    /* psi' of the smoothness of each pixel */
    int height, width;
    int colour; /* of the sweep: 0 or 1 */
};

enum { PLANES = 3 * TERMS + 8 };

static float central(const float *a, int i, int count, int step)
{
    int before = i > 0 ? -step : 0, after = i < count - 1 ? step : 0;

    return (a[after] - a[before]) / 2;
}

/* Linearise the terms at the flow, and begin with no increment. */
static void linearise_row(void *ctx, int y, int thread)
{
    struct refinement *r = ctx;
    size_t n = nst_area(r->height, r->width), row = (size_t)y * (size_t)r->width;
    const struct flow_plane *to[TERMS] = {&r->s->to, r->to_dx, r->to_dy};
    const struct flow_plane *from[TERMS] = {&r->s->from, &r->s->dx, &r->s->dy};

    (void)thread;
    for (int x = 0; x < r->width; x++) {
        size_t i = row + (size_t)x;
        float px = (float)x + r->flow[i], py = (float)y + r->flow[n + i];

        for (int t = 0; t < TERMS; t++) {
            const struct flow_plane *f = from[t];

            r->residual[t][i] =
                nst_flow_plane_at(to[t], px, py) - f->origin[y * f->stride + x];
            r->gx[t][i] = (nst_flow_plane_at(to[t], px + 0.5F, py) -
                           nst_flow_plane_at(to[t], px - 0.5F, py));
            r->gy[t][i] = (nst_flow_plane_at(to[t], px, py + 0.5F) -
                           nst_flow_plane_at(to[t], px, py - 0.5F));
        }
        r->du[i] = r->dv[i] = 0;
        /* what has left the frame has nothing to match */
        if (px < 0 || py < 0 || px > (float)(r->width - 1) ||
            py > (float)(r->height - 1))
            for (int t = 0; t < TERMS; t++)
                r->residual[t][i] = r->gx[t][i] = r->gy[t][i] = 0;
    }
}

static float value(const struct refinement *r, int term, size_t i)
{
    return r->residual[term][i] + r->gx[term][i] * r->du[i] + r->gy[term][i] * r->dv[i];
}

/* The weights psi' at the flow and its increment, and the system that they give. */
static void weigh_row(void *ctx, int y, int thread)
{
    struct refinement *r = ctx;
    size_t n = nst_area(r->height, r->width), row = (size_t)y * (size_t)r->width;
    float e2 = EPSILON * EPSILON;

    (void)thread;
    for (int x = 0; x < r->width; x++) {
        size_t i = row + (size_t)x;
        float v0 = value(r, 0, i), v1 = value(r, 1, i), v2 = value(r, 2, i);
        float weight[TERMS], squares = EPSILON_FLOW * EPSILON_FLOW;

        weight[0] = 1 / sqrtf(v0 * v0 + e2);
        weight[1] = weight[2] = GRADIENT / sqrtf(v1 * v1 + v2 * v2 + e2);
        r->a11[i] = r->a12[i] = r->a22[i] = r->b1[i] = r->b2[i] = 0;
        for (int t = 0; t < TERMS; t++) {
            float gx = r->gx[t][i], gy = r->gy[t][i], residual = r->residual[t][i];

            r->a11[i] += weight[t] * gx * gx;
            r->a12[i] += weight[t] * gx * gy;
            r->a22[i] += weight[t] * gy * gy;
            r->b1[i] -= weight[t] * gx * residual;
            r->b2[i] -= weight[t] * gy * residual;
        }
        for (int k = 0; k < 2; k++) {
            const float *flow = r->flow + (size_t)k * n + i,
                        *d = (k ? r->dv : r->du) + i;
            float dx = central(flow, x, r->width, 1) + central(d, x, r->width, 1);
            float dy = central(flow, y, r->height, r->width) +
                       central(d, y, r->height, r->width);

            squares += dx * dx + dy * dy;
        }
        r->smooth[i] = SMOOTHNESS / sqrtf(squares);
    }
}

/* Solve for the pixels of one colour of a chessboard. */
static void relax_row(void *ctx, int y, int thread)
{
    struct refinement *r = ctx;
    size_t n = nst_area(r->height, r->width), row = (size_t)y * (size_t)r->width;
    const ptrdiff_t steps[4] = {-1, 1, -r->width, r->width};

    (void)thread;
    for (int x = (y + r->colour) & 1; x < r->width; x += 2) {
        size_t i = row + (size_t)x;
        const bool inside[4] = {x > 0, x<r->width - 1, y> 0, y < r->height - 1};
        float sum = 0, su = 0, sv = 0, u, v;

        for (int k = 0; k < 4; k++) {
            size_t j = i + (size_t)steps[k];
            float weight;

            if (!inside[k])
                continue;
            weight = (r->smooth[i] + r->smooth[j]) / 2;
            sum += weight;
            su += weight * (r->flow[j] + r->du[j] - r->flow[i]);
            sv += weight * (r->flow[n + j] + r->dv[j] - r->flow[n + i]);
        }
        u = (r->b1[i] + su - r->a12[i] * r->dv[i]) / (r->a11[i] + sum);
        r->du[i] += RELAXATION * (u - r->du[i]);
        v = (r->b2[i] + sv - r->a12[i] * r->du[i]) / (r->a22[i] + sum);
        r->dv[i] += RELAXATION * (v - r->dv[i]);
    }
}

static void refine(struct refinement *r, struct nst_threads *threads)
{
    size_t n = nst_area(r->height, r->width);

    for (int warp = 0; warp < WARPS; warp++) {
        nst_threads_run(threads, r->height, linearise_row, r);
        for (int update = 0; update < WEIGHT_UPDATES; update++) {
            nst_threads_run(threads, r->height, weigh_row, r);
            for (int half = 0; half < 2 * SWEEPS; half++) {
                r->colour = half & 1;
                nst_threads_run(threads, r->height, relax_row, r);
            }
        }
        for (size_t i = 0; i < n; i++) {
            r->flow[i] += r->du[i];
            r->flow[n + i] += r->dv[i];
        }
    }
}

enum nst_status nst_flow_refine(float *flow, const struct flow_scale *s,
                                struct nst_threads *threads, struct nst_err *err)
{
    struct refinement r = {
        .s = s, .flow = flow, .height = s->from.height, .width = s->from.width};
    struct flow_plane to_dx = {0}, to_dy = {0};
    size_t n = nst_area(r.height, r.width);
    float *planes = NULL, *next;
    enum nst_status status =
        nst_flow_plane_derive(&to_dx, &to_dy, &s->to, threads, err);

    if (status == NST_OK)
        status = nst_floats_new(&planes, PLANES, 1, n, err);
    if (status == NST_OK) {
        float **rest[] = {&r.du,  &r.dv, &r.a11, &r.a12,
                          &r.a22, &r.b1, &r.b2,  &r.smooth};

        next = planes;
        for (int t = 0; t < TERMS; t++, next += 3 * n) {
            r.residual[t] = next;
            r.gx[t] = next + n;
            r.gy[t] = next + 2 * n;
        }
        for (size_t i = 0; i < sizeof rest / sizeof *rest; i++, next += n)
            *rest[i] = next;
        r.to_dx = &to_dx;
        r.to_dy = &to_dy;
        refine(&r, threads);
    }
    free(planes);
    nst_flow_plane_free(&to_dx);
    nst_flow_plane_free(&to_dy);
    return status;
}
