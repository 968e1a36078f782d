/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "optim/adam.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "optim/vector.h"

/* The defaults of the paper. */
#define BETA1 0.9
#define BETA2 0.999
#define EPSILON 1e-8f
/* Decay of the average, over about 20 steps. */
#define DECAY 0.95

struct nst_adam {
    struct nst_vector_space v;
    const struct nst_vector_ops *ops;
    double rate;
    struct nst_box box;
    int64_t steps;
    /* gradient, moments, decayed sum of iterates */
    struct nst_buffer *g, *first, *second, *sum;
};

enum nst_status nst_adam_new(struct nst_adam **out, size_t n, double rate,
                             struct nst_box box, struct nst_backend *be,
                             struct nst_err *err)
{
    struct nst_adam *a = nst_xcalloc(1, sizeof *a);
    struct nst_buffer **vector[] = {&a->g, &a->first, &a->second, &a->sum};
    enum nst_status st = NST_OK;

    *out = NULL;
    a->v = (struct nst_vector_space){be, n};
    a->ops = be->ops->vectors;
    a->rate = rate;
    a->box = box;
    for (size_t i = 0; i < sizeof vector / sizeof *vector && st == NST_OK; i++)
        st = nst_vector_new(&a->v, vector[i], err);
    if (st != NST_OK) {
        nst_adam_free(a);
        return st;
    }
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
    nst_vector_free(&a->v, a->g);
    nst_vector_free(&a->v, a->first);
    nst_vector_free(&a->v, a->second);
    nst_vector_free(&a->v, a->sum);
    free(a);
}

static struct nst_adam_args moments(const struct nst_adam *a)
{
    return (struct nst_adam_args){
        .first_moment = a->first,
        .second_moment = a->second,
        .average = a->sum,
        .first_ema = {(float)BETA1, (float)(1 - BETA1)},
        .second_ema = {(float)BETA2, (float)(1 - BETA2)},
        .average_ema = {(float)DECAY, (float)(1 - DECAY)},
        .learning_rate = (float)(a->rate / (1 - pow(BETA1, (double)a->steps))),
        .scale = (float)(1 / sqrt(1 - pow(BETA2, (double)a->steps))),
        .epsilon = EPSILON};
}

struct nst_step nst_adam_step(struct nst_adam *a, nst_evaluate_fn *f, void *ctx,
                              struct nst_buffer *x)
{
    struct nst_step step = {NST_STEP_TAKEN, 1, 0};
    struct nst_measures measured;
    struct nst_adam_args m;
    double value;

    if (!f(ctx, x, NULL, &value, a->g, &measured))
        return (struct nst_step){NST_STEP_STOPPED, 0, -1};
    if (!isfinite(value) || !isfinite(measured.max_abs)) {
        step.status = NST_STEP_CONVERGED;
        return step;
    }
    a->steps++;
    m = moments(a);
    a->ops->adam(a->v.be, a->v.n, &m, a->g, a->box, x);
    return step;
}

const struct nst_buffer *nst_adam_average(struct nst_adam *a)
{
    a->ops->copy(a->v.be, a->v.n, a->g, a->sum);
    a->ops->scale(a->v.be, a->v.n, a->g, 1 / (1 - pow(DECAY, (double)a->steps)));
    a->ops->clamp(a->v.be, a->v.n, a->g, a->box);
    return a->g;
}

bool nst_adam_serialise(struct nst_adam *a, nst_serialise_fn *visit, void *ctx)
{
    return visit(ctx, "steps", NST_I64, &a->steps, 1) &&
           nst_vector_serialise(&a->v, "first moment", a->first, visit, ctx) &&
           nst_vector_serialise(&a->v, "second moment", a->second, visit, ctx) &&
           nst_vector_serialise(&a->v, "sum", a->sum, visit, ctx);
}
