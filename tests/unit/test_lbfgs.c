/* SPDX-License-Identifier: MIT */
/* The optimisers on functions with known minima. */
#include "config.h"

#include "unit.h"

#include <math.h>
#include <string.h>

#include "backend/host.h"
#include "optim/lbfgs.h"
#include "torch_lbfgs.h"

#define N 1000

struct probe {
    int evaluations, budget;
    bool poison; /* the value is NaN if x[0] > 0.6 */
    float lowest, highest;
};

/* The measures of g and d, n floats each. */
static struct nst_measures measured(const float *g, const float *d, int n)
{
    struct nst_measures m = {0};

    for (int i = 0; i < n; i++) {
        m.max_abs = isnan(g[i]) ? NAN : fmax(m.max_abs, fabs(g[i]));
        m.sq_norm += (double)g[i] * g[i];
        m.slope += d ? (double)g[i] * d[i] : 0;
    }
    return m;
}

static void visit(struct probe *p, const float *x)
{
    p->evaluations++;
    for (int i = 0; i < N; i++) {
        p->lowest = fminf(p->lowest, x[i]);
        p->highest = fmaxf(p->highest, x[i]);
    }
}

/* Coordinate of the minimum of the bowl below without the box. */
static float centre(int i)
{
    return -0.5f + 2.0f * (float)i / N;
}

/* sum_i c_i (x_i - centre_i)^2, c_i from 1 to 1000. At the minimum each variable is at
 * its centre, or at the nearer bound. */
static bool bowl(void *ctx, const struct nst_buffer *at, const struct nst_buffer *d,
                 double *f, struct nst_buffer *gradient, struct nst_measures *m)
{
    struct probe *p = ctx;
    const float *x = nst_const_floats(at);
    float *g = nst_floats(gradient);

    if (p->evaluations >= p->budget)
        return false;
    visit(p, x);
    *f = 0;
    for (int i = 0; i < N; i++) {
        double c = 1 + i * 37 % N, off = x[i] - centre(i);

        *f += c * off * off;
        g[i] = (float)(2 * c * off);
    }
    if (p->poison && x[0] > 0.6f) {
        *f = NAN;
        g[0] = NAN;
    }
    *m = measured(g, nst_const_floats(d), N);
    return true;
}

/* Rosenbrock's valley in pairs, shrunk so that its minimum, 0, is at 0.5. */
static bool valley(void *ctx, const struct nst_buffer *at, const struct nst_buffer *d,
                   double *f, struct nst_buffer *gradient, struct nst_measures *m)
{
    struct probe *p = ctx;
    const float *x = nst_const_floats(at);
    float *g = nst_floats(gradient);

    if (p->evaluations >= p->budget)
        return false;
    visit(p, x);
    *f = 0;
    for (int i = 0; i < N; i += 2) {
        double a = 2 * x[i], b = 2 * x[i + 1], u = 1 - a, v = b - a * a;

        *f += u * u + 100 * v * v;
        g[i] = (float)(2 * (-2 * u - 400 * a * v));
        g[i + 1] = (float)(2 * 200 * v);
    }
    *m = measured(g, nst_const_floats(d), N);
    return true;
}

static const struct nst_box unit = {0, 1};

static struct nst_backend *on(int threads)
{
    struct nst_backend *be;
    struct nst_err err;

    assert_int_equal(nst_backend_open(&be, "cpu",
                                      &(struct nst_backend_config){.threads = threads},
                                      &err),
                     NST_OK);
    return be;
}

/* Run to the end and check that no step is worse. Returns the last value. */
static double minimise(nst_evaluate_fn *f, struct probe *p, float *x, int pairs,
                       enum nst_step_status *end)
{
    struct nst_backend *be = on(2);
    struct nst_buffer *at = nst_backend_wrap(be, x);
    struct nst_lbfgs *l;
    struct nst_err err;
    struct nst_step step;
    double value, before = INFINITY;
    float *g = test_malloc(N * sizeof *g);
    struct probe aside = {.budget = 1 << 30, .poison = p->poison};
    struct nst_measures m;

    assert_int_equal(nst_lbfgs_new(&l, N, pairs, unit, be, &err), NST_OK);
    do {
        step = nst_lbfgs_step(l, f, p, at);
        f(&aside, at, NULL, &value, nst_backend_wrap(be, g), &m);
        assert_true(isfinite(value));
        assert_true(value <= before);
        assert_true(step.accepted < step.evaluations);
        before = value;
    } while (step.status == NST_STEP_TAKEN);
    *end = step.status;
    nst_lbfgs_free(l);
    be->ops->close(be);
    test_free(g);
    return value;
}

static double bowl_minimum(void)
{
    double sum = 0;

    for (int i = 0; i < N; i++) {
        double c = 1 + i * 37 % N, m = centre(i), x = m < 0 ? 0 : m > 1 ? 1 : m;

        sum += c * (x - m) * (x - m);
    }
    return sum;
}

static void finds_the_minimum_in_the_box(void **state)
{
    struct probe p = {.budget = 500};
    enum nst_step_status end;
    float x[N];

    (void)state;
    for (int i = 0; i < N; i++)
        x[i] = 0.5f;
    assert_true(minimise(bowl, &p, x, 20, &end) < bowl_minimum() * (1 + 1e-5));
    assert_int_equal(end, NST_STEP_CONVERGED);
    assert_true(p.lowest >= 0 && p.highest <= 1);
    assert_true(p.evaluations < 200);
}

static void follows_a_curved_valley(void **state)
{
    struct probe p = {.budget = 400};
    enum nst_step_status end;
    float x[N];

    (void)state;
    for (int i = 0; i < N; i++)
        x[i] = i % 2 ? 0.9f : 0.1f;
    assert_true(minimise(valley, &p, x, 10, &end) < 1e-4);
}

static void never_takes_what_is_not_finite(void **state)
{
    struct probe p = {.budget = 500, .poison = true};
    enum nst_step_status end;
    float x[N];

    (void)state;
    for (int i = 0; i < N; i++)
        x[i] = i ? 1.0f : 0.59f;
    minimise(bowl, &p, x, 20, &end);
    assert_true(x[0] < 0.6f);
}

static void a_start_outside_is_brought_into_the_box(void **state)
{
    struct probe p = {.budget = 500};
    enum nst_step_status end;
    float x[N];

    (void)state;
    for (int i = 0; i < N; i++)
        x[i] = i % 2 ? 7.0f : -3.0f;
    assert_true(minimise(bowl, &p, x, 20, &end) < bowl_minimum() * (1 + 1e-5));
    assert_true(p.lowest >= 0 && p.highest <= 1);
}

static void a_refused_evaluation_keeps_the_best_point(void **state)
{
    float x[N];
    enum nst_step_status end;

    (void)state;
    for (int budget = 1; budget < 20; budget++) {
        struct probe p = {.budget = budget};

        for (int i = 0; i < N; i++)
            x[i] = i % 2 ? 0.9f : 0.1f;
        minimise(valley, &p, x, 5, &end);
        assert_int_equal(end, NST_STEP_STOPPED);
        assert_int_equal(p.evaluations, budget);
    }
}

static void threads_do_not_change_a_bit(void **state)
{
    static float x[3][N];

    (void)state;
    for (int count = 1; count <= 3; count++) {
        struct nst_backend *be = on(count);
        struct probe p = {.budget = 60};
        struct nst_lbfgs *l;
        struct nst_err err;
        float *v = x[count - 1];

        for (int i = 0; i < N; i++)
            v[i] = i % 2 ? 0.9f : 0.1f;
        assert_int_equal(nst_lbfgs_new(&l, N, 7, unit, be, &err), NST_OK);
        while (nst_lbfgs_step(l, valley, &p, nst_backend_wrap(be, v)).status ==
               NST_STEP_TAKEN)
            ;
        nst_lbfgs_free(l);
        be->ops->close(be);
        assert_memory_equal(x[0], v, sizeof x[0]);
    }
}

static void nothing_to_minimise_is_refused(void **state)
{
    struct nst_backend *one = on(1);
    struct nst_lbfgs *l;
    struct nst_err err;

    (void)state;
    assert_int_equal(nst_lbfgs_new(&l, 0, 5, unit, one, &err), NST_ERR_ARG);
    assert_null(l);
    assert_int_equal(nst_lbfgs_new(&l, (size_t)1 << 61, 5, unit, one, &err),
                     NST_ERR_MEM);
    assert_null(l);
    one->ops->close(one);
}

/* A quadratic in one variable, for which the steps of torch.optim.LBFGS are computed by
 * hand: first -g min(1, 1/|g|_1), then the exact secant step. */
static bool parabola(void *ctx, const struct nst_buffer *at, const struct nst_buffer *d,
                     double *f, struct nst_buffer *gradient, struct nst_measures *m)
{
    struct probe *p = ctx;
    const float *x = nst_const_floats(at);
    float *g = nst_floats(gradient);

    if (p->evaluations >= p->budget)
        return false;
    p->evaluations++;
    *f = 8 * (x[0] - 0.25) * (x[0] - 0.25);
    g[0] = 16 * (x[0] - 0.25f);
    p->lowest = x[0];
    *m = measured(g, nst_const_floats(d), 1);
    return true;
}

static void pytorch_takes_its_first_step_and_clamps(void **state)
{
    struct nst_backend *one = on(1);
    struct torch_lbfgs *t;
    struct nst_err err;
    float x = 0.75f;

    (void)state;
    for (int budget = 1; budget <= 3; budget++) {
        struct probe p = {.budget = budget};

        x = 0.75f;
        assert_int_equal(torch_lbfgs_new(&t, 1, one, &err), NST_OK);
        assert_false(torch_lbfgs_step(t, parabola, &p, nst_backend_wrap(one, &x)));
        torch_lbfgs_free(t);
        /* g = 8: the step is 8 * 1/8 = 1, to -0.25, clamped to 0, where g = -4;
         * s = -1 and y = -12, so H = 1/12 and the next point is 1/3. */
        if (budget == 1)
            assert_true(x == 0 && p.lowest == 0.75f);
        if (budget == 2)
            assert_true(p.lowest == 0 && fabsf(x - 1.0f / 3) < 1e-6f);
        if (budget == 3)
            assert_true(fabsf(p.lowest - 1.0f / 3) < 1e-6f);
    }
    one->ops->close(one);
}

/* With the evaluations of 5 calls of PyTorch's optimiser, ours ends at least as low. */
static void ends_below_pytorch(void **state)
{
    nst_evaluate_fn *const functions[] = {bowl, valley};

    (void)state;
    for (int k = 0; k < 2; k++) {
        struct nst_backend *be = on(2);
        struct probe theirs = {.budget = 100}, ours = theirs, aside = {.budget = 1};
        struct torch_lbfgs *t;
        struct nst_err err;
        struct nst_measures m;
        enum nst_step_status end;
        float x[N], y[N], g[N];
        double value;

        for (int i = 0; i < N; i++)
            x[i] = y[i] = i % 2 ? 0.9f : 0.1f;
        assert_int_equal(torch_lbfgs_new(&t, N, be, &err), NST_OK);
        while (torch_lbfgs_step(t, functions[k], &theirs, nst_backend_wrap(be, x)))
            ;
        torch_lbfgs_free(t);
        for (int i = 0; i < N; i++)
            x[i] = x[i] < 0 ? 0 : x[i] > 1 ? 1 : x[i];
        functions[k](&aside, nst_backend_wrap(be, x), NULL, &value,
                     nst_backend_wrap(be, g), &m);
        assert_true(minimise(functions[k], &ours, y, 100, &end) <= value);
        be->ops->close(be);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SAYS("L-BFGS finds the minimum in the box", finds_the_minimum_in_the_box),
        SAYS("L-BFGS follows a curved valley", follows_a_curved_valley),
        SAYS("a point whose value is not finite is never taken",
             never_takes_what_is_not_finite),
        SAYS("a start outside the box is brought into it",
             a_start_outside_is_brought_into_the_box),
        SAYS("a refused evaluation keeps the best point",
             a_refused_evaluation_keeps_the_best_point),
        SAYS("the number of threads does not change a bit",
             threads_do_not_change_a_bit),
        SAYS("no variables, or more than memory holds, are refused",
             nothing_to_minimise_is_refused),
        SAYS("the copy of PyTorch's optimiser steps and clamps as PyTorch's does",
             pytorch_takes_its_first_step_and_clamps),
        SAYS("L-BFGS ends at least as low as PyTorch's", ends_below_pytorch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
