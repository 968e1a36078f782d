/* SPDX-License-Identifier: MIT */
/*
 * adapt.h - parameters that follow from how complex the pictures are (--adaptive).
 */
#ifndef NST_RUN_ADAPT_H
#define NST_RUN_ADAPT_H

#include "run/run.h"
#include "run/styles.h"

/* How the pictures of a run by p are read: of one that is only planned, the headers, if
 * what is below does not look at them. */
struct nst_picture_size nst_params_load_size(const struct nst_params *p);

/* If p asks for it: half the learning rate for a complex content, and 5/3 of the
 * iterations (500 for 300), those of each scale too, for a complex style. Says what it
 * does, unless p is quiet. Errors of nst_style_set_picture(). */
enum nst_status nst_adapt_params(struct nst_params *p,
                                 const struct nst_picture *content,
                                 struct nst_style_set *styles,
                                 const struct nst_run_events *events,
                                 struct nst_err *err);

#endif
