/* SPDX-License-Identifier: MIT */
/*
 * Compares the kernels of optical flow of every instruction set that this machine has
 * with plain loops in double, which follow the definitions, on random frames.
 */
#include "config.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "kernels/flow_kernels.h"
#include "kernels/nchw16c.h"
#include "../tap.h"

#define ROUNDS 30
#define BORDER NST_FLOW_BORDER
#define PATCH NST_FLOW_PATCH
#define TERMS NST_FLOW_TERMS
#define MOST 90 /* pixels of a side */
#define SPACE ((MOST + 2 * BORDER) * (MOST + 2 * BORDER))
#define CELLS (2 * (MOST + 4) * 80)

static unsigned seed;
static double worst; /* maximum error / tolerance of the kernel under test */

static float any(float low, float high)
{
    return low + (tap_random(&seed) + 1) / 2 * (high - low);
}

static int any_int(int low, int high)
{
    return (int)any((float)low, (float)high + 0.999f);
}

static void compare(double got, double want, double tolerance)
{
    double error = fabs(got - want) / tolerance;

    if (!(error <= worst))
        worst = isnan(error) ? INFINITY : error;
}

/* Waves of random lengths, with a border, 0 to 255. */
static struct nst_flow_plane waves(float *space, int height, int width, float u,
                                   float v)
{
    struct nst_flow_plane p = {space + BORDER * (width + 2 * BORDER) + BORDER, height,
                               width, width + 2 * BORDER};

    for (int y = -BORDER; y < height + BORDER; y++)
        for (int x = -BORDER; x < width + BORDER; x++) {
            float px = (float)x - u, py = (float)y - v;

            p.origin[y * p.stride + x] = 128 + 60 * sinf(px / 3 + py / 7) +
                                         40 * cosf(px / 5 - py / 4) +
                                         20 * sinf(px / 11) * cosf(py / 9);
        }
    return p;
}

static struct nst_flow_plane noise(float *space, int height, int width)
{
    struct nst_flow_plane p = waves(space, height, width, 0, 0);

    for (int i = 0; i < (height + 2 * BORDER) * p.stride; i++)
        space[i] = any(0, 255);
    return p;
}

static double at(const struct nst_flow_plane *p, double x, double y)
{
    int left = (int)floor(x), top = (int)floor(y);
    double fx = x - left, fy = y - top;
    const float *a = p->origin + top * p->stride + left, *b = a + p->stride;

    return (1 - fy) * ((1 - fx) * a[0] + fx * a[1]) +
           fy * ((1 - fx) * b[0] + fx * b[1]);
}

static void planes(const struct nst_flow_kernels *k)
{
    static float space[SPACE], rgb[3 * MOST], to[2 * MOST], dy[MOST];
    int n = any_int(1, MOST - 4), half = n / 2;
    struct nst_flow_plane p = noise(space, 8, n);
    const float *row = p.origin + p.stride;

    for (int i = 0; i < 3 * n; i++)
        rgb[i] = any(0, 1);
    to[n] = -1;
    k->luma(n, to, rgb, (size_t)n);
    for (int x = 0; x < n; x++)
        compare(to[x],
                255 * (0.299 * rgb[x] + 0.587 * rgb[n + x] + 0.114 * rgb[2 * n + x]),
                1e-3);
    compare(to[n], -1, 1e-9);
    k->halve(half, to, row, row + p.stride);
    for (int x = 0; x < half; x++)
        compare(to[x],
                (at(&p, 2 * x, 1) + at(&p, 2 * x + 1, 1) + at(&p, 2 * x, 2) +
                 at(&p, 2 * x + 1, 2)) /
                    4,
                1e-3);
    k->derive(n, to, dy, row, p.stride);
    for (int x = 0; x < n; x++) {
        compare(to[x],
                (8 * (at(&p, x + 1, 1) - at(&p, x - 1, 1)) -
                 (at(&p, x + 2, 1) - at(&p, x - 2, 1))) /
                    12,
                2e-3);
        compare(dy[x],
                (8 * (at(&p, x, 2) - at(&p, x, 0)) - (at(&p, x, 3) - at(&p, x, -1))) /
                    12,
                2e-3);
    }
}

/* Bilinear, with positions outside moved to the edge. */
static void samples(const struct nst_flow_kernels *k)
{
    static float plane[MOST * MOST + MOST + 1], u[MOST], v[MOST], to[MOST];
    int height = any_int(1, MOST), width = any_int(1, MOST), y = any_int(0, height - 1);

    for (int i = 0; i < height * width; i++)
        plane[i] = any(0, 1);
    for (int i = 0; i <= width; i++) /* must not be read */
        plane[height * width + i] = NAN;
    for (int x = 0; x < width; x++) {
        u[x] = any(-20, 20);
        v[x] = x % 3 ? any(-20, 20) : (float)any_int(-9, 9);
    }
    k->sample(to, plane, height, width, y, u, v);
    for (int x = 0; x < width; x++) {
        double px = fmin(fmax((double)x + u[x], 0), width - 1);
        double py = fmin(fmax((double)y + v[x], 0), height - 1), want = 0;

        for (int i = 0; i < height; i++)
            for (int j = 0; j < width; j++)
                want += fmax(1 - fabs(py - i), 0) * fmax(1 - fabs(px - j), 0) *
                        plane[i * width + j];
        compare(to[x], want, 2e-4);
    }
}

/* The sum of squares between a patch and where it is displaced to, less the means. */
static double mismatch(const struct nst_flow_match *m, double u, double v)
{
    double sum = 0, squares = 0;

    for (int i = 0; i < PATCH * PATCH; i++) {
        int x = m->x + i % PATCH, y = m->y + i / PATCH;
        double d = at(m->to, x + u, y + v) - at(m->from, x, y);

        sum += d;
        squares += d * d;
    }
    return squares - sum * sum / (PATCH * PATCH);
}

/* A patch that moves by less than two pixels is found to a tenth of one; and no
 * start matches better than the result. The whole frame may be darker. */
static void matches(const struct nst_flow_kernels *k)
{
    static float space[4][SPACE];
    int height = any_int(30, MOST), width = any_int(30, MOST);
    float u = any(-1.4f, 1.4f), v = any(-1.4f, 1.4f), dark = any(-20, 0);
    struct nst_flow_plane from = waves(space[0], height, width, 0, 0),
                          to = waves(space[1], height, width, u, v),
                          dx = waves(space[2], height, width, 0, 0),
                          dy = waves(space[3], height, width, 0, 0);
    struct nst_flow_match m = {
        &from, &dx, &dy, &to, any_int(4, width - 20), any_int(4, height - 20)};

    for (int i = 0; i < SPACE; i++)
        space[1][i] += dark;
    for (int y = 0; y < height; y++)
        k->derive(width, dx.origin + y * dx.stride, dy.origin + y * dy.stride,
                  from.origin + y * from.stride, from.stride);
    m.starts = any_int(1, NST_FLOW_STARTS);
    for (int i = 1; i < m.starts; i++) {
        m.start[i][0] = any(-3, 3);
        m.start[i][1] = any(-3, 3);
    }
    k->match(&m);
    for (int i = 0; i < m.starts; i++)
        if (mismatch(&m, m.u, m.v) > mismatch(&m, m.start[i][0], m.start[i][1]) + 0.1)
            compare(1, 0, 1e-9);
    compare(m.u, u, 0.1);
    compare(m.v, v, 0.1);
}

static void spreads(const struct nst_flow_kernels *k)
{
    static float space[2][SPACE], patch[MOST], sums[3][MOST];
    double want[3][MOST] = {{0}};
    int height = any_int(PATCH, MOST), width = any_int(PATCH, MOST);
    struct nst_flow_plane from = noise(space[0], height, width),
                          to = noise(space[1], height, width);
    int top = any_int(0, height - PATCH), y = top + any_int(0, PATCH - 1);
    struct nst_flow_spread s = {&from, &to, patch, top, y, sums[0], sums[1], sums[2]};

    for (int x = 0; x < width; x++)
        for (int i = 0; i < 3; i++)
            sums[i][x] = 0;
    for (int i = 0; i < nst_flow_patch_count(width); i++) {
        int left = nst_flow_patch_origin(i, width);

        patch[2 * i] = any(-6, 6);
        patch[2 * i + 1] = any(-6, 6);
        for (int x = left; x < left + PATCH; x++) {
            double d = at(&to, (double)x + patch[2 * i], (double)y + patch[2 * i + 1]) -
                       at(&from, x, y);
            double weight = 1 / (1 + d * d * d * d);

            want[0][x] += weight;
            want[1][x] += weight * patch[2 * i];
            want[2][x] += weight * patch[2 * i + 1];
        }
    }
    k->spread(&s);
    for (int x = 0; x < width; x++)
        for (int i = 0; i < 3; i++)
            compare(sums[i][x], want[i][x], 2e-2);
}

/* The planes of a lattice, filled at random, and a row of one colour in the middle. */
static float lattice_space[17][CELLS];

static struct nst_flow_lattice any_lattice(void)
{
    struct nst_flow_lattice l;
    float **all[17] = {
        &l.u,     &l.v,      &l.a11,         &l.a12,         &l.a22,        &l.b1,
        &l.b2,    &l.smooth, &l.gx[0],       &l.gx[1],       &l.gx[2],      &l.gy[0],
        &l.gy[1], &l.gy[2],  &l.residual[0], &l.residual[1], &l.residual[2]};

    for (int i = 0; i < 17; i++) {
        *all[i] = lattice_space[i];
        for (int k = 0; k < CELLS; k++)
            lattice_space[i][k] = any(-3, 3);
    }
    for (int k = 0; k < CELLS; k++) {
        l.a11[k] += 4;
        l.a22[k] += 4;
        l.smooth[k] += 4;
    }
    return l;
}

static struct nst_flow_cells any_cells(int width, int y)
{
    int first = any_int(0, 1);

    return (struct nst_flow_cells){.count = (width - first + 1) / 2,
                                   .first = first,
                                   .y = y,
                                   .own = 200,
                                   .left = 500,
                                   .up = 700,
                                   .down = 900};
}

/* Every plane before a kernel ran, to find what it must not have changed. */
static float saved[17][CELLS];

static void save(void)
{
    memcpy(saved, lattice_space, sizeof saved);
}

static void check_untouched(const struct nst_flow_cells *c)
{
    for (int i = 0; i < 17; i++)
        for (size_t k = 0; k < CELLS; k++)
            if (k < c->own || k >= c->own + (size_t)c->count)
                compare(lattice_space[i][k], saved[i][k], 1e-9);
}

static void linearisations(const struct nst_flow_kernels *k)
{
    static float space[2 * TERMS][SPACE];
    int height = any_int(2, MOST), width = any_int(2, MOST);
    struct nst_flow_plane from[TERMS], to[TERMS];
    const struct nst_flow_plane *f[TERMS], *t[TERMS];
    struct nst_flow_lattice l = any_lattice();
    struct nst_flow_cells c = any_cells(width, any_int(0, height - 1));

    for (int i = 0; i < TERMS; i++) {
        from[i] = noise(space[i], height, width);
        to[i] = noise(space[TERMS + i], height, width);
        f[i] = &from[i];
        t[i] = &to[i];
    }
    save();
    k->linearise(&l, &c, f, t);
    check_untouched(&c);
    for (size_t i = c.own; i < c.own + (size_t)c.count; i++) {
        int x = c.first + 2 * (int)(i - c.own);
        float px = (float)x + l.u[i], py = (float)c.y + l.v[i];
        bool inside =
            px >= 0 && py >= 0 && px <= (float)(width - 1) && py <= (float)(height - 1);

        for (int j = 0; j < TERMS; j++) {
            double gx = at(t[j], px + 0.5, py) - at(t[j], px - 0.5, py);
            double gy = at(t[j], px, py + 0.5) - at(t[j], px, py - 0.5);
            double residual = at(t[j], px, py) - at(f[j], x, c.y);

            compare(l.gx[j][i], inside ? gx : 0, 1e-2);
            compare(l.gy[j][i], inside ? gy : 0, 1e-2);
            compare(l.residual[j][i], inside ? residual - gx * l.u[i] - gy * l.v[i] : 0,
                    3e-2);
        }
    }
}

static double square(double a)
{
    return a * a;
}

/* The constants are those of flow/refine.c. */
static void weights(const struct nst_flow_kernels *k)
{
    struct nst_flow_lattice l = any_lattice();
    struct nst_flow_cells c = any_cells(any_int(2, MOST), 1);

    save();
    k->weigh(&l, &c);
    check_untouched(&c);
    for (size_t i = 0; i < (size_t)c.count; i++) {
        size_t own = c.own + i, left = c.left + i, up = c.up + i, down = c.down + i;
        double value[TERMS], squares = square(0.02), psi[TERMS], a11 = 0, a12 = 0,
                             a22 = 0, b1 = 0, b2 = 0;

        for (int t = 0; t < TERMS; t++)
            value[t] = l.residual[t][own] + (double)l.gx[t][own] * l.u[own] +
                       (double)l.gy[t][own] * l.v[own];
        psi[0] = 1 / sqrt(square(value[0]) + square(0.25));
        psi[1] = psi[2] = 3 / sqrt(square(value[1]) + square(value[2]) + square(0.25));
        for (int t = 0; t < TERMS; t++) {
            double gx = l.gx[t][own], gy = l.gy[t][own];

            a11 += psi[t] * gx * gx;
            a12 += psi[t] * gx * gy;
            a22 += psi[t] * gy * gy;
            b1 -= psi[t] * gx * l.residual[t][own];
            b2 -= psi[t] * gy * l.residual[t][own];
        }
        squares += square(((double)l.u[left + 1] - l.u[left]) / 2) +
                   square(((double)l.u[down] - l.u[up]) / 2) +
                   square(((double)l.v[left + 1] - l.v[left]) / 2) +
                   square(((double)l.v[down] - l.v[up]) / 2);
        compare(l.a11[own], a11, 1e-3);
        compare(l.a12[own], a12, 1e-3);
        compare(l.a22[own], a22, 1e-3);
        compare(l.b1[own], b1, 1e-3);
        compare(l.b2[own], b2, 1e-3);
        compare(l.smooth[own], 10 / sqrt(squares), 1e-4 * l.smooth[own]);
    }
}

static void relaxations(const struct nst_flow_kernels *k)
{
    struct nst_flow_lattice l = any_lattice();
    struct nst_flow_cells c = any_cells(any_int(2, MOST), 1);

    save();
    k->relax(&l, &c);
    check_untouched(&c);
    for (size_t i = 0; i < (size_t)c.count; i++) {
        size_t own = c.own + i;
        size_t at4[4] = {c.left + i, c.left + 1 + i, c.up + i, c.down + i};
        double u = saved[0][own], v = saved[1][own], sum = 0, su = 0, sv = 0;

        for (int j = 0; j < 4; j++) {
            double weight = ((double)l.smooth[own] + l.smooth[at4[j]]) / 2;

            sum += weight;
            su += weight * l.u[at4[j]];
            sv += weight * l.v[at4[j]];
        }
        u += 1.6 * ((l.b1[own] + su - l.a12[own] * v) / (l.a11[own] + sum) - u);
        v += 1.6 * ((l.b2[own] + sv - l.a12[own] * u) / (l.a22[own] + sum) - v);
        compare(l.u[own], u, 1e-4);
        compare(l.v[own], v, 1e-4);
    }
}

static const struct check {
    const char *name;
    void (*run)(const struct nst_flow_kernels *k);
} checks[] = {
    {"luma, halve, derive", planes},
    {"match", matches},
    {"spread", spreads},
    {"linearise", linearisations},
    {"weigh", weights},
    {"relax", relaxations},
    {"sample", samples},
};

int main(void)
{
    seed = tap_seed() | 1;
    for (const struct nst_nchw16c_kernels *const *k = nst_nchw16c_available(); *k;
         k++) {
        setenv("NST_CPU", (*k)->name, 1);
        for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
            worst = 0;
            for (int r = 0; r < ROUNDS; r++)
                checks[i].run(nst_flow_kernels_choose());
            tap(worst <= 1, "%s: %s agrees (%.2f of the tolerance)", (*k)->name,
                checks[i].name, worst);
        }
    }
    return tap_end();
}
