/* SPDX-License-Identifier: MIT */
/* sweep.h - removes uploads that no task uses. */
#ifndef NST_SERVE_SWEEP_H
#define NST_SERVE_SWEEP_H

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

/* Remove uploads, and all that belongs to them, that are not in the set of names used:
 * those older than max_age seconds; and beyond max_files, the oldest of the party with
 * the most. party_of() returns a new string. */
void serve_sweep_uploads(GHashTable *used, int64_t max_age, size_t max_files,
                         char *(*party_of)(const char *upload));

#endif
