/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/loss_balancing.h"

void nst_loss_balancing_init(struct nst_loss_balancing *b, double content_weight,
                             double style_weight)
{
    *b = (struct nst_loss_balancing){
        .content = {.weight = content_weight, .initial_weight = content_weight},
        .style = {.weight = style_weight, .initial_weight = style_weight},
    };
}

/* Record a loss. True if it has risen and its weight may grow. */
static bool loss_rose(struct nst_balanced_loss *w, int64_t step, double loss)
{
    double before = w->history[step % NST_BALANCING_WINDOW];

    w->history[step % NST_BALANCING_WINDOW] = loss;
    return step >= NST_BALANCING_WINDOW && loss > before &&
           w->weight * NST_BALANCING_GROWTH <=
               w->initial_weight * NST_BALANCING_MAX_GROWTH;
}

const struct nst_balanced_loss *nst_loss_balancing_step(struct nst_loss_balancing *b,
                                                        double content_loss,
                                                        double style_loss)
{
    bool content = loss_rose(&b->content, b->steps, content_loss);
    bool style = loss_rose(&b->style, b->steps, style_loss);
    struct nst_balanced_loss *w = content ? &b->content : &b->style;

    b->steps++;
    if (content == style) /* neither rose, or both: no preference */
        return NULL;
    w->weight *= NST_BALANCING_GROWTH;
    b->steps = 0;
    b->changed = true;
    return w;
}

bool nst_loss_balancing_serialise(struct nst_loss_balancing *b, nst_serialise_fn *visit,
                                  void *ctx)
{
    int64_t counts[] = {b->steps, b->changed};

    if (!visit(ctx, "balance/counts", NST_I64, counts, 2) || counts[0] < 0)
        return false;
    b->steps = counts[0];
    b->changed = counts[1] != 0;
    return visit(ctx, "balance/content", NST_F64, &b->content.weight, 1) &&
           visit(ctx, "balance/style", NST_F64, &b->style.weight, 1) &&
           visit(ctx, "balance/past contents", NST_F64, b->content.history,
                 NST_BALANCING_WINDOW) &&
           visit(ctx, "balance/past styles", NST_F64, b->style.history,
                 NST_BALANCING_WINDOW);
}
