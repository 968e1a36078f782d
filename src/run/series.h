/* SPDX-License-Identifier: MIT */
/*
 * series.h - file names of a series of previews: --preview with {step} or {scale} in
 * the file name. Braces in directory names have no meaning.
 */
#ifndef NST_RUN_SERIES_H
#define NST_RUN_SERIES_H

#include <stdbool.h>
#include <stdint.h>

#include "run/batch.h"

/* Whether path is the template of a series. */
bool nst_series_is_template(const char *path);

/* Whether path may be a file of the series. */
bool nst_series_matches(const char *series, const char *path);

/* nst_batch_protect_inputs() for all existing files that match the series. */
enum nst_status nst_series_protect_inputs(const struct nst_batch *b,
                                          const struct nst_params *p,
                                          const char *series, struct nst_err *err);

/* Not in nst.h. */

/* Refuse a template with unknown words: NST_ERR_ARG. */
enum nst_status nst_series_check(const char *path, struct nst_err *err);

/* File name of a preview after step steps at a scale with this longest side: a new
 * string. A path that is not a template is copied. */
char *nst_series_file_name(const char *path, int64_t step, int scale);

#endif
