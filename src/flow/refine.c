/* SPDX-License-Identifier: MIT */
/*
 * refine.c - the variational method of Brox, Bruhn, Papenberg and Weickert (2004). The
 * flow w = (u, v) minimises, over all pixels,
 *
 *   psi((I1(x + w) - I0(x))^2) + GRADIENT psi(|grad I1(x + w) - grad I0(x)|^2)
 *   + SMOOTHNESS psi(|grad u|^2 + |grad v|^2),    psi(s^2) = sqrt(s^2 + EPSILON^2)
 *
 * I1 is linearised at the flow so far; the weights psi' are held while a few sweeps of
 * red-black successive over-relaxation solve for the flow. kernels/flow_kernels.c has
 * the loops and the constants.
 *
 * A plane has two halves, one for each colour of a chessboard: the pixel (x, y) is in
 * half (x + y) & 1, row y, column x / 2. Each row has a margin, and each half a row
 * above and below. They hold what stands in for the neighbours that the outermost
 * pixels lack.
 */
#include "config.h"

#include "flow/flow_internal.h"

#define WEIGHT_UPDATES 2
#define SWEEPS 3
#define BAND 8    /* rows that a thread takes at a time */
#define MARGIN 16 /* floats on each side of a row */

enum { PLANES = 3 * NST_FLOW_TERMS + 8 };

struct refinement {
    const struct flow_pair *pair;
    struct nst_flow_lattice lattice;
    int height, width;
    size_t stride; /* floats from row to row */
    int colour;    /* of the sweep: 0 or 1 */
};

static size_t row_floats(int width)
{
    return (size_t)(width + 1) / 2 + 2 * MARGIN;
}

static size_t plane_floats(int height, int width)
{
    return 2 * ((size_t)height + 2) * row_floats(width);
}

size_t nst_flow_refine_scratch(int height, int width)
{
    return PLANES * plane_floats(height, width);
}

/* The pixels of a colour in row y. */
static struct nst_flow_cells cells_of(const struct refinement *r, int colour, int y)
{
    size_t half = ((size_t)r->height + 2) * r->stride;
    size_t row = ((size_t)y + 1) * r->stride + MARGIN;
    size_t other = (colour ? 0 : half) + row;
    int first = (y + colour) & 1;

    return (struct nst_flow_cells){.count = (r->width - first + 1) / 2,
                                   .first = first,
                                   .y = y,
                                   .own = (colour ? half : 0) + row,
                                   .left = first ? other : other - 1,
                                   .up = other - r->stride,
                                   .down = other + r->stride};
}

/* Set what stands in for the neighbours outside the frame to the pixels inside, times
 * sign. */
static void fill_margin(const struct refinement *r, const struct nst_flow_cells *c,
                        float *plane, float sign)
{
    size_t n = (size_t)c->count;

    if (c->first == 0)
        plane[c->left] = sign * plane[c->own];
    if (c->first + 2 * (c->count - 1) == r->width - 1)
        plane[c->left + n] = sign * plane[c->own + n - 1];
    for (size_t k = 0; c->y == 0 && k < n; k++)
        plane[c->up + k] = sign * plane[c->own + k];
    for (size_t k = 0; c->y == r->height - 1 && k < n; k++)
        plane[c->down + k] = sign * plane[c->own + k];
}

/* Call each for the cells of a band of rows and the colours from first to last. */
static void for_cells(struct refinement *r, int band, int first, int last,
                      void (*each)(const struct refinement *r,
                                   const struct nst_flow_cells *c))
{
    for (int y = band * BAND; y < (band + 1) * BAND && y < r->height; y++)
        for (int colour = first; colour <= last; colour++) {
            struct nst_flow_cells c = cells_of(r, colour, y);

            if (c.count > 0)
                each(r, &c);
        }
}

static void read_flow(const struct refinement *r, const struct nst_flow_cells *c)
{
    const float *u = r->pair->flow + nst_area(c->y, r->width) + c->first;
    const float *v = u + nst_area(r->height, r->width);

    for (size_t k = 0; k < (size_t)c->count; k++) {
        r->lattice.u[c->own + k] = u[2 * k];
        r->lattice.v[c->own + k] = v[2 * k];
    }
}

static void write_flow(const struct refinement *r, const struct nst_flow_cells *c)
{
    float *u = r->pair->flow + nst_area(c->y, r->width) + c->first;
    float *v = u + nst_area(r->height, r->width);

    for (size_t k = 0; k < (size_t)c->count; k++) {
        u[2 * k] = r->lattice.u[c->own + k];
        v[2 * k] = r->lattice.v[c->own + k];
    }
}

static void linearise(const struct refinement *r, const struct nst_flow_cells *c)
{
    const struct nst_flow_plane *from[NST_FLOW_TERMS], *to[NST_FLOW_TERMS];

    for (int t = 0; t < NST_FLOW_TERMS; t++) {
        from[t] = &r->pair->from->term[t];
        to[t] = &r->pair->to->term[t];
    }
    r->pair->kernels->linearise(&r->lattice, c, from, to);
}

/* No smoothness leads out of the frame: its weight there cancels that inside. */
static void weigh(const struct refinement *r, const struct nst_flow_cells *c)
{
    fill_margin(r, c, r->lattice.u, 1);
    fill_margin(r, c, r->lattice.v, 1);
    r->pair->kernels->weigh(&r->lattice, c);
    fill_margin(r, c, r->lattice.smooth, -1);
}

static void relax(const struct refinement *r, const struct nst_flow_cells *c)
{
    r->pair->kernels->relax(&r->lattice, c);
}

static void read_band(void *ctx, int band, int thread)
{
    (void)thread;
    for_cells(ctx, band, 0, 1, read_flow);
}

static void write_band(void *ctx, int band, int thread)
{
    (void)thread;
    for_cells(ctx, band, 0, 1, write_flow);
}

static void linearise_band(void *ctx, int band, int thread)
{
    (void)thread;
    for_cells(ctx, band, 0, 1, linearise);
}

static void weigh_band(void *ctx, int band, int thread)
{
    (void)thread;
    for_cells(ctx, band, 0, 1, weigh);
}

static void relax_band(void *ctx, int band, int thread)
{
    struct refinement *r = ctx;

    (void)thread;
    for_cells(r, band, r->colour, r->colour, relax);
}

/* Divide the scratch memory into planes. */
static struct nst_flow_lattice divide(float *scratch, size_t plane)
{
    struct nst_flow_lattice l;
    float **rest[] = {&l.u, &l.v, &l.a11, &l.a12, &l.a22, &l.b1, &l.b2, &l.smooth};

    for (int t = 0; t < NST_FLOW_TERMS; t++, scratch += 3 * plane) {
        l.residual[t] = scratch;
        l.gx[t] = scratch + plane;
        l.gy[t] = scratch + 2 * plane;
    }
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++, scratch += plane)
        *rest[i] = scratch;
    return l;
}

void nst_flow_refine(const struct flow_pair *p, int warps)
{
    int height = p->from->term[0].height, width = p->from->term[0].width;
    int bands = (height + BAND - 1) / BAND;
    struct refinement r = {.pair = p,
                           .lattice = divide(p->scratch, plane_floats(height, width)),
                           .height = height,
                           .width = width,
                           .stride = row_floats(width)};

    nst_threads_run(p->threads, bands, read_band, &r);
    for (int warp = 0; warp < warps; warp++) {
        nst_threads_run(p->threads, bands, linearise_band, &r);
        for (int update = 0; update < WEIGHT_UPDATES; update++) {
            nst_threads_run(p->threads, bands, weigh_band, &r);
            for (int half = 0; half < 2 * SWEEPS; half++) {
                r.colour = half & 1;
                nst_threads_run(p->threads, bands, relax_band, &r);
            }
        }
    }
    nst_threads_run(p->threads, bands, write_band, &r);
}
