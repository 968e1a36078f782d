/* SPDX-License-Identifier: MIT */
/* optimise.h - the optimiser loop of a job. */
#ifndef NST_JOB_OPTIMISE_H
#define NST_JOB_OPTIMISE_H

#include "job/job.h"

/* Minimise the objective from j->x, which becomes the result with the keep mask
 * applied. NST_ERR_MEM, NST_ERR_NUMERIC, NST_ERR_FORMAT. */
enum nst_status nst_job_optimise(struct nst_job *j, enum nst_job_end *end,
                                 struct nst_err *err);

#endif
