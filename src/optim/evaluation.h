/* SPDX-License-Identifier: MIT */
/* evaluation.h - progress and result of an optimisation. */
#ifndef NST_OPTIM_EVALUATION_H
#define NST_OPTIM_EVALUATION_H

#include <stdbool.h>
#include <stdint.h>

/* One evaluation of the objective. Content and style losses are unweighted. */
struct nst_evaluation {
    int64_t evaluation; /* from 1 */
    int scale;          /* longest side of the picture, in pixels */
    int64_t iteration;  /* accepted steps up to and including this one */
    double content_loss, style_loss, total_loss;
    double gradient_max, gradient_norm;
    bool accepted;  /* this point became the new iterate */
    double seconds; /* since the optimisation began */
    /* of the total work done so far, NaN if that is unknown; 0 except in a report of a
     * step */
    double fraction;
    int frame, frames; /* of a film, from 1; how many, or 0 if unknown; else 0 */
};

enum nst_job_end {
    NST_JOB_COMPLETED, /* all iterations or evaluations are done */
    NST_JOB_CONVERGED, /* no step lowers the loss any more */
    NST_JOB_STOPPED    /* the caller asked to stop */
};

struct nst_job_result {
    enum nst_job_end end;
    struct nst_evaluation first; /* the starting point */
    struct nst_evaluation final; /* the result */
    int64_t iterations, evaluations;
    double seconds; /* of the optimisation */
};

#endif
