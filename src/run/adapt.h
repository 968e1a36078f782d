/* SPDX-License-Identifier: MIT */
/* adapt.h - adapts parameters to the complexity of the pictures (--adaptive). */
#ifndef NST_RUN_ADAPT_H
#define NST_RUN_ADAPT_H

#include "run/run.h"
#include "run/styles.h"

/* If p asks for it, halve Adam's learning rate for a complex content, and take 5/3 of
 * the iterations (500 instead of 300), also per scale, for a complex style. Reports the
 * changes unless p is quiet. Errors of nst_style_set_picture(). */
enum nst_status nst_adapt_params(struct nst_params *p,
                                 const struct nst_picture *content,
                                 struct nst_style_set *styles,
                                 const struct nst_run_events *events,
                                 struct nst_err *err);

#endif
