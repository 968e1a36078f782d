/* SPDX-License-Identifier: MIT */
/* estimate.h - memory and time of a run before it starts (--dry-run). */
#ifndef NST_RUN_ESTIMATE_H
#define NST_RUN_ESTIMATE_H

#include "run/plan.h"
#include "run/run.h"

/* Estimate the run by p that plan is for; times one evaluation on e. NST_ERR_MEM. */
enum nst_status nst_estimate_make(struct nst_estimate *out, const struct nst_plan *plan,
                                  struct nst_session *s, const struct nst_params *p,
                                  struct nst_err *err);

#endif
