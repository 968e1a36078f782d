/* SPDX-License-Identifier: MIT */
/*
 * adapt.h - parameters that follow from how complex the pictures are (--adaptive).
 */
#ifndef NST_CLI_ADAPT_H
#define NST_CLI_ADAPT_H

#include "cli/styles.h"

/* If p asks for it: half the learning rate for a complex content, and 5/3 of the
 * iterations (500 for 300) for a complex style. Says on standard error what it does,
 * unless p is quiet. Errors of nst_styles_picture(). */
enum nst_status nst_adapt(struct nst_params *p, const struct nst_picture *content,
                          struct nst_styles_read *styles, struct nst_err *err);

#endif
