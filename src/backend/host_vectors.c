/* SPDX-License-Identifier: MIT */
/*
 * host_vectors.c - passes over long vectors on the CPU, threaded. A vector is cut into
 * blocks by its length alone; sums are made block by block, in double, and the blocks'
 * in order, so that they are the same for any number of threads.
 */
#include "config.h"

#include "backend/host.h"

#include <math.h>
#include <string.h>

#include "backend/vectors.h"
#include "kernels/vectors.h"

#define BLOCK ((size_t)2048) /* elements; a dozen vectors' stay in the second cache */
#define RUN 16               /* blocks in a row that one thread does */
#define ROUND 1024           /* blocks at once, whose results are kept on the stack */

/* What the passes over some vectors have in common. */
struct vectors {
    size_t n; /* floats of each */
    struct nst_threads *threads;
    const struct nst_vector_kernels *kernels;
};

static struct vectors of(struct nst_backend *be, size_t n)
{
    return (struct vectors){n, be->threads, nst_vectors_choose()};
}

/* Elements first to first + n of a pass: does what it does, and sets its results to
 * this part of the maximum, or of the sums. */
typedef void nst_part(const struct nst_vector_kernels *k, const void *ctx, size_t first,
                      size_t n, double *results);

struct pass {
    const struct vectors *v;
    size_t first;
    int blocks; /* of this round */
    nst_part *part;
    const void *ctx;
    int count; /* results of each block */
    double *results;
};

static void do_run(void *ctx, int item, int thread)
{
    const struct pass *p = ctx;

    (void)thread;
    for (int b = item * RUN; b < (item + 1) * RUN && b < p->blocks; b++) {
        size_t first = p->first + (size_t)b * BLOCK, left = p->v->n - first;

        p->part(p->v->kernels, p->ctx, first, left < BLOCK ? left : BLOCK,
                p->results + b * p->count);
    }
}

static double larger(double a, double b)
{
    return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
}

/* results[] become those of all blocks: the first maxima of them the largest, or NaN if
 * one of them is, the others sums. */
static void reduce(const struct vectors *v, nst_part *part, const void *ctx, int maxima,
                   int count, double *results)
{
    double of_blocks[ROUND * (count ? count : 1)];
    struct pass p = {v, 0, 0, part, ctx, count, of_blocks};

    for (int i = 0; i < count; i++)
        results[i] = i < maxima ? -INFINITY : 0;
    for (; p.first < v->n; p.first += BLOCK * ROUND) {
        size_t blocks = (v->n - p.first + BLOCK - 1) / BLOCK;

        p.blocks = blocks < ROUND ? (int)blocks : ROUND;
        nst_threads_run(v->threads, (p.blocks + RUN - 1) / RUN, do_run, &p);
        for (int i = 0; i < p.blocks * count; i++)
            if (i % count < maxima)
                results[i % count] = larger(results[i % count], of_blocks[i]);
            else
                results[i % count] += of_blocks[i];
    }
}

static void sums(const struct vectors *v, nst_part *part, const void *ctx, int count,
                 double *results)
{
    reduce(v, part, ctx, 0, count, results);
}

static void pass(const struct vectors *v, nst_part *part, const void *ctx)
{
    reduce(v, part, ctx, 0, 0, NULL);
}

struct operands {
    float *y;
    const float *a, *b;
    float alpha;
    struct nst_box box;
};

static void dot_part(const struct nst_vector_kernels *k, const void *ctx, size_t first,
                     size_t n, double *result)
{
    const struct operands *o = ctx;

    *result = k->dot(n, o->a + first, o->b + first);
}

static double dot(const struct vectors *v, const float *a, const float *b)
{
    double sum;

    sums(v, dot_part, &(struct operands){.a = a, .b = b}, 1, &sum);
    return sum;
}

static void sum_abs_part(const struct nst_vector_kernels *k, const void *ctx,
                         size_t first, size_t n, double *result)
{
    const struct operands *o = ctx;

    *result = k->sum_abs(n, o->a + first);
}

static double sum_abs(struct nst_backend *be, size_t n, const float *x)
{
    struct vectors v = of(be, n);
    double sum;

    sums(&v, sum_abs_part, &(struct operands){.a = x}, 1, &sum);
    return sum;
}

static void measure_part(const struct nst_vector_kernels *k, const void *ctx,
                         size_t first, size_t n, double *results)
{
    const struct operands *o = ctx;

    results[0] = k->max_abs(n, o->a + first);
    results[1] = k->dot(n, o->a + first, o->a + first);
    results[2] = o->b ? k->dot(n, o->a + first, o->b + first) : 0;
}

static struct nst_measures measure(struct nst_backend *be, size_t n, const float *g,
                                   const float *d)
{
    struct vectors v = of(be, n);
    double r[3];

    reduce(&v, measure_part, &(struct operands){.a = g, .b = d}, 1, 3, r);
    return (struct nst_measures){r[0], r[1], r[2]};
}

static void add_part(const struct nst_vector_kernels *k, const void *ctx, size_t first,
                     size_t n, double *none)
{
    const struct operands *o = ctx;

    (void)none;
    k->add(n, o->y + first, o->alpha, o->a + first);
}

static void add(struct nst_backend *be, size_t n, float *y, double alpha,
                const float *x)
{
    struct vectors v = of(be, n);

    pass(&v, add_part, &(struct operands){.y = y, .a = x, .alpha = (float)alpha});
}

static void scale_part(const struct nst_vector_kernels *k, const void *ctx,
                       size_t first, size_t n, double *none)
{
    const struct operands *o = ctx;

    (void)none;
    k->scale(n, o->y + first, o->alpha);
}

static void scale(struct nst_backend *be, size_t n, float *x, double alpha)
{
    struct vectors v = of(be, n);

    pass(&v, scale_part, &(struct operands){.y = x, .alpha = (float)alpha});
}

static void clear(struct nst_backend *be, size_t n, float *x)
{
    (void)be;
    memset(x, 0, n * sizeof *x);
}

static void copy(struct nst_backend *be, size_t n, float *to, const float *from)
{
    (void)be;
    memcpy(to, from, n * sizeof *to);
}

static void clamp_part(const struct nst_vector_kernels *k, const void *ctx,
                       size_t first, size_t n, double *none)
{
    const struct operands *o = ctx;
    float *x = o->y + first;

    (void)k;
    (void)none;
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] < o->box.lower   ? o->box.lower
               : x[i] > o->box.upper ? o->box.upper
                                     : x[i];
}

static void clamp(struct nst_backend *be, size_t n, float *x, struct nst_box box)
{
    struct vectors v = of(be, n);

    pass(&v, clamp_part, &(struct operands){.y = x, .box = box});
}

static void move_part(const struct nst_vector_kernels *k, const void *ctx, size_t first,
                      size_t n, double *none)
{
    const struct operands *o = ctx;

    (void)none;
    k->move(n, o->y + first, o->a + first, o->alpha, o->b + first, o->box.lower,
            o->box.upper);
}

static void move(struct nst_backend *be, size_t n, float *to, const float *x, double t,
                 const float *d, struct nst_box box)
{
    struct vectors v = of(be, n);

    pass(&v, move_part,
         &(struct operands){.y = to, .a = x, .b = d, .alpha = (float)t, .box = box});
}

struct pair {
    float *x, *s, *y;
    const float *g_new, *g;
};

static void accept_part(const struct nst_vector_kernels *k, const void *ctx,
                        size_t first, size_t n, double *products)
{
    const struct pair *p = ctx;

    k->accept(n, p->x + first, p->s + first, p->y + first, p->g_new + first,
              p->g + first, &products[0], &products[1]);
}

static void accept(struct nst_backend *be, size_t n, float *x, float *s, float *y,
                   const float *g_new, const float *g)
{
    struct vectors v = of(be, n);

    sums(&v, accept_part, &(struct pair){x, s, y, g_new, g}, 2, be->products);
}

static void products(struct nst_backend *be, double *sy, double *yy)
{
    *sy = be->products[0];
    *yy = be->products[1];
}

struct blending {
    float *to;
    const float *x, *content, *keep;
    size_t area;
};

static void blend_part(const struct nst_vector_kernels *k, const void *ctx,
                       size_t first, size_t n, double *none)
{
    const struct blending *b = ctx;

    (void)k;
    (void)none;
    for (size_t i = first; i < first + n; i++) {
        float free_part = 1 - b->keep[i % b->area];

        if (b->x)
            b->to[i] = b->content[i] + free_part * (b->x[i] - b->content[i]);
        else
            b->to[i] *= free_part;
    }
}

static void blend(struct nst_backend *be, size_t n, float *to, const float *x,
                  const float *content, const float *keep)
{
    struct vectors v = of(be, n);

    pass(&v, blend_part, &(struct blending){to, x, content, keep, n / 3});
}

struct adam {
    const struct nst_moments *m;
    const float *g;
    struct nst_box box;
    float *x;
};

static void adam_part(const struct nst_vector_kernels *k, const void *ctx, size_t first,
                      size_t n, double *none)
{
    const struct adam *a = ctx;
    const struct nst_moments *p = a->m;
    const float *g = a->g + first;
    float *m = p->first + first, *v = p->second + first, *sum = p->sum + first;
    float *x = a->x + first;

    (void)k;
    (void)none;
    for (size_t i = 0; i < n; i++) {
        float to;

        m[i] = p->of_first.old * m[i] + p->of_first.fresh * g[i];
        v[i] = p->of_second.old * v[i] + p->of_second.fresh * g[i] * g[i];
        to = x[i] - p->rate * m[i] / (sqrtf(v[i]) * p->scale + p->epsilon);
        to = to > a->box.lower ? to : a->box.lower;
        x[i] = to < a->box.upper ? to : a->box.upper;
        sum[i] = p->of_sum.old * sum[i] + p->of_sum.fresh * x[i];
    }
}

static void adam(struct nst_backend *be, size_t n, const struct nst_moments *m,
                 const float *g, struct nst_box box, float *x)
{
    struct vectors v = of(be, n);

    pass(&v, adam_part, &(struct adam){m, g, box, x});
}

/*
 * The recursion is bound by memory: as written it reads and writes d once for every
 * pair, each way. It is done for GROUP pairs in a pass instead. What the recursion
 * asks of d after the group's earlier pairs follows from d before them:
 *   s_i . (d - sum_j alpha_j y_j) = s_i . d - sum_j alpha_j (s_i . y_j).
 * On the way back the same products serve, s and y having changed places.
 */
#define GROUP 4

/* Of fewer pairs the last is there again, unusable, so that a pass always has GROUP. */
struct group {
    const float *s[GROUP], *y[GROUP]; /* the latest pair first */
    double yy[GROUP];                 /* over all variables */
    double sy[GROUP][GROUP];          /* s_i . y_j, j <= i, over the free ones */
    double alpha[GROUP];
    bool usable[GROUP]; /* it has curvature among the free variables */
};

/* A pass: see recurse() in kernels/vectors.h. */
struct recursion {
    float *d, scale, factor[GROUP];
    const float *const *x, *const *z, *const *w;
    const uint8_t *fixed;
};

/* Those of the four vectors that p[] points to, from first on. */
static void from(const float *const *p, size_t first, const float **out)
{
    for (int i = 0; i < GROUP; i++)
        out[i] = p[i] + first;
}

static void recursion_part(const struct nst_vector_kernels *k, const void *ctx,
                           size_t first, size_t n, double *results)
{
    const struct recursion *r = ctx;
    const float *x[GROUP], *z[GROUP], *w[GROUP];

    from(r->x, first, x);
    from(r->z, first, z);
    if (r->w)
        from(r->w, first, w);
    k->recurse(n, r->d + first, r->scale, r->factor, x,
               r->fixed ? r->fixed + first : NULL, z, r->w ? w : NULL, results);
}

/* Curvature below this share of y.y is noise. */
#define LEAST_CURVATURE 1e-10

/* The pairs from the i-th latest on. */
static void take_group(const struct nst_ring *p, int i, struct group *g)
{
    for (int j = 0; j < GROUP; j++) {
        int k = nst_ring_slot(p, i + j < p->count ? i + j : p->count - 1);

        g->s[j] = p->s[k];
        g->y[j] = p->y[k];
        g->yy[j] = i + j < p->count ? p->yy[k] : INFINITY;
    }
}

/* The pass to a group on the first way: along[i] = s_i . d, and what the group keeps.
 */
static void pass_to_older(const struct vectors *v, struct recursion *r, struct group *g,
                          double *along)
{
    double products[GROUP + GROUP * (GROUP + 1) / 2], *cross = products + GROUP;

    r->z = g->s;
    r->w = g->y;
    sums(v, recursion_part, r, GROUP + GROUP * (GROUP + 1) / 2, products);
    for (int i = 0; i < GROUP; i++) {
        along[i] = products[i];
        for (int j = 0; j <= i; j++)
            g->sy[i][j] = *cross++;
        g->usable[i] = g->sy[i][i] > LEAST_CURVATURE * g->yy[i];
    }
}

/* The pass to a group on the way back: along[i] = y_i . d */
static void pass_to_newer(const struct vectors *v, struct recursion *r,
                          const struct group *g, double *along)
{
    r->z = g->y;
    r->w = NULL;
    sums(v, recursion_part, r, GROUP, along);
}

struct free_product {
    const float *a;
    const uint8_t *fixed;
};

static void free_part(const struct nst_vector_kernels *k, const void *ctx, size_t first,
                      size_t n, double *result)
{
    const struct free_product *p = ctx;

    *result = k->free_dot(n, p->a + first, p->a + first, p->fixed + first);
}

/* s.y / y.y of a group's pair over the free variables */
static double initial_scale(const struct vectors *v, const struct group *g, int i,
                            const uint8_t *fixed)
{
    double yy = g->yy[i];

    if (fixed)
        sums(v, free_part, &(struct free_product){g->y[i], fixed}, 1, &yy);
    return g->sy[i][i] / yy;
}

static void recurse(const struct vectors *v, const struct nst_ring *p, const float *g,
                    const uint8_t *fixed, float *d)
{
    const float *start[GROUP] = {g, g, g, g};
    int groups = (p->count + GROUP - 1) / GROUP;
    struct group group[groups + 1];
    struct recursion r = {.d = d, .factor = {-1}, .x = start, .fixed = fixed};
    double along[GROUP], gamma = 0;

    for (int k = 0; k < groups; k++) {
        struct group *a = &group[k];

        take_group(p, k * GROUP, a);
        pass_to_older(v, &r, a, along);
        for (int i = 0; i < GROUP; i++) {
            for (int j = 0; j < i; j++)
                along[i] -= a->alpha[j] * a->sy[i][j];
            a->alpha[i] = a->usable[i] ? along[i] / a->sy[i][i] : 0;
            if (gamma == 0 && a->usable[i])
                gamma = initial_scale(v, a, i, fixed);
            r.factor[i] = (float)-a->alpha[i];
        }
        r.x = a->y;
        r.scale = 1;
    }
    if (gamma > 0) {
        r.scale = (float)gamma;
        for (int i = 0; i < GROUP; i++)
            r.factor[i] *= (float)gamma;
    }
    for (int k = groups - 1; k >= 0; k--) {
        struct group *a = &group[k];

        pass_to_newer(v, &r, a, along);
        for (int i = GROUP - 1; i >= 0; i--) {
            for (int j = GROUP - 1; j > i; j--)
                along[i] += r.factor[j] * a->sy[j][i];
            r.factor[i] =
                a->usable[i] ? (float)(a->alpha[i] - along[i] / a->sy[i][i]) : 0;
        }
        r.x = a->s;
        r.scale = 1;
    }
    r.z = r.x; /* nothing more to know */
    r.w = NULL;
    sums(v, recursion_part, &r, GROUP, along);
}

static size_t work_bytes(size_t n, int pairs)
{
    (void)pairs;
    return n; /* a flag for each variable that is fixed */
}

static void fix_part(const struct nst_vector_kernels *k, const void *ctx, size_t first,
                     size_t n, double *count)
{
    const struct nst_descent *c = ctx;
    uint8_t *fixed = c->work;

    *count = (double)k->fix(n, c->x + first, c->g + first, c->box.lower, c->box.upper,
                            fixed + first);
}

/* Fix what sits on a bound and is pushed outwards; NULL if nothing is. */
static const uint8_t *find_fixed(const struct vectors *v, const struct nst_descent *c)
{
    double count;

    if (!c->x)
        return NULL;
    sums(v, fix_part, c, 1, &count);
    return count > 0 ? c->work : NULL;
}

static void cut_part(const struct nst_vector_kernels *k, const void *ctx, size_t first,
                     size_t n, double *results)
{
    const struct nst_descent *c = ctx;
    const float *x = c->x + first, *g = c->g + first;
    float *d = c->d + first;

    results[1] = k->cut(n, d, x, c->box.lower, c->box.upper, g);
    results[0] = -k->longest(n, x, d, c->box.lower, c->box.upper);
    k->move(n, c->trial + first, x, 1, d, c->box.lower, c->box.upper);
}

static struct nst_downhill direction(struct nst_backend *be, size_t n,
                                     const struct nst_descent *c)
{
    struct vectors v = of(be, n);
    double length, results[2];

    recurse(&v, &c->pairs, c->g, find_fixed(&v, c), c->d);
    if (c->pairs.count == 0 && c->first > 0) {
        length = sqrt(dot(&v, c->d, c->d) / (double)n);
        if (!(length > 0))
            return (struct nst_downhill){0, 0};
        scale(be, n, c->d, c->first / length);
    }
    if (!c->x)
        return (struct nst_downhill){dot(&v, c->d, c->g), 1e10};
    reduce(&v, cut_part, c, 1, 2, results);
    return (struct nst_downhill){results[1], -results[0]};
}

const struct nst_vector_ops nst_host_vectors = {
    .work_bytes = work_bytes,
    .direction = direction,
    .move = move,
    .measure = measure,
    .accept = accept,
    .products = products,
    .sum_abs = sum_abs,
    .clear = clear,
    .copy = copy,
    .add = add,
    .scale = scale,
    .clamp = clamp,
    .blend = blend,
    .adam = adam,
};
