/* SPDX-License-Identifier: MIT */
/*
 * regions.h - which styles apply where. Each style with a mask has a region of its own;
 * those without one share a region, which is what the masks leave.
 */
#ifndef NST_JOB_REGIONS_H
#define NST_JOB_REGIONS_H

#include "job/options.h"

/*
 * Into region[], that of each style. How many regions need a guide. Without masks,
 * every style is in region 0: the whole picture, which needs no guide (0), or, where
 * padding extends the picture, the part that stays when the border is cut off (1).
 */
int nst_regions_assign(const struct nst_params *p, int region[NST_STYLES_MAX]);

/*
 * Make guides of masks. planes: of each of count regions n values from 0 to 1; those of
 * styles with a mask hold it. Afterwards they add up to 1 at most: where masks overlap,
 * they share by weight what is covered, and the last region, if it has no mask, has the
 * rest.
 */
void nst_regions_normalise(const struct nst_styles *s, float *const *planes, int count,
                           size_t n);

/* Refuses layers of a style that are none of the style layers: NST_ERR_ARG. */
enum nst_status nst_regions_check(const struct nst_params *p, struct nst_err *err);

#endif
