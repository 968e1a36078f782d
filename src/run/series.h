/* SPDX-License-Identifier: MIT */
/*
 * series.h - the names of a series of previews: --preview with {step} or {scale} in the
 * name of the file. Folders are as they are called, braces or not.
 */
#ifndef NST_RUN_SERIES_H
#define NST_RUN_SERIES_H

#include <stdbool.h>
#include <stdint.h>

#include "run/batch.h"

/* Is it the template of a series? */
bool nst_series_is_template(const char *path);

/* Refuses a template with other words: NST_ERR_ARG. */
enum nst_status nst_series_check(const char *path, struct nst_err *err);

/* Could that be a file of the series? */
bool nst_series_matches(const char *series, const char *path);

/* As nst_batch_protect_inputs() for all files that are there and could be of the
 * series.
 */
enum nst_status nst_series_protect_inputs(const struct nst_batch *b,
                                          const struct nst_params *p,
                                          const char *series, struct nst_err *err);

/* The file that a preview after so many steps goes to, at a scale of that longest side:
 * a new string; of a path that is no series, the same. */
char *nst_series_file_name(const char *path, int64_t step, int scale);

#endif
