/* SPDX-License-Identifier: MIT */
/*
 * objective_internal.h - what an objective is made of, for those who make it
 * (objective_new.c) and those who evaluate it (objective.c).
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

/* The features of the content picture in one tile, for each content loss. */
struct content_targets {
    struct nst_tensor *tensor[MAX_LAYERS];
};

/* A style layer in one region. */
struct style_layer {
    double weight; /* as a part of the layer's own */
    struct nst_statistics statistics;
    struct nst_gram_loss gram;
    struct nst_moment_loss moments; /* unless their weight is 0 */
};

struct region {
    struct nst_guidance *guidance; /* NULL: everywhere */
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

    double *sums; /* what is left of an evaluation, of the backend's numbers: below */
    /* On a device, where evaluations of a picture in one piece are always of the same
     * numbers, so that they can be repeated; else NULL. */
    float *rgb, *grad;
    struct nst_graph *graph;
    struct nst_tiled_pass pass;
    const float *content_rgb;       /* on the host, and */
    const float *content_device;    /* among the backend's numbers */
    bool recompute;                 /* the content's features, at each evaluation */
    struct content_targets *target; /* of each tile, or of the one at hand */
};

/* Of sums: those of the regions' style layers, of their moments, of the contents, and
 * of the pixels. */
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

/* Gather the statistics of all regions of a picture of numbers from its tiles. */
void nst_objective_accumulate(struct nst_objective *o, const float *rgb);
/* Work out the content's features in tile k. */
void nst_objective_compute_targets(struct nst_objective *o, int k);
/* Where they are. */
static inline struct content_targets *tile_targets(const struct nst_objective *o, int k)
{
    return &o->target[!o->recompute ? k : 0];
}

#endif
