/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "cli/adapt.h"

#include <stdio.h>

#include "quality/quality.h"

/* nst_complexity() of a picture that is complex: photographs have 0.02 to 0.07,
 * paintings in short strokes 0.08 to 0.14. */
#define COMPLEX 0.08

static double complexity(const struct nst_picture *p)
{
    return nst_complexity(p->rgb, p->height, p->width);
}

static double most_complex(const struct nst_styles_read *styles)
{
    double most = 0;

    for (int i = 0; i < styles->count; i++)
        if (styles->of[i].picture && complexity(styles->of[i].picture) > most)
            most = complexity(styles->of[i].picture);
    return most;
}

void nst_adapt(struct nst_params *p, const struct nst_picture *content,
               const struct nst_styles_read *styles)
{
    double of_content = complexity(content), of_style = most_complex(styles);

    if ((p->adaptive != NST_ADAPTIVE_PARAMETERS && p->adaptive != NST_ADAPTIVE_BOTH) ||
        p->resume) /* a run that is resumed has been adapted */
        return;
    if (of_style > COMPLEX) {
        if (!p->quiet)
            fprintf(stderr,
                    "nst: adaptive: the style has a complexity of %.3f, above %g: %lld "
                    "steps in place of %lld\n",
                    of_style, COMPLEX, (long long)p->iterations * 5 / 3,
                    (long long)p->iterations);
        p->iterations = p->iterations * 5 / 3;
    }
    if (of_content > COMPLEX && p->optimiser == NST_OPTIMISER_ADAM) {
        if (!p->quiet)
            fprintf(stderr,
                    "nst: adaptive: the content has a complexity of %.3f, above %g: "
                    "learning rate %g in place of %g\n",
                    of_content, COMPLEX, p->learning_rate / 2, p->learning_rate);
        p->learning_rate /= 2;
    }
}
