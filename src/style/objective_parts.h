/* SPDX-License-Identifier: MIT */
/*
 * objective_parts.h - what an objective is made of, for those who make it
 * (objective_new.c) and those who evaluate it (objective.c).
 */
#ifndef NST_STYLE_OBJECTIVE_PARTS_H
#define NST_STYLE_OBJECTIVE_PARTS_H

#include "style/content_loss.h"
#include "style/gram_loss.h"
#include "style/guide.h"
#include "style/moment_loss.h"
#include "style/objective.h"
#include "style/walk.h"

#define MOST_LAYERS (2 * NST_VGG_CONVS)

/* The features of the content picture in one tile, for each content loss. */
struct targets {
    struct nst_tensor *of[MOST_LAYERS];
};

/* A style layer in one region. */
struct style_layer {
    double weight; /* as a part of the layer's own */
    struct nst_statistics statistics;
    struct nst_gram_loss gram;
    struct nst_moment_loss moments; /* unless their weight is 0 */
};

struct region {
    struct nst_guide *guide; /* NULL: everywhere */
    struct style_layer layer[MOST_LAYERS];
};

struct nst_objective {
    struct nst_vgg *v;
    double content_weight, style_weight, moment_weight;
    struct nst_pixel_losses pixels;
    int contents, styles, regions;
    struct nst_content_loss content[MOST_LAYERS];
    struct nst_tap style[MOST_LAYERS];
    struct region *region;
    struct nst_region_terms *terms; /* of each style layer, those of the regions */

    double *sums; /* what is left of an evaluation, of the backend's numbers: below */
    /* On a device, where evaluations of a picture in one piece are always of the same
     * numbers, so that they can be repeated; else NULL. */
    float *rgb, *grad;
    struct nst_program *program;
    struct nst_walk walk;
    const float *content_rgb; /* on the host, and */
    const float *picture;     /* among the backend's numbers */
    bool recompute;           /* the content's features, at each evaluation */
    struct targets *target;   /* of each tile, or of the one at hand */
};

/* Of sums: those of the regions' style layers, of their moments, of the contents, and
 * of the pixels. */
static inline int style_sum(const struct nst_objective *o, int layer, int region)
{
    return layer * o->regions + region;
}

static inline int moment_sum(const struct nst_objective *o, int layer, int region)
{
    return (o->styles + layer) * o->regions + region;
}

static inline int content_sum(const struct nst_objective *o, int layer)
{
    return 2 * o->styles * o->regions + layer;
}

static inline int pixel_sums(const struct nst_objective *o)
{
    return content_sum(o, o->contents);
}

static inline int all_sums(const struct nst_objective *o)
{
    return pixel_sums(o) + 2;
}

static inline size_t nst_objective_picture_bytes(const struct nst_objective *o)
{
    return 3 * (size_t)o->pixels.of.height * (size_t)o->pixels.of.width * sizeof(float);
}

/* Gather the statistics of all regions of a picture of numbers from its tiles. */
void nst_objective_gather(struct nst_objective *o, const float *rgb);
/* Work out the content's features in tile k. */
void nst_objective_take_targets(struct nst_objective *o, int k);
/* Where they are. */
static inline struct targets *targets(const struct nst_objective *o, int k)
{
    return &o->target[!o->recompute ? k : 0];
}

#endif
