/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/plan.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/memory.h"
#include "optim/adam.h"
#include "optim/lbfgs.h"
#include "optim/vector.h"
#include "run/regions.h"
#include "style/objective.h"
#include "style/tiled_pass.h"

/* Candidate sides of a tile without halo, and the highest relative cost that is
 * accepted as long as fewer curvature pairs would avoid it. */
static const int tile_sides[] = {4096, 3072, 2048, 1536, 1024, 768, 512, 384,
                                 256,  192,  128,  96,   64,   48,  32};
#define MAX_COST 2.5
/* Small allocations, and freed memory that the C library keeps. */
#define HEADROOM_BYTES ((size_t)8 << 20)

/* Inputs of the search. */
struct plan_search {
    const struct nst_params *p;
    struct nst_vgg *v;
    struct nst_size content, style;
    size_t baseline_bytes; /* bytes already in use */
    bool is_video;
};

struct nst_objective_config nst_plan_objective_config(const struct nst_plan *plan,
                                                      const struct nst_params *p)
{
    return (struct nst_objective_config){
        .content_layers = &p->content_layers,
        .style_layers = &p->style_layers,
        .content_weight = p->content_weight,
        .style_weight = p->style_weight,
        .moment_weight = p->moment_weight * p->style_weight / NST_STYLE_WEIGHT,
        .tv_weight = p->tv_weight,
        .strength = p->strength,
        .tile = plan->tile,
        .recompute_content = plan->recompute_content};
}

/* Host memory in bytes; GPU memory is added to *device. */
static size_t optimiser_bytes(const struct plan_search *s, int pairs, size_t *device)
{
    size_t n = 3 * nst_area(s->content.height, s->content.width),
           picture = n * sizeof(float);
    size_t host = picture,
           vectors = s->p->optimiser == NST_OPTIMISER_ADAM
                         ? nst_adam_bytes(n)
                         : nst_lbfgs_bytes(nst_vgg_backend(s->v), n, pairs);

    if (s->p->keep_mask) { /* the masked image, and the mask */
        vectors += picture;
        host += picture / 3;
    }
    if (!nst_vgg_backend(s->v)->device_memory)
        return host + vectors;
    *device += vectors + picture;
    if (s->is_video && s->p->temporal > 0) /* previous frame and its mask */
        *device += picture + picture / 3;
    if (s->p->keep_mask) /* content and mask on the GPU */
        *device += picture + picture / 3;
    return host;
}

/* Compute the fields that follow from tile, recompute_content and curvature_pairs. */
static void complete_plan(const struct plan_search *s, struct nst_plan *plan)
{
    struct nst_objective_config config = nst_plan_objective_config(plan, s->p);
    struct nst_tiling t =
        nst_tiled_pass_tiling(s->v, s->content.height, s->content.width, plan->tile);
    double area = (double)t.tile_height * t.tile_width * nst_tiling_count(&t);
    size_t style = 3 * nst_area(s->style.height, s->style.width) * sizeof(float);
    int region[NST_STYLES_MAX], regions = nst_regions_assign(s->p, region);
    size_t pixels = nst_area(s->content.height, s->content.width);
    size_t objective, optimiser;

    plan->device_memory = 0;
    plan->height = s->content.height;
    plan->width = s->content.width;
    plan->tile_rows = t.rows;
    plan->tile_columns = t.columns;
    objective = nst_objective_bytes(s->v, &config, regions, s->content, s->style);
    if (nst_vgg_backend(s->v)->device_memory) {
        plan->device_memory = objective;
        objective = 0;
    }
    /* the planes of the guidance masks */
    objective += (size_t)regions * pixels * sizeof(float);
    /* The style picture is freed before the optimiser is allocated, except in a film
     * that it gives its colours to. */
    optimiser = optimiser_bytes(s, plan->curvature_pairs, &plan->device_memory);
    if (!(s->is_video && s->p->colour == NST_COLOUR_MATCH))
        optimiser -= optimiser < style ? optimiser : style;
    plan->memory = s->baseline_bytes + HEADROOM_BYTES + objective + optimiser;
    plan->relative_cost = area / (double)pixels;
    /* The forward pass is half of an evaluation. Tiling repeats it for the Gram
     * matrices, and once more to recompute the content. */
    if (nst_tiling_count(&t) > 1)
        plan->relative_cost *= plan->recompute_content ? 2 : 1.5;
}

/* Try all tile sizes with this number of pairs. *best: the lowest cost among those that
 * fit; *smallest: the least memory. False if none fits. */
static bool find_tile(const struct plan_search *s, int pairs, struct nst_plan *best,
                      struct nst_plan *smallest)
{
    struct nst_plan plan = {.curvature_pairs = pairs,
                            .limit = smallest->limit,
                            .device_limit = smallest->device_limit};
    int longest = nst_longest(s->content.height, s->content.width);
    bool found = false;

    for (size_t i = 0; i <= sizeof tile_sides / sizeof *tile_sides; i++)
        for (int recompute = 0; recompute < 2; recompute++) {
            if (i > 0 && (s->p->tile || tile_sides[i - 1] >= longest))
                continue;
            plan.tile = i > 0 ? tile_sides[i - 1] : (int)s->p->tile;
            plan.recompute_content = recompute;
            complete_plan(s, &plan);
            if (smallest->memory == 0 || plan.memory + plan.device_memory <
                                             smallest->memory + smallest->device_memory)
                *smallest = plan;
            if (plan.memory <= plan.limit && plan.device_memory <= plan.device_limit &&
                (!found || plan.relative_cost < best->relative_cost)) {
                *best = plan;
                found = true;
            }
        }
    return found;
}

/* The error when nothing fits; names the memory that is too small. */
static enum nst_status too_large(const struct nst_plan *smallest, struct nst_size size,
                                 bool max_memory, struct nst_err *err)
{
    bool device = smallest->device_memory > smallest->device_limit;

    return nst_err_set(
        err, NST_ERR_MEM, "%dx%d pixels need at least %zu MiB%s, but %zu MiB are %s",
        size.width, size.height,
        ((device ? smallest->device_memory : smallest->memory) >> 20) + 1,
        device ? " of GPU memory" : "",
        (device ? smallest->device_limit : smallest->limit) >> 20,
        max_memory ? "allowed (--max-memory)" : "available");
}

enum nst_status nst_plan_make(struct nst_plan *plan, struct nst_session *session,
                              const struct nst_params *p, struct nst_baseline baseline,
                              struct nst_size content, struct nst_size style,
                              struct nst_err *err)
{
    int longest = nst_longest(content.height, content.width);
    struct plan_search s = {p,
                            nst_session_network_for(session, longest)->vgg,
                            content,
                            style,
                            nst_session_resident_memory(session) + baseline.image_bytes,
                            baseline.is_video};
    size_t own = nst_session_device_memory(session), max = (size_t)p->max_memory;
    struct nst_plan smallest = {.limit = nst_session_memory_limit(session),
                                .device_limit = max && max < own ? max : own};

    for (int allow_slow = 0; allow_slow < 2; allow_slow++)
        for (int pairs = (int)p->curvature_pairs; pairs >= 1; pairs--)
            if (find_tile(&s, pairs, plan, &smallest) &&
                (allow_slow || s.p->tile || plan->relative_cost <= MAX_COST))
                return NST_OK;
    return too_large(&smallest, content, p->max_memory, err);
}

void nst_plan_apply(const struct nst_plan *plan, struct nst_params *p)
{
    p->tile = plan->tile;
    p->curvature_pairs = plan->curvature_pairs;
}
