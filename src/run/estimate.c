/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/estimate.h"

#include <stdlib.h>

#include "backend/backend.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "model/vgg.h"
#include "optim/vector.h"
#include "run/pyramid.h"
#include "style/objective.h"

/* Time one evaluation of a picture of side x side. */
static enum nst_status time_evaluation(struct nst_vgg *v, const struct nst_params *p,
                                       int side, double *seconds, struct nst_err *err)
{
    struct nst_plan untiled = {.tile = 0};
    struct nst_objective_config config = nst_plan_objective_config(&untiled, p);
    size_t n = 3 * nst_area(side, side);
    struct nst_vector_space vectors = {nst_vgg_backend(v), n};
    struct nst_objective *o = NULL;
    struct nst_image image;
    struct nst_losses losses;
    double begin = 0, end = 0;
    const struct nst_buffer *device_x = NULL;
    struct nst_buffer *grad = NULL;
    float *x = NULL;
    enum nst_status st = nst_floats_new(&x, n, 1, 1, err);

    if (st == NST_OK)
        st = nst_vector_new(&vectors, &grad, err);
    for (size_t i = 0; st == NST_OK && i < n; i++)
        x[i] = (float)(i * 2654435761u >> 8 & 255) / 255;
    if (st == NST_OK)
        st = nst_backend_to_device(vectors.be, x, n, &device_x, err);
    image = (struct nst_image){x, side, side};
    if (st == NST_OK)
        st = nst_objective_new(
            &o, v, &config, image,
            &(struct nst_style){&(struct nst_style_image){image, .weight = 1}, 1}, err);
    for (int i = 0; st == NST_OK && i < 3; i++) {
        begin = nst_clock_seconds();
        nst_objective_evaluate(o, device_x, &losses, grad);
        end = nst_clock_seconds();
    }
    if (st == NST_OK)
        *seconds = end - begin;
    nst_objective_free(o);
    nst_backend_release(vectors.be, device_x);
    nst_vector_free(&vectors, grad);
    free(x);
    return st;
}

/* Seconds of an evaluation of the picture of plan by v: one of a small picture is
 * timed. */
static enum nst_status estimate_evaluation(const struct nst_plan *plan,
                                           struct nst_vgg *v,
                                           const struct nst_params *p, double *seconds,
                                           struct nst_err *err)
{
    double area = (double)plan->height * plan->width, one = 0;
    int longest = nst_longest(plan->height, plan->width);
    int side = longest > 256 ? 256 : longest < 64 ? 64 : longest;
    enum nst_status st = time_evaluation(v, p, side, &one, err);

    while (st == NST_ERR_MEM && side > 64) { /* little free GPU memory */
        side = side < 128 ? 64 : side / 2;
        st = time_evaluation(v, p, side, &one, err);
    }
    /* Ten curvature pairs add about 5 % to an evaluation. */
    *seconds = one * area / ((double)side * side) *
               (plan->relative_cost + 0.005 * plan->curvature_pairs);
    return st;
}

enum nst_status nst_estimate_make(struct nst_estimate *out, const struct nst_plan *plan,
                                  struct nst_session *s, const struct nst_params *p,
                                  struct nst_err *err)
{
    struct nst_level level[NST_LIST_MAX];
    int longest = nst_longest(plan->height, plan->width);
    enum nst_status st = NST_OK;

    *out = (struct nst_estimate){
        .height = plan->height,
        .width = plan->width,
        .scales = nst_pyramid_levels(p, plan->height, plan->width, level),
        .tile = plan->tile,
        .tile_rows = plan->tile_rows,
        .tile_columns = plan->tile_columns,
        .recompute_content = plan->recompute_content,
        .curvature_pairs = plan->curvature_pairs,
        .memory = plan->memory,
        .limit = plan->limit,
        .device_memory = plan->device_memory,
        .device_limit = plan->device_limit};
    for (int i = 0; i < out->scales && st == NST_OK; i++) {
        const struct nst_network *n = nst_session_network_for(s, level[i].longest);
        struct nst_plan small = *plan;
        double ratio = (double)level[i].longest / longest, seconds = 0;
        int64_t evaluations = level[i].iterations;

        /* A line search rarely needs more than one evaluation; the start adds one. */
        if (p->optimiser == NST_OPTIMISER_LBFGS)
            evaluations += 1 + evaluations / 20;
        if (p->max_evaluations && p->max_evaluations < evaluations)
            evaluations = p->max_evaluations;
        small.height = (int)(plan->height * ratio + 0.5);
        small.width = (int)(plan->width * ratio + 0.5);
        st = estimate_evaluation(&small, n->vgg, p, &seconds, err);
        out->evaluations += evaluations;
        out->seconds += seconds * (double)evaluations;
        out->longest[i] = level[i].longest;
        out->network[i] = n->name;
        out->iterations[i] = level[i].iterations;
    }
    return st;
}
