/* SPDX-License-Identifier: MIT */
/*
 * dryrun.h - what --dry-run prints on standard output.
 */
#ifndef NST_CLI_DRYRUN_H
#define NST_CLI_DRYRUN_H

#include <stdbool.h>

#include "job/plan.h"

/* The run by p that plan is made for: as a table of a name and a value a line, or as
 * one line of JSON. An evaluation is timed on e for it. NST_ERR_IO, NST_ERR_MEM. */
enum nst_status nst_dryrun_print(const struct nst_plan *plan, struct nst_engine *e,
                                 const struct nst_params *p, bool json,
                                 struct nst_err *err);

#endif
