/* SPDX-License-Identifier: MIT */
/* migrate.h - translates the options of runs recorded by earlier versions of nst. */
#ifndef NST_CLI_MIGRATE_H
#define NST_CLI_MIGRATE_H

#include <jansson.h>

/* Options with which today's nst repeats a run of the history; a new reference.
 * *differs is NULL, or a static sentence that says why the result will differ. */
json_t *nst_migrate_options(const json_t *run, const char **differs);

#endif
