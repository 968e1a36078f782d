/* SPDX-License-Identifier: MIT */
/*
 * net_run.h - paints the picture, or the frames, of a job with a feed-forward network
 * in place of an optimisation.
 */
#ifndef NST_RUN_NET_RUN_H
#define NST_RUN_NET_RUN_H

#include "run/picture_job.h"

/*
 * Adapt *p, which borrows its strings, if its style is a network; *is_net says so: the
 * picture keeps its size unless one is set, and the CPU paints. Reports what the user
 * has asked for and does not get. NST_ERR_ARG: a network is mixed with other styles, or
 * cannot do what p asks for.
 */
enum nst_status nst_net_run_params(struct nst_params *p, bool *is_net,
                                   const struct nst_run_events *events,
                                   struct nst_err *err);

/* Prepare the network and plan the memory, once the inputs of the job are loaded.
 * NST_ERR_MEM if the picture does not fit. */
enum nst_status nst_net_run_plan(struct nst_picture_job *job, struct nst_err *err);

/* For a dry run: paints a small picture to know the time. NST_ERR_MEM. */
enum nst_status nst_net_run_estimate(struct nst_picture_job *job,
                                     struct nst_estimate *out, struct nst_err *err);

/*
 * Paint the picture into job->rgb, or all frames into job->writer; job->content is then
 * a picture without pixels. Sets job->result. NST_ERR_MEM, and errors of reading and
 * writing frames.
 */
enum nst_status nst_net_run_paint(struct nst_picture_job *job, struct nst_err *err);

#endif
