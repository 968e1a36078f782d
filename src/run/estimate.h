/* SPDX-License-Identifier: MIT */
/* estimate.h - what a run will take, before it does. */
#ifndef NST_RUN_ESTIMATE_H
#define NST_RUN_ESTIMATE_H

#include "job/plan.h"
#include "run/run.h"

/* Of the run by p that plan is made for; an evaluation is timed on e. NST_ERR_MEM. */
enum nst_status nst_estimate_make(struct nst_estimate *out, const struct nst_plan *plan,
                                  struct nst_engine *e, const struct nst_params *p,
                                  struct nst_err *err);

#endif
