/* SPDX-License-Identifier: MIT */
/* dryrun.h - prints the estimate of --dry-run on standard output. */
#ifndef NST_CLI_DRYRUN_H
#define NST_CLI_DRYRUN_H

#include "nst.h"

/* Print a table, or one line of JSON. picture names one of several, or is NULL. */
void nst_dryrun_print(const struct nst_estimate *e, const char *picture, bool json);

#endif
