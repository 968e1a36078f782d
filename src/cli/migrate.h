/* SPDX-License-Identifier: MIT */
/*
 * migrate.h - the options of a run that an earlier version of nst recorded, as today's
 * nst takes them.
 */
#ifndef NST_CLI_MIGRATE_H
#define NST_CLI_MIGRATE_H

#include <jansson.h>

/*
 * The options of an entry of the history, a new reference, by which today's nst makes
 * the same picture. *differs is NULL, or a sentence that says why it can not; it needs
 * no freeing.
 */
json_t *nst_migrate_options(const json_t *run, const char **differs);

#endif
