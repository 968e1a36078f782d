/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/objective.h"

#include <stdlib.h>

#include "base/mem.h"
#include "style/content_loss.h"
#include "style/gram_loss.h"

struct nst_objective {
    struct nst_vgg *v;
    struct nst_backend *be;
    struct nst_pass *pass;
    double content_weight, style_weight;
    int contents, styles;
    struct nst_content_loss content[2 * NST_VGG_CONVS];
    struct nst_gram_loss style[2 * NST_VGG_CONVS];
};

static void mark_before_relu(const struct nst_taps *taps, bool keep[NST_VGG_CONVS])
{
    for (int i = 0; i < taps->count; i++)
        if (!taps->tap[i].after_relu)
            keep[taps->tap[i].conv] = true;
}

/* The style picture has its own size, so it has its own pass, for this once. */
static enum nst_status take_style(struct nst_objective *o, const struct nst_taps *taps,
                                  const float *rgb, int h, int w,
                                  const bool keep[NST_VGG_CONVS], struct nst_err *err)
{
    struct nst_pass *pass;
    enum nst_status st = nst_pass_new(&pass, o->v, h, w, keep, false, err);

    if (st != NST_OK)
        return st;
    nst_pass_forward(pass, rgb);
    for (int i = 0; st == NST_OK && i < taps->count; i++) {
        o->styles = i + 1;
        st = nst_gram_loss_init(&o->style[i], taps->tap[i], o->be, pass, err);
    }
    nst_pass_free(pass);
    return st;
}

static enum nst_status take_content(struct nst_objective *o,
                                    const struct nst_taps *taps, const float *rgb,
                                    int h, int w, const bool keep[NST_VGG_CONVS],
                                    struct nst_err *err)
{
    enum nst_status st = nst_pass_new(&o->pass, o->v, h, w, keep, true, err);

    if (st != NST_OK)
        return st;
    nst_pass_forward(o->pass, rgb);
    for (int i = 0; st == NST_OK && i < taps->count; i++) {
        o->contents = i + 1;
        st = nst_content_loss_init(&o->content[i], taps->tap[i], o->be, o->pass, err);
    }
    return st;
}

enum nst_status nst_objective_new(struct nst_objective **out, struct nst_vgg *v,
                                  const struct nst_objective_config *config,
                                  const float *content, int ch, int cw,
                                  const float *style, int sh, int sw,
                                  struct nst_err *err)
{
    struct nst_objective *o = nst_xcalloc(1, sizeof *o);
    bool keep[NST_VGG_CONVS] = {false};
    enum nst_status st;

    *out = NULL;
    o->v = v;
    o->be = nst_vgg_backend(v);
    o->content_weight = config->content_weight;
    o->style_weight = config->style_weight;
    mark_before_relu(config->content_layers, keep);
    mark_before_relu(config->style_layers, keep);
    st = take_style(o, config->style_layers, style, sh, sw, keep, err);
    if (st == NST_OK)
        st = take_content(o, config->content_layers, content, ch, cw, keep, err);
    if (st != NST_OK) {
        nst_objective_free(o);
        return st;
    }
    *out = o;
    return NST_OK;
}

void nst_objective_free(struct nst_objective *o)
{
    if (!o)
        return;
    for (int i = 0; i < o->contents; i++)
        nst_content_loss_clear(&o->content[i], o->be);
    for (int i = 0; i < o->styles; i++)
        nst_gram_loss_clear(&o->style[i]);
    nst_pass_free(o->pass);
    free(o);
}

/* nst_pass_add: the losses that tap this place. */
static void add_gradients(void *ctx, int conv, bool after_relu, struct nst_tensor *g)
{
    struct nst_objective *o = ctx;

    for (int i = 0; i < o->contents; i++) {
        struct nst_content_loss *l = &o->content[i];

        if (l->tap.conv == conv && l->tap.after_relu == after_relu)
            nst_content_loss_grad(l, o->be, o->pass, o->content_weight * l->tap.weight,
                                  g);
    }
    for (int i = 0; i < o->styles; i++) {
        struct nst_gram_loss *l = &o->style[i];

        if (l->tap.conv == conv && l->tap.after_relu == after_relu)
            nst_gram_loss_grad(l, o->be, o->pass, o->style_weight * l->tap.weight, g);
    }
}

void nst_objective_evaluate(struct nst_objective *o, const float *rgb,
                            struct nst_losses *losses, float *grad)
{
    nst_pass_forward(o->pass, rgb);
    losses->content = losses->style = 0;
    for (int i = 0; i < o->contents; i++)
        losses->content += o->content[i].tap.weight *
                           nst_content_loss_value(&o->content[i], o->be, o->pass);
    for (int i = 0; i < o->styles; i++)
        losses->style +=
            o->style[i].tap.weight * nst_gram_loss_value(&o->style[i], o->be, o->pass);
    losses->total =
        o->content_weight * losses->content + o->style_weight * losses->style;
    if (grad)
        nst_pass_backward(o->pass, add_gradients, o, grad);
}
