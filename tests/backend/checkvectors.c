/* SPDX-License-Identifier: MIT */
/*
 * What every backend does with whole vectors against plain loops in double, outputs
 * filled with NaN beforehand and with something behind their ends; and the same bits
 * for any number of threads. Links floors 0 to 2 alone.
 */
#include "config.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/cuda/cuda.h"
#include "kernels/blocked.h"
#include "../tap.h"

#define BEHIND 5 /* floats behind the end of a vector, which must stay */

static const struct nst_box box = {-0.5f, 0.5f};
static unsigned seed;
static double worst; /* error over tolerance */

static float any(void)
{
    return tap_random(&seed);
}

static void compare(double got, double want, double tolerance)
{
    double r = fabs(got - want) / tolerance;

    if (got == want || (isnan(got) && isnan(want)))
        return;
    worst = isnan(r) ? INFINITY : fmax(worst, r);
}

/* n floats in [-1, 1] times scale; BEHIND marks behind them. */
static float *values(size_t n, float scale)
{
    float *v = malloc((n + BEHIND) * sizeof *v);

    for (size_t i = 0; i < n + BEHIND; i++)
        v[i] = i < n ? scale * any() : (float)i;
    return v;
}

static float *nans(size_t n)
{
    float *v = values(n, 1);

    for (size_t i = 0; i < n; i++)
        v[i] = NAN;
    return v;
}

static float *there(struct nst_backend *be, size_t n, const float *host)
{
    size_t bytes = (n + BEHIND) * sizeof *host;
    void *v;

    if (be->ops->numbers_new(be, &v, bytes, NULL) != NST_OK)
        abort();
    be->ops->put(be, v, host, bytes);
    return v;
}

/* What is there now; freed there. Marks must be what they were. */
static float *back(struct nst_backend *be, size_t n, float *v)
{
    size_t bytes = (n + BEHIND) * sizeof *v;
    float *host = malloc(bytes);

    be->ops->get(be, host, v, bytes);
    be->ops->numbers_free(be, v);
    for (size_t i = n; i < n + BEHIND; i++)
        compare(host[i], (double)i, 1e-9);
    return host;
}

static void drop(struct nst_backend *be, float *v)
{
    be->ops->numbers_free(be, v);
}

static double into(double v)
{
    return fmin(fmax(v, (double)box.lower), (double)box.upper);
}

/* ---- elements, sums ---- */

static void check_sums(struct nst_backend *be, size_t n)
{
    const struct nst_vector_ops *ops = be->ops->vectors;
    float *g = values(n, 3), *d = values(n, 1), *on_g = there(be, n, g),
          *on_d = there(be, n, d);
    struct nst_measures m = ops->measure(be, n, on_g, on_d),
                        alone = ops->measure(be, n, on_g, NULL);
    double most = 0, square = 0, slope = 0, sum = 0, size = 0;

    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)g[i]));
        sum += fabs((double)g[i]);
        square += (double)g[i] * g[i];
        slope += (double)g[i] * d[i];
        size += fabs((double)g[i] * d[i]);
    }
    compare(m.most, most, 1e-12);
    compare(m.square, square, 1e-12 * square);
    compare(m.slope, slope, 1e-12 * size);
    compare(alone.most, most, 1e-12);
    compare(alone.square, square, 1e-12 * square);
    compare(alone.slope, 0, 1e-12);
    compare(ops->sum_abs(be, n, on_g), sum, 1e-12 * sum);
    drop(be, on_g);
    g[n / 2] = NAN;
    on_g = there(be, n, g);
    compare(ops->measure(be, n, on_g, on_d).most, NAN, 1);
    drop(be, on_g);
    drop(be, on_d);
    free(g);
    free(d);
}

static void check_accept(struct nst_backend *be, size_t n)
{
    float *x = values(n, 1), *s = values(n, 1), *y = nans(n), *after = values(n, 1),
          *before = values(n, 1);
    float *on_x = there(be, n, x), *on_s = there(be, n, s), *on_y = there(be, n, y),
          *on_after = there(be, n, after), *on_before = there(be, n, before);
    double sy, yy, want_sy = 0, want_yy = 0, size = 0;
    float *new_x, *new_s, *new_y;

    be->ops->vectors->accept(be, n, on_x, on_s, on_y, on_after, on_before);
    be->ops->vectors->products(be, &sy, &yy);
    new_x = back(be, n, on_x);
    new_s = back(be, n, on_s);
    new_y = back(be, n, on_y);
    for (size_t i = 0; i < n; i++) {
        compare(new_x[i], s[i], 1e-12);
        compare(new_s[i], (double)s[i] - x[i], 2 * FLT_EPSILON);
        compare(new_y[i], (double)after[i] - before[i], 2 * FLT_EPSILON);
        want_sy += (double)new_s[i] * new_y[i];
        want_yy += (double)new_y[i] * new_y[i];
        size += fabs((double)new_s[i] * new_y[i]);
    }
    compare(sy, want_sy, 1e-12 * size);
    compare(yy, want_yy, 1e-12 * want_yy);
    drop(be, on_after);
    drop(be, on_before);
    free(x), free(s), free(y), free(after), free(before);
    free(new_x), free(new_s), free(new_y);
}

static void check_elements(struct nst_backend *be, size_t n)
{
    const struct nst_vector_ops *ops = be->ops->vectors;
    float *a = values(n, 1), *b = values(n, 1), *none = nans(n);
    float *on_a = there(be, n, a), *on_b = there(be, n, b), *on[6], *got[6];
    float keep = 0.25f;

    for (int i = 0; i < 6; i++)
        on[i] = there(be, n, i < 3 ? none : b);
    ops->clear(be, n, on[0]);
    ops->copy(be, n, on[1], on_a);
    ops->move(be, n, on[2], on_a, 0.75, on_b, box);
    ops->add(be, n, on[3], -1.5, on_a);
    ops->scale(be, n, on[4], 0.3);
    ops->clamp(be, n, on[5], box);
    for (int i = 0; i < 6; i++)
        got[i] = back(be, n, on[i]);
    for (size_t i = 0; i < n; i++) {
        compare(got[0][i], 0, 1e-12);
        compare(got[1][i], a[i], 1e-12);
        compare(got[2][i], into(a[i] + 0.75 * b[i]), 4 * FLT_EPSILON);
        compare(got[3][i], b[i] - 1.5 * a[i], 4 * FLT_EPSILON);
        compare(got[4][i], 0.3 * b[i], 2 * FLT_EPSILON);
        compare(got[5][i], into(b[i]), 1e-12);
    }
    for (int i = 0; i < 6; i++)
        free(got[i]);
    if (n % 3 == 0) { /* pictures */
        float *plane = values(n / 3, 1), *on_plane;

        for (size_t i = 0; i < n / 3; i++)
            plane[i] = i % 2 ? keep : fabsf(plane[i]);
        on_plane = there(be, n / 3, plane);
        on[0] = there(be, n, none);
        on[1] = there(be, n, b);
        ops->blend(be, n, on[0], on_a, on_b, on_plane);
        ops->blend(be, n, on[1], NULL, on_a, on_plane);
        got[0] = back(be, n, on[0]);
        got[1] = back(be, n, on[1]);
        for (size_t i = 0; i < n; i++) {
            double part = 1 - plane[i % (n / 3)];

            compare(got[0][i], b[i] + part * (a[i] - b[i]), 8 * FLT_EPSILON);
            compare(got[1][i], b[i] * part, 4 * FLT_EPSILON);
        }
        free(got[0]), free(got[1]), free(plane);
        drop(be, on_plane);
    }
    drop(be, on_a);
    drop(be, on_b);
    free(a), free(b), free(none);
}

static void check_adam(struct nst_backend *be, size_t n)
{
    float *v[5], *on[5], *got[4];
    struct nst_moments m = {.of_first = {0.9f, 0.1f},
                            .of_second = {0.8f, 0.2f},
                            .of_sum = {0.7f, 0.3f},
                            .rate = 0.4f,
                            .scale = 1.5f,
                            .epsilon = 1e-3f};

    for (int i = 0; i < 5; i++)
        v[i] = values(n, 1);
    for (size_t i = 0; i < n; i++)
        v[1][i] = fabsf(v[1][i]);
    for (int i = 0; i < 5; i++)
        on[i] = there(be, n, v[i]);
    m.first = on[0];
    m.second = on[1];
    m.sum = on[2];
    be->ops->vectors->adam(be, n, &m, on[4], box, on[3]);
    for (int i = 0; i < 4; i++)
        got[i] = back(be, n, on[i]);
    for (size_t i = 0; i < n; i++) {
        double g = v[4][i], first = 0.9 * v[0][i] + 0.1 * g,
               second = 0.8 * v[1][i] + 0.2 * g * g,
               x = into(v[3][i] - 0.4 * first / (1.5 * sqrt(second) + 1e-3));

        compare(got[0][i], first, 1e-6);
        compare(got[1][i], second, 1e-6);
        compare(got[3][i], x, 1e-5);
        compare(got[2][i], 0.7 * v[2][i] + 0.3 * x, 1e-5);
    }
    drop(be, on[4]);
    for (int i = 0; i < 5; i++)
        free(v[i]);
    for (int i = 0; i < 4; i++)
        free(got[i]);
}

/* ---- the direction ---- */

enum hold { NOTHING, SOME, MOST };

/* Pairs of a function whose second derivatives are between 1/2 and 2; every fourth one
 * bends the other way, or does so where variables are free. */
struct problem {
    size_t n;
    int count, slots, next;
    bool boxed;
    double first;
    float *x, *g, *s[NST_PAIRS_MOST], *y[NST_PAIRS_MOST]; /* by slot */
    double yy[NST_PAIRS_MOST];
};

static void make_pair(struct problem *p, int slot, bool unusable)
{
    float size = exp2f(6 * any() - 7);

    p->s[slot] = values(p->n, size);
    p->y[slot] = values(p->n, 1);
    p->yy[slot] = 0;
    for (size_t i = 0; i < p->n; i++) {
        float bend = 1.25f + 0.75f * (float)sin((double)i);

        p->y[slot][i] = (unusable ? -1 : 1) * bend * p->s[slot][i];
        p->yy[slot] += (double)p->y[slot][i] * p->y[slot][i];
    }
}

static void make_problem(struct problem *p, size_t n, int count, enum hold hold)
{
    *p = (struct problem){.n = n, .count = count, .boxed = any() < 0.7f};
    p->slots = count > 1 && any() < 0 ? count : count + 1;
    if (p->slots > NST_PAIRS_MOST)
        p->slots = NST_PAIRS_MOST;
    p->next = (int)((any() + 1) / 2.001f * (float)p->slots);
    p->first = any() < 0 ? 0.01 : 0;
    p->x = values(n, hold == NOTHING ? 0.1f : 1);
    p->g = values(n, 0.01f);
    for (size_t i = 0; i < n; i++) {
        p->x[i] = (float)into(p->x[i] * (hold == MOST ? 30 : 1));
        if (hold == MOST && p->x[i] != 0 && any() < 0.8f)
            p->g[i] = copysignf(p->g[i], -p->x[i]);
    }
    for (int i = 0; i < p->slots; i++)
        make_pair(p, i, any() < -0.6f);
}

static struct nst_ring ring_of(const struct problem *p, float *const *s,
                               float *const *y)
{
    return (struct nst_ring){s, y, p->yy, p->slots, p->count, p->next};
}

static double free_dot(size_t n, const bool *held, const float *a, const double *b)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += held[i] ? 0 : (double)a[i] * b[i];
    return sum;
}

static double free_product(size_t n, const bool *held, const float *a, const float *b)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += held[i] ? 0 : (double)a[i] * b[i];
    return sum;
}

/* The two-loop recursion as the book has it, in double. */
static void recurse(const struct problem *p, const bool *held, double *d)
{
    struct nst_ring ring = ring_of(p, p->s, p->y);
    double alpha[NST_PAIRS_MOST], sy[NST_PAIRS_MOST], gamma = 0;

    for (size_t i = 0; i < p->n; i++)
        d[i] = held[i] ? 0 : -(double)p->g[i];
    for (int k = 0; k < p->count; k++) {
        int at = nst_ring_slot(&ring, k);

        sy[k] = free_product(p->n, held, p->s[at], p->y[at]);
        if (!(sy[k] > 1e-10 * p->yy[at]))
            continue;
        if (gamma == 0)
            gamma = sy[k] / free_product(p->n, held, p->y[at], p->y[at]);
        alpha[k] = free_dot(p->n, held, p->s[at], d) / sy[k];
        for (size_t i = 0; i < p->n; i++)
            d[i] -= held[i] ? 0 : alpha[k] * p->y[at][i];
    }
    for (size_t i = 0; i < p->n && gamma > 0; i++)
        d[i] *= gamma;
    for (int k = p->count - 1; k >= 0; k--) {
        int at = nst_ring_slot(&ring, k);
        double beta;

        if (!(sy[k] > 1e-10 * p->yy[at]))
            continue;
        beta = free_dot(p->n, held, p->y[at], d) / sy[k];
        for (size_t i = 0; i < p->n; i++)
            d[i] += held[i] ? 0 : (alpha[k] - beta) * p->s[at][i];
    }
}

/* d cut off at the box, x + d, the slope, the longest step. */
static struct nst_downhill cut(const struct problem *p, double *d)
{
    struct nst_downhill found = {0, 1e10};

    for (size_t i = 0; i < p->n; i++) {
        double x = p->x[i];

        if (p->boxed)
            d[i] = into(x + d[i]) - x;
        found.slope += d[i] * p->g[i];
    }
    return found;
}

static struct nst_downhill want(const struct problem *p, double *d)
{
    bool *held = malloc(p->n);
    struct nst_downhill found = {0, 0};
    double square = 0;

    for (size_t i = 0; i < p->n; i++)
        held[i] = p->boxed && ((p->x[i] <= box.lower && p->g[i] > 0) ||
                               (p->x[i] >= box.upper && p->g[i] < 0));
    recurse(p, held, d);
    free(held);
    for (size_t i = 0; i < p->n; i++)
        square += d[i] * d[i];
    if (p->count == 0 && p->first > 0) {
        if (!(square > 0))
            return found;
        for (size_t i = 0; i < p->n; i++)
            d[i] *= p->first / sqrt(square / (double)p->n);
    }
    return cut(p, d);
}

/* What a backend makes of it: d, then the trial point. */
struct made {
    struct nst_downhill found;
    float *d, *trial;
};

static struct made make(struct nst_backend *be, const struct problem *p)
{
    float *s[NST_PAIRS_MOST], *y[NST_PAIRS_MOST], *none = nans(p->n);
    float *x = there(be, p->n, p->x), *g = there(be, p->n, p->g);
    float *d = there(be, p->n, none), *trial = there(be, p->n, none);
    bool in_place = p->count > 0 && p->count == p->slots && p->boxed;
    struct nst_descent c = {.x = p->boxed ? x : NULL,
                            .g = g,
                            .box = box,
                            .first = p->first,
                            .d = d,
                            .trial = p->boxed ? trial : NULL};
    struct made made;

    if (be->ops->numbers_new(be, &c.work, be->ops->vectors->work_bytes(p->n, p->slots),
                             NULL))
        abort();
    for (int i = 0; i < p->slots; i++) {
        s[i] = there(be, p->n, p->s[i]);
        y[i] = there(be, p->n, p->y[i]);
    }
    c.pairs = ring_of(p, s, y);
    if (in_place) /* as the minimiser has it, which gives up the oldest pair for it */
        c.trial = s[p->next];
    made.found = be->ops->vectors->direction(be, p->n, &c);
    made.d = back(be, p->n, d);
    for (int i = 0; i < p->slots; i++) {
        if (c.trial == s[i])
            made.trial = back(be, p->n, s[i]);
        else
            drop(be, s[i]);
        drop(be, y[i]);
    }
    if (c.trial == trial)
        made.trial = back(be, p->n, trial);
    else {
        drop(be, trial);
        if (!c.trial)
            made.trial = NULL;
    }
    drop(be, x);
    drop(be, g);
    be->ops->numbers_free(be, c.work);
    free(none);
    return made;
}

static void check_direction(struct nst_backend *be, struct nst_backend *other,
                            const struct problem *p)
{
    double *d = malloc(p->n * sizeof *d), size = 0, off = 0, longest = 1e10, sum = 0,
           climb = 0;
    struct nst_downhill found = want(p, d);
    struct made made = make(be, p), again = make(other, p);

    for (size_t i = 0; i < p->n; i++) {
        double room =
            made.d[i] > 0 ? (double)box.upper - p->x[i] : (double)p->x[i] - box.lower;

        size += d[i] * d[i];
        off += (made.d[i] - d[i]) * (made.d[i] - d[i]);
        sum += fabs(d[i] * p->g[i]);
        climb += fabs((double)p->g[i]);
        if (made.d[i] != 0)
            longest = fmin(longest, room / fabs((double)made.d[i]));
        if (p->boxed && found.longest > 0)
            compare(made.trial[i], into((double)p->x[i] + made.d[i]), 2 * FLT_EPSILON);
    }
    if (found.longest > 0) { /* else there is no direction */
        /* x + d is rounded before x is taken from it again */
        compare(sqrt(off), 0, 1e-4 * sqrt(size) + FLT_EPSILON * sqrt((double)p->n));
        compare(made.found.slope, found.slope, 1e-4 * sum + FLT_EPSILON * climb);
        if (p->boxed)
            compare(made.found.longest, longest, 1e-5 * longest);
    } else
        compare(made.found.slope, 0, 1e-30);
    if (memcmp(made.d, again.d, p->n * sizeof *again.d) != 0 ||
        memcmp(&made.found, &again.found, sizeof made.found) != 0)
        worst = INFINITY;
    free(made.d), free(made.trial), free(again.d), free(again.trial), free(d);
}

/* Many pairs are slow on tests/fakecuda: of long vectors a block of pairs, and two,
 * with their products; more of some lengths. With $NST_TEST_QUICK fewer still. */
static bool worth(size_t n, int count, enum hold hold)
{
    bool quick = getenv("NST_TEST_QUICK");

    if (n > 10000)
        return !quick && hold == SOME && (count == 20 || count == 33);
    if (count > 21)
        return (n == 129 || (n == 2049 && !quick)) && (hold == SOME || !quick);
    return !quick || n < 1000;
}

static void check_directions(struct nst_backend *be, struct nst_backend *other,
                             size_t n)
{
    static const int counts[] = {0, 1, 2, 4, 5, 6, 19, 20, 21, 33, 45, 100};

    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++)
        for (int hold = NOTHING; hold <= MOST; hold++) {
            struct problem p;

            if (!worth(n, counts[k], (enum hold)hold))
                continue;
            make_problem(&p, n, counts[k], (enum hold)hold);
            check_direction(be, other, &p);
            for (int i = 0; i < p.slots; i++)
                free(p.s[i]), free(p.y[i]);
            free(p.x);
            free(p.g);
        }
}

/* ---- backends ---- */

static void report(const char *kind, const char *what)
{
    tap(worst <= 1, "%s: %s as plain loops do (%.2f of the tolerance)", kind, what,
        worst);
    worst = 0;
}

static void check(const char *kind, const struct nst_backend_ops *ops,
                  enum nst_precision precision)
{
    /* single ones, round four, a warp's share, blocks of either kind, several of them
     */
    static const size_t lengths[] = {1,   2,    3,    6,    127,  129,
                                     384, 1000, 2049, 6141, 40003};
    struct nst_backend_config config = {.threads = 1, .precision = precision};
    struct nst_backend *be, *other;

    if (ops->open(&be, &config, NULL) != NST_OK)
        abort();
    config.threads = 3;
    if (ops->open(&other, &config, NULL) != NST_OK)
        abort();
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        check_sums(be, lengths[i]);
        check_accept(be, lengths[i]);
    }
    report(kind, "maxima and sums");
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        check_elements(be, lengths[i]);
        check_adam(be, lengths[i]);
    }
    report(kind, "works on elements");
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        check_directions(be, other, lengths[i]);
    report(kind, "the direction of L-BFGS, to the bit on one thread and on three,");
    if (be->fault.status != NST_OK)
        tap(0, "%s: %s", kind, be->fault.text);
    be->ops->close(be);
    other->ops->close(other);
}

static void check_set(const char *set)
{
    setenv("NST_CPU", set, 1);
    if (nst_blocked_choose())
        check(set, &nst_backend_cpu, NST_PRECISION_FP32);
    else
        tap(1, "%s # SKIP this machine does not have it", set);
}

static void check_cuda(void)
{
#ifdef HAVE_CUDA
    struct nst_err err;

    unsetenv("NST_FAKE_CUDA_DRIVER");
    if (nst_cuda_count(&err) == 0) {
        tap(1, "cuda # SKIP %s", err.text);
        return;
    }
    check("cuda, fp32", &nst_backend_cuda, NST_PRECISION_FP32);
    check("cuda, fp16", &nst_backend_cuda, NST_PRECISION_FP16);
#else
    tap(1, "cuda # SKIP this build is without it");
#endif
}

int main(void)
{
    seed = tap_seed() | 1;
    check_set("avx512");
    check_set("avx2");
    check_set("base");
    check("scalar", &nst_backend_scalar, NST_PRECISION_FP32);
    check_cuda();
    return tap_end();
}
