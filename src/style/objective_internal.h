/* SPDX-License-Identifier: MIT */
/*
 * objective_internal.h - the objective's structure, shared by its construction
 * (objective_new.c) and its evaluation (objective.c).
 */
#ifndef NST_STYLE_OBJECTIVE_INTERNAL_H
#define NST_STYLE_OBJECTIVE_INTERNAL_H

#include "style/content_loss.h"
#include "style/gram_loss.h"
#include "style/guidance.h"
#include "style/moment_loss.h"
#include "style/objective.h"
#include "style/tiled_pass.h"

#define MAX_LAYERS (2 * NST_VGG_CONVS)

/* The content image's features in one tile, for each content loss. */
struct content_targets {
    struct nst_tensor *tensor[MAX_LAYERS];
};

/* A style layer in one region. */
struct style_layer {
    double weight; /* v_rl in objective.h */
    struct nst_statistics statistics;
    struct nst_gram_loss gram;
    struct nst_moment_loss moments; /* unused if moment_weight is 0 */
};

struct region {
    struct nst_guidance *guidance; /* NULL: the whole picture */
    struct style_layer layer[MAX_LAYERS];
};

struct nst_objective {
    struct nst_vgg *v;
    double content_weight, style_weight, moment_weight;
    struct nst_pixel_losses pixels;
    int content_count, style_count, regions;
    struct nst_content_loss content[MAX_LAYERS];
    struct nst_layer style[MAX_LAYERS];
    struct region *region;
    struct nst_region_grad *region_grads; /* style layers x regions */

    struct nst_buffer *sums; /* doubles, results of an evaluation; indices below */
    double *host_sums;       /* their copy on the host */
    /* On a device without tiling: fixed buffers, so that the captured graph can be
     * replayed. Else NULL. */
    struct nst_buffer *rgb, *grad;
    struct nst_graph *graph;
    struct nst_tiled_pass pass;
    const struct nst_buffer *content_rgb; /* NULL after release */
    bool recompute;                 /* the content's features in each evaluation */
    struct content_targets *target; /* one per tile; with recompute, one */
};

/* Order of sums: Gram losses (layers x regions), moment losses (the same), content
 * losses, the two pixel losses. */
static inline int style_sum_index(const struct nst_objective *o, int layer, int region)
{
    return layer * o->regions + region;
}

static inline int moment_sum_index(const struct nst_objective *o, int layer, int region)
{
    return (o->style_count + layer) * o->regions + region;
}

static inline int content_sum_index(const struct nst_objective *o, int layer)
{
    return 2 * o->style_count * o->regions + layer;
}

static inline int pixel_sum_index(const struct nst_objective *o)
{
    return content_sum_index(o, o->content_count);
}

static inline int sum_count(const struct nst_objective *o)
{
    return pixel_sum_index(o) + 2;
}

static inline size_t nst_objective_picture_bytes(const struct nst_objective *o)
{
    return 3 * (size_t)o->pixels.size.height * (size_t)o->pixels.size.width *
           sizeof(float);
}

/* Accumulate the statistics of all regions of rgb over its tiles. */
void nst_objective_accumulate(struct nst_objective *o, const struct nst_buffer *rgb);
/* Compute the content's features in tile k. */
void nst_objective_compute_targets(struct nst_objective *o, int k);
/* The content targets of tile k. */
static inline struct content_targets *tile_targets(const struct nst_objective *o, int k)
{
    return &o->target[!o->recompute ? k : 0];
}

#endif
