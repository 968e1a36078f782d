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

/* Take more steps, also at each scale if given per scale. */
static void increase_steps(struct nst_params *p, double style_complexity,
                           const struct nst_run_events *events)
{
    struct nst_list *given = &p->scale_iterations;
    char steps[64];

    if (given->count)
        snprintf(steps, sizeof steps, "5/3 of the steps at each scale");
    else
        snprintf(steps, sizeof steps, "%lld steps instead of %lld",
                 (long long)scaled_steps(p->iterations), (long long)p->iterations);
    if (!p->quiet)
        nst_run_message(events, "adaptive: style complexity %.3f is above %g: %s",
                        style_complexity, COMPLEXITY_THRESHOLD, steps);
    for (int i = 0; i < given->count; i++)
        given->value[i] = scaled_steps(given->value[i]);
    p->iterations = scaled_steps(p->iterations);
}

enum nst_status nst_adapt_params(struct nst_params *p,
                                 const struct nst_picture *content,
                                 struct nst_style_set *styles,
                                 const struct nst_run_events *events,
                                 struct nst_err *err)
{
    double content_complexity, style_complexity;
    enum nst_status st;

    if (!nst_params_need_pixels(p))
        return NST_OK;
    st = max_complexity(styles, &style_complexity, err);
    if (st != NST_OK)
        return st;
    content_complexity = complexity(content);
    if (style_complexity > COMPLEXITY_THRESHOLD)
        increase_steps(p, style_complexity, events);
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
