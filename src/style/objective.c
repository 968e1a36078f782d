/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/objective_parts.h"

/* The parts of the regions that a tile shows. */
static void turn_guides(const struct nst_objective *o, const struct nst_tile *tile)
{
    for (int r = 0; r < o->regions; r++)
        if (o->region[r].guide)
            nst_guide_turn(o->region[r].guide, tile);
}

void nst_objective_gather(struct nst_objective *o, const float *rgb)
{
    for (int r = 0; r < o->regions; r++)
        for (int i = 0; i < o->styles; i++)
            nst_statistics_begin(&o->region[r].layer[i].statistics);
    for (int k = 0; k < nst_walk_count(&o->walk); k++) {
        nst_walk_forward(&o->walk, rgb, k);
        turn_guides(o, &o->walk.tile);
        for (int r = 0; r < o->regions; r++)
            for (int i = 0; i < o->styles; i++)
                nst_statistics_gather(&o->region[r].layer[i].statistics, o->walk.pass,
                                      o->walk.tile.inner, o->region[r].guide);
    }
}

void nst_objective_take_targets(struct nst_objective *o, int k)
{
    nst_walk_forward(&o->walk, o->picture, k);
    for (int i = 0; i < o->contents; i++)
        nst_content_target_take(targets(o, k)->of[i], &o->content[i], o->walk.pass);
}

/* The tile on the way back. */
struct backward {
    const struct nst_objective *o;
    const struct targets *targets;
};

/* nst_pass_terms: the losses that tap this place; the same layer is never tapped twice
 * by losses of one kind. */
static struct nst_terms terms(void *ctx, int conv, bool after_relu)
{
    const struct backward *b = ctx;
    const struct nst_objective *o = b->o;
    struct nst_terms t = {NULL};

    for (int i = 0; i < o->contents; i++) {
        const struct nst_content_loss *l = &o->content[i];

        if (l->tap.conv == conv && l->tap.after_relu == after_relu) {
            t.target = b->targets->of[i];
            t.scale = nst_content_loss_scale(l, o->content_weight * l->tap.weight);
        }
    }
    for (int i = 0; i < o->styles; i++)
        if (o->style[i].conv == conv && o->style[i].after_relu == after_relu) {
            t.region = o->terms + i * o->regions;
            t.regions = o->regions;
        }
    return t;
}

/* What a style layer's loss in a region counts. */
static double weight_of(const struct nst_objective *o, int i, int r)
{
    const struct style_layer *l = &o->region[r].layer[i];

    return o->style[i].weight * l->weight * (l->statistics.pixels / l->statistics.area);
}

/* The sums of what was gathered, and its derivative, for a style layer in a region. */
static void finish_layer(struct nst_objective *o, int i, int r)
{
    struct nst_backend *be = nst_vgg_backend(o->v);
    struct style_layer *l = &o->region[r].layer[i];
    double w = weight_of(o, i, r);

    nst_gram_loss_finish(&l->gram, &l->statistics, o->style_weight * w,
                         &o->sums[style_sum(o, i, r)]);
    if (o->moment_weight > 0)
        nst_moment_loss_finish(&l->moments, &l->statistics, o->moment_weight * w,
                               l->gram.derivative, &o->sums[moment_sum(o, i, r)]);
    be->ops->ready_matrix(be, l->gram.channels, l->gram.derivative);
}

/* The next evaluation is another one. */
static void forget(struct nst_objective *o)
{
    struct nst_backend *be = nst_vgg_backend(o->v);

    be->ops->forget(be, o->program);
    o->program = NULL;
}

void nst_objective_weigh(struct nst_objective *o, double content_weight,
                         double style_weight)
{
    forget(o);
    o->content_weight = content_weight;
    o->style_weight = style_weight;
}

enum nst_status nst_objective_hold(struct nst_objective *o, struct nst_before before,
                                   double weight, struct nst_err *err)
{
    forget(o);
    return nst_pixel_losses_hold(&o->pixels, before, weight, err);
}

/* All sums of rgb, and the gradient by it. */
static void work_out(struct nst_objective *o, const float *rgb, float *grad)
{
    int tiles = nst_walk_count(&o->walk);

    nst_objective_gather(o, rgb);
    for (int i = 0; i < o->styles; i++)
        for (int r = 0; r < o->regions; r++)
            finish_layer(o, i, r);
    for (int k = 0; k < tiles; k++) {
        struct backward b = {o, targets(o, k)};

        if (o->recompute)
            nst_objective_take_targets(o, k);
        if (tiles > 1) {
            nst_walk_forward(&o->walk, rgb, k);
            turn_guides(o, &o->walk.tile);
        }
        for (int i = 0; i < o->contents; i++)
            nst_content_loss_gather(&o->content[i], o->walk.pass, o->walk.tile.inner,
                                    targets(o, k)->of[i], k > 0,
                                    &o->sums[content_sum(o, i)]);
        if (grad)
            nst_walk_backward(&o->walk, terms, &b, grad);
    }
    nst_pixel_losses_add(&o->pixels, rgb, grad, &o->sums[pixel_sums(o)]);
}

static void work_out_again(void *ctx)
{
    struct nst_objective *o = ctx;

    work_out(o, o->rgb, o->grad);
}

/* The same, as a device does it over and over. */
static void repeat(struct nst_objective *o, const float *rgb, float *grad)
{
    struct nst_backend *be = nst_vgg_backend(o->v);

    be->ops->copy(be, o->rgb, rgb, nst_objective_picture_bytes(o));
    be->ops->repeat(be, &o->program, work_out_again, o);
    be->ops->copy(be, grad, o->grad, nst_objective_picture_bytes(o));
}

/* What the sums, now on the host, say. */
static struct nst_losses losses_of(const struct nst_objective *o, const double *sums)
{
    const struct nst_pixel_losses *p = &o->pixels;
    struct nst_losses l = {0};

    for (int i = 0; i < o->styles; i++)
        for (int r = 0; r < o->regions; r++) {
            const struct nst_statistics *s = &o->region[r].layer[i].statistics;
            double w = weight_of(o, i, r), c = s->channels;

            l.style += w * (sums[style_sum(o, i, r)] / (c * c));
            if (o->moment_weight > 0 && s->pixels > 0)
                l.moments += w * (sums[moment_sum(o, i, r)] / c);
        }
    for (int i = 0; i < o->contents; i++)
        l.content +=
            o->content[i].tap.weight * (sums[content_sum(o, i)] / o->content[i].count);
    if (p->tv_weight > 0)
        l.variation = sums[pixel_sums(o)] / nst_pixel_losses_count(p);
    if (p->before.rgb)
        l.temporal = sums[pixel_sums(o) + 1] / nst_pixel_losses_count(p);
    l.total = o->content_weight * l.content + o->style_weight * l.style +
              o->moment_weight * l.moments + p->tv_weight * l.variation +
              p->temporal_weight * l.temporal;
    return l;
}

void nst_objective_evaluate(struct nst_objective *o, const float *rgb,
                            struct nst_losses *losses, float *grad)
{
    struct nst_backend *be = nst_vgg_backend(o->v);
    double sums[all_sums(o)];

    do { /* once more where the gradient's precision could not hold it */
        if (o->grad && grad)
            repeat(o, rgb, grad);
        else
            work_out(o, rgb, grad);
        be->ops->get(be, sums, o->sums, sizeof sums);
    } while (grad && be->again);
    *losses = losses_of(o, sums);
}
