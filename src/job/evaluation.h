/* SPDX-License-Identifier: MIT */
/* evaluation.h - where an optimisation stands, and how it went. */
#ifndef NST_JOB_EVALUATION_H
#define NST_JOB_EVALUATION_H

#include <stdbool.h>
#include <stdint.h>

/* One evaluation of the objective. Content and style loss are unweighted. */
struct nst_evaluation {
    int64_t evaluation; /* from 1 */
    int scale;          /* longest side of the picture, in pixels */
    int64_t iteration;  /* accepted steps before and including this one */
    double content_loss, style_loss, total_loss;
    double gradient_max, gradient_norm;
    bool accepted;   /* this point became the new iterate */
    double seconds;  /* since the optimisation began */
    double fraction; /* of the whole work, done by now: told with a step, else 0 */
};

enum nst_job_end {
    NST_JOB_COMPLETED, /* all iterations, or all evaluations, were made */
    NST_JOB_CONVERGED, /* no step finds a lower loss any more */
    NST_JOB_STOPPED    /* the stop callback said so */
};

struct nst_job_result {
    enum nst_job_end end;
    struct nst_evaluation first; /* the starting point */
    struct nst_evaluation final; /* the picture made */
    int64_t iterations, evaluations;
    double seconds; /* of the optimisation */
};

#endif
