/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/adapt.h"

#include <stdio.h>

#include "quality/quality.h"
#include "run/report.h"

/* nst_mean_gradient() above which a picture is complex: photographs have 0.02 to 0.07,
 * paintings with short strokes 0.08 to 0.14. */
#define COMPLEXITY_THRESHOLD 0.08

static double complexity(const struct nst_picture *p)
{
    return nst_mean_gradient(nst_picture_image(p));
}

/* Complexity of the most complex style picture. */
static enum nst_status max_complexity(struct nst_style_set *styles, double *max,
                                      struct nst_err *err)
{
    enum nst_status st = NST_OK;

    *max = 0;
    for (int i = 0; st == NST_OK && i < styles->count; i++) {
        struct nst_picture *picture;

        if (styles->item[i].pack)
            continue;
        st = nst_style_set_picture(styles, i, &picture, err);
        if (st == NST_OK && complexity(picture) > *max)
            *max = complexity(picture);
    }
    return st;
}

static int64_t scaled_steps(int64_t steps)
{
    return steps * 5 / 3;
}

enum nst_status nst_adapt_params(struct nst_params *p,
                                 const struct nst_picture *content,
                                 struct nst_style_set *styles,
                                 const struct nst_run_events *events,
                                 struct nst_err *err)
{
    struct nst_list *given = &p->scale_iterations;
    double content_complexity, style_complexity;
    char steps[64] = "5/3 of the steps at each scale";
    enum nst_status st;

    if (!nst_params_need_pixels(p))
        return NST_OK;
    st = max_complexity(styles, &style_complexity, err);
    if (st != NST_OK)
        return st;
    content_complexity = complexity(content);
    if (style_complexity > COMPLEXITY_THRESHOLD) {
        if (!given->count)
            snprintf(steps, sizeof steps, "%lld steps instead of %lld",
                     (long long)scaled_steps(p->iterations), (long long)p->iterations);
        if (!p->quiet)
            nst_run_message(events, "adaptive: style complexity %.3f is above %g: %s",
                            style_complexity, COMPLEXITY_THRESHOLD, steps);
        for (int i = 0; i < given->count; i++)
            given->value[i] = scaled_steps(given->value[i]);
        p->iterations = scaled_steps(p->iterations);
    }
    if (content_complexity > COMPLEXITY_THRESHOLD &&
        p->optimiser == NST_OPTIMISER_ADAM) {
        if (!p->quiet)
            nst_run_message(events,
                            "adaptive: content complexity %.3f is above %g: "
                            "learning rate %g instead of %g",
                            content_complexity, COMPLEXITY_THRESHOLD,
                            p->learning_rate / 2, p->learning_rate);
        p->learning_rate /= 2;
    }
    return NST_OK;
}

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
