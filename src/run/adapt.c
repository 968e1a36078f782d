/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/adapt.h"

#include <stdio.h>

#include "quality/quality.h"
#include "run/say.h"

/* nst_complexity() of a picture that is complex: photographs have 0.02 to 0.07,
 * paintings in short strokes 0.08 to 0.14. */
#define COMPLEX 0.08

static bool looks_at_pictures(const struct nst_params *p)
{
    return p->adaptive == NST_ADAPTIVE_PARAMETERS || p->adaptive == NST_ADAPTIVE_BOTH;
}

struct nst_picture_size nst_size_read(const struct nst_params *p)
{
    return (struct nst_picture_size){.longest = (int)p->size,
                                     .square = p->square,
                                     .max_pixels = p->max_pixels,
                                     .header_only =
                                         p->dry_run && !looks_at_pictures(p)};
}

static double complexity(const struct nst_picture *p)
{
    return nst_complexity(p->rgb, p->height, p->width);
}

/* That of the most complex of the pictures. */
static enum nst_status most_complex(struct nst_styles_read *styles, double *most,
                                    struct nst_err *err)
{
    enum nst_status st = NST_OK;

    *most = 0;
    for (int i = 0; st == NST_OK && i < styles->count; i++) {
        struct nst_picture *picture;

        if (styles->of[i].pack)
            continue;
        st = nst_styles_picture(styles, i, &picture, err);
        if (st == NST_OK && complexity(picture) > *most)
            *most = complexity(picture);
    }
    return st;
}

static int64_t more(int64_t steps)
{
    return steps * 5 / 3;
}

/* More steps, at each scale if they are given for each. */
static void more_steps(struct nst_params *p, double of_style,
                       const struct nst_run_events *events)
{
    struct nst_list *given = &p->scale_iterations;
    char steps[64];

    if (given->count)
        snprintf(steps, sizeof steps, "5/3 of the steps at each scale");
    else
        snprintf(steps, sizeof steps, "%lld steps instead of %lld",
                 (long long)more(p->iterations), (long long)p->iterations);
    if (!p->quiet)
        nst_say(events, "adaptive: style complexity %.3f is above %g: %s", of_style,
                COMPLEX, steps);
    for (int i = 0; i < given->count; i++)
        given->value[i] = more(given->value[i]);
    p->iterations = more(p->iterations);
}

enum nst_status nst_adapt(struct nst_params *p, const struct nst_picture *content,
                          struct nst_styles_read *styles,
                          const struct nst_run_events *events, struct nst_err *err)
{
    double of_content, of_style;
    enum nst_status st;

    if (!looks_at_pictures(p))
        return NST_OK;
    st = most_complex(styles, &of_style, err);
    if (st != NST_OK)
        return st;
    of_content = complexity(content);
    if (of_style > COMPLEX)
        more_steps(p, of_style, events);
    if (of_content > COMPLEX && p->optimiser == NST_OPTIMISER_ADAM) {
        if (!p->quiet)
            nst_say(events,
                    "adaptive: content complexity %.3f is above %g: "
                    "learning rate %g instead of %g",
                    of_content, COMPLEX, p->learning_rate / 2, p->learning_rate);
        p->learning_rate /= 2;
    }
    return NST_OK;
}
