/* SPDX-License-Identifier: MIT */
/* job_serialise.h - restores the state of a job; job.h declares the public part. */
#ifndef NST_JOB_JOB_SERIALISE_H
#define NST_JOB_JOB_SERIALISE_H

#include "job/job.h"

/* Restore the state if nst_job_resume() was called. NST_ERR_FORMAT. */
enum nst_status nst_job_restore(struct nst_job *j, struct nst_err *err);

#endif
