/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "optim/adam.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

/* As the paper proposes. */
#define BETA1 0.9
#define BETA2 0.999
#define EPSILON 1e-8f
/* Of the average: it looks back some 20 steps. */
#define DECAY 0.95

struct nst_adam {
    struct nst_vectors v;
    double rate;
    float lower, upper;
    int64_t steps;
    float *g, *first, *second, *sum; /* first and second moment; of iterates */
};

enum nst_status nst_adam_new(struct nst_adam **out, size_t n, double rate, float lower,
                             float upper, struct nst_threads *threads,
                             struct nst_err *err)
{
    struct nst_adam *a = nst_xcalloc(1, sizeof *a);
    float **vector[] = {&a->g, &a->first, &a->second, &a->sum};
    enum nst_status st = nst_vectors_init(&a->v, n, threads, err);

    *out = NULL;
    a->rate = rate;
    a->lower = lower;
    a->upper = upper;
    for (size_t i = 0; i < sizeof vector / sizeof *vector && st == NST_OK; i++)
        st = nst_floats_new(vector[i], n, 1, 1, err);
    if (st != NST_OK) {
        nst_adam_free(a);
        return st;
    }
    for (size_t i = 0; i < n; i++)
        a->first[i] = a->second[i] = a->sum[i] = 0;
    *out = a;
    return NST_OK;
}

size_t nst_adam_bytes(size_t n)
{
    return 4 * n * sizeof(float);
}

void nst_adam_free(struct nst_adam *a)
{
    if (!a)
        return;
    free(a->g);
    free(a->first);
    free(a->second);
    free(a->sum);
    free(a);
}

struct pass {
    const struct nst_adam *a;
    float *x, rate, second_scale;
};

static void move_part(const struct nst_vector_kernels *k, const void *ctx, size_t first,
                      size_t n, double *none)
{
    const struct pass *p = ctx;
    const struct nst_adam *a = p->a;
    const float *g = a->g + first;
    float *m = a->first + first, *v = a->second + first, *sum = a->sum + first;
    float *x = p->x + first;

    (void)k;
    (void)none;
    for (size_t i = 0; i < n; i++) {
        float to;

        m[i] = (float)BETA1 * m[i] + (float)(1 - BETA1) * g[i];
        v[i] = (float)BETA2 * v[i] + (float)(1 - BETA2) * g[i] * g[i];
        to = x[i] - p->rate * m[i] / (sqrtf(v[i]) * p->second_scale + EPSILON);
        to = to > a->lower ? to : a->lower;
        x[i] = to < a->upper ? to : a->upper;
        sum[i] = (float)DECAY * sum[i] + (float)(1 - DECAY) * x[i];
    }
}

struct nst_step nst_adam_step(struct nst_adam *a, nst_function *f, void *ctx, float *x)
{
    struct nst_step step = {NST_STEP_TAKEN, 1, 0};
    struct pass p = {.a = a, .x = x};
    double value;

    if (!f(ctx, x, &value, a->g))
        return (struct nst_step){NST_STEP_REFUSED, 0, -1};
    if (!isfinite(value) || !isfinite(nst_vector_max_abs(&a->v, a->g))) {
        step.end = NST_STEP_CONVERGED;
        return step;
    }
    a->steps++;
    p.rate = (float)(a->rate / (1 - pow(BETA1, (double)a->steps)));
    p.second_scale = (float)(1 / sqrt(1 - pow(BETA2, (double)a->steps)));
    nst_vector_pass(&a->v, move_part, &p);
    return step;
}

void nst_adam_average(const struct nst_adam *a, float *x)
{
    float scale = (float)(1 / (1 - pow(DECAY, (double)a->steps)));

    for (size_t i = 0; a->steps && i < a->v.n; i++)
        x[i] = fminf(fmaxf(a->sum[i] * scale, a->lower), a->upper);
}

bool nst_adam_state(struct nst_adam *a, nst_state_visit *visit, void *ctx)
{
    return visit(ctx, "steps", NST_I64, &a->steps, 1) &&
           visit(ctx, "first moment", NST_F32, a->first, a->v.n) &&
           visit(ctx, "second moment", NST_F32, a->second, a->v.n) &&
           visit(ctx, "sum", NST_F32, a->sum, a->v.n);
}
