/* SPDX-License-Identifier: MIT */
/*
 * dryrun.h - what --dry-run prints on standard output.
 */
#ifndef NST_CLI_DRYRUN_H
#define NST_CLI_DRYRUN_H

#include <stdbool.h>

#include "job/plan.h"

/* As a table of a name and a value a line, or as one line of JSON. NST_ERR_IO. */
enum nst_status nst_dryrun_print(const struct nst_plan *plan,
                                 const struct nst_params *p, double seconds, bool json,
                                 struct nst_err *err);

#endif
