/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "job/balance.h"

void nst_balance_begin(struct nst_balance *b, double content_weight,
                       double style_weight)
{
    *b = (struct nst_balance){
        .content = {.weight = content_weight, .least = content_weight},
        .style = {.weight = style_weight, .least = style_weight},
    };
}

/* Note a loss; true if it has risen, and may have more weight. */
static bool rises(struct nst_weighed *w, int64_t step, double loss)
{
    double before = w->past[step % NST_BALANCE_STEPS];

    w->past[step % NST_BALANCE_STEPS] = loss;
    return step >= NST_BALANCE_STEPS && loss > before &&
           w->weight * NST_BALANCE_GROWTH <= w->least * NST_BALANCE_MOST;
}

const struct nst_weighed *nst_balance_step(struct nst_balance *b, double content_loss,
                                           double style_loss)
{
    bool content = rises(&b->content, b->steps, content_loss);
    bool style = rises(&b->style, b->steps, style_loss);
    struct nst_weighed *w = content ? &b->content : &b->style;

    b->steps++;
    if (content == style) /* neither; or both, where none is to be preferred */
        return NULL;
    w->weight *= NST_BALANCE_GROWTH;
    b->steps = 0;
    b->changed = true;
    return w;
}

bool nst_balance_state(struct nst_balance *b, nst_state_visit *visit, void *ctx)
{
    int64_t counts[] = {b->steps, b->changed};

    if (!visit(ctx, "balance/counts", NST_I64, counts, 2) || counts[0] < 0)
        return false;
    b->steps = counts[0];
    b->changed = counts[1] != 0;
    return visit(ctx, "balance/content", NST_F64, &b->content.weight, 1) &&
           visit(ctx, "balance/style", NST_F64, &b->style.weight, 1) &&
           visit(ctx, "balance/past contents", NST_F64, b->content.past,
                 NST_BALANCE_STEPS) &&
           visit(ctx, "balance/past styles", NST_F64, b->style.past, NST_BALANCE_STEPS);
}
