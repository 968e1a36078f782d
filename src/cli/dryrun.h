/* SPDX-License-Identifier: MIT */
/*
 * dryrun.h - what --dry-run prints on standard output.
 */
#ifndef NST_CLI_DRYRUN_H
#define NST_CLI_DRYRUN_H

#include "nst.h"

/* As a table of a name and a value a line, or as one line of JSON; picture: which of
 * several it is, or NULL. */
void nst_dryrun_print(const struct nst_estimate *e, const char *picture, bool json);

#endif
