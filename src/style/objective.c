/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/objective_internal.h"

/* Select the tile in the regions' masks. */
static void set_tile_masks(const struct nst_objective *o, const struct nst_tile *tile)
{
    for (int r = 0; r < o->regions; r++)
        if (o->region[r].guidance)
            nst_guidance_set_tile(o->region[r].guidance, tile);
}

void nst_objective_accumulate(struct nst_objective *o, const struct nst_buffer *rgb)
{
    for (int r = 0; r < o->regions; r++)
        for (int i = 0; i < o->style_count; i++)
            nst_statistics_reset(&o->region[r].layer[i].statistics);
    for (int k = 0; k < nst_tiled_pass_count(&o->pass); k++) {
        nst_tiled_pass_forward(&o->pass, rgb, k);
        set_tile_masks(o, &o->pass.tile);
        for (int r = 0; r < o->regions; r++)
            for (int i = 0; i < o->style_count; i++)
                nst_statistics_accumulate(&o->region[r].layer[i].statistics,
                                          o->pass.acts, o->pass.tile.inner,
                                          o->region[r].guidance);
    }
}

void nst_objective_compute_targets(struct nst_objective *o, int k)
{
    nst_tiled_pass_forward(&o->pass, o->content_rgb, k);
    for (int i = 0; i < o->content_count; i++)
        nst_content_target_set(tile_targets(o, k)->tensor[i], &o->content[i],
                               o->pass.acts);
}

/* Context of the backward pass of a tile. */
struct backward {
    const struct nst_objective *o;
    const struct content_targets *targets;
};

/* nst_loss_grad_fn. A layer has at most one content loss and one style layer. */
static struct nst_loss_grad loss_grad_at(void *ctx, int conv, bool after_relu)
{
    const struct backward *b = ctx;
    const struct nst_objective *o = b->o;
    struct nst_loss_grad t = {NULL};

    for (int i = 0; i < o->content_count; i++) {
        const struct nst_content_loss *l = &o->content[i];

        if (l->layer.conv == conv && l->layer.after_relu == after_relu) {
            t.target = b->targets->tensor[i];
            t.scale =
                nst_content_loss_grad_scale(l, o->content_weight * l->layer.weight);
        }
    }
    for (int i = 0; i < o->style_count; i++)
        if (o->style[i].conv == conv && o->style[i].after_relu == after_relu) {
            t.region = o->region_grads + i * o->regions;
            t.regions = o->regions;
        }
    return t;
}

/* w_l v_rl a_rl in objective.h. */
static double effective_weight(const struct nst_objective *o, int i, int r)
{
    const struct style_layer *l = &o->region[r].layer[i];

    return o->style[i].weight * l->weight * (l->statistics.pixels / l->statistics.area);
}

static struct nst_scalar sum_at(const struct nst_objective *o, int index)
{
    return (struct nst_scalar){o->sums, (size_t)index};
}

/* Evaluate the style losses of a layer in a region from its statistics. */
static void evaluate_layer(struct nst_objective *o, int i, int r)
{
    struct nst_backend *be = nst_vgg_backend(o->v);
    struct style_layer *l = &o->region[r].layer[i];
    double w = effective_weight(o, i, r);

    nst_gram_loss_evaluate(&l->gram, &l->statistics, o->style_weight * w,
                           sum_at(o, style_sum_index(o, i, r)));
    if (o->moment_weight > 0)
        nst_moment_loss_evaluate(&l->moments, &l->statistics, o->moment_weight * w,
                                 l->gram.derivative,
                                 sum_at(o, moment_sum_index(o, i, r)));
    be->ops->matrix_pack(be, l->gram.channels, l->gram.derivative);
}

/* The next evaluation differs from the captured one. */
static void free_graph(struct nst_objective *o)
{
    struct nst_backend *be = nst_vgg_backend(o->v);

    be->ops->graph_free(be, o->graph);
    o->graph = NULL;
}

void nst_objective_set_weights(struct nst_objective *o, double content_weight,
                               double style_weight)
{
    free_graph(o);
    o->content_weight = content_weight;
    o->style_weight = style_weight;
}

enum nst_status nst_objective_set_temporal_target(struct nst_objective *o,
                                                  struct nst_temporal_target target,
                                                  double weight, struct nst_err *err)
{
    free_graph(o);
    return nst_pixel_losses_set_temporal_target(&o->pixels, target, weight, err);
}

/* Compute all sums of rgb and, unless grad is NULL, the gradient. */
static void evaluate(struct nst_objective *o, const struct nst_buffer *rgb,
                     struct nst_buffer *grad)
{
    int tiles = nst_tiled_pass_count(&o->pass);

    nst_objective_accumulate(o, rgb);
    for (int i = 0; i < o->style_count; i++)
        for (int r = 0; r < o->regions; r++)
            evaluate_layer(o, i, r);
    for (int k = 0; k < tiles; k++) {
        struct backward b = {o, tile_targets(o, k)};

        if (o->recompute)
            nst_objective_compute_targets(o, k);
        if (tiles > 1) {
            nst_tiled_pass_forward(&o->pass, rgb, k);
            set_tile_masks(o, &o->pass.tile);
        }
        for (int i = 0; i < o->content_count; i++)
            nst_content_loss_accumulate(&o->content[i], o->pass.acts,
                                        o->pass.tile.inner,
                                        tile_targets(o, k)->tensor[i], k > 0,
                                        sum_at(o, content_sum_index(o, i)));
        if (grad)
            nst_tiled_pass_backward(&o->pass, loss_grad_at, &b, grad);
    }
    nst_pixel_losses_evaluate(&o->pixels, rgb, grad, sum_at(o, pixel_sum_index(o)),
                              sum_at(o, pixel_sum_index(o) + 1));
}

static void evaluate_captured(void *ctx)
{
    struct nst_objective *o = ctx;

    evaluate(o, o->rgb, o->grad);
}

static struct nst_losses losses_from_sums(const struct nst_objective *o)
{
    const double *sums = o->host_sums;
    const struct nst_pixel_losses *p = &o->pixels;
    struct nst_losses l = {0};

    for (int i = 0; i < o->style_count; i++)
        for (int r = 0; r < o->regions; r++) {
            const struct nst_statistics *s = &o->region[r].layer[i].statistics;
            double w = effective_weight(o, i, r), c = s->channels;

            l.style += w * (sums[style_sum_index(o, i, r)] / (c * c));
            if (o->moment_weight > 0 && s->pixels > 0)
                l.moments += w * (sums[moment_sum_index(o, i, r)] / c);
        }
    for (int i = 0; i < o->content_count; i++)
        l.content += o->content[i].layer.weight *
                     (sums[content_sum_index(o, i)] / o->content[i].count);
    if (p->tv_weight > 0)
        l.tv = sums[pixel_sum_index(o)] / nst_pixel_losses_count(p);
    if (p->previous)
        l.temporal = sums[pixel_sum_index(o) + 1] / nst_pixel_losses_count(p);
    l.total = o->content_weight * l.content + o->style_weight * l.style +
              o->moment_weight * l.moments + p->tv_weight * l.tv +
              p->temporal_weight * l.temporal;
    return l;
}

void nst_objective_evaluate(struct nst_objective *o, const struct nst_buffer *rgb,
                            struct nst_losses *losses, struct nst_buffer *grad)
{
    struct nst_backend *be = nst_vgg_backend(o->v);
    size_t bytes = nst_objective_picture_bytes(o);

    do { /* repeat with another loss scale if the gradient left its range */
        if (o->grad && grad) { /* graph replay needs the same buffers each time */
            be->ops->buffer_copy(be, o->rgb, rgb, bytes);
            be->ops->graph_replay(be, &o->graph, evaluate_captured, o);
            be->ops->buffer_copy(be, grad, o->grad, bytes);
        } else
            evaluate(o, rgb, grad);
        be->ops->buffer_download(be, o->host_sums, o->sums,
                                 (size_t)sum_count(o) * sizeof *o->host_sums);
    } while (grad && be->grad_overflow);
    *losses = losses_from_sums(o);
}
