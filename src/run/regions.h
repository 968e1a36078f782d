/* SPDX-License-Identifier: MIT */
/*
 * regions.h - assigns styles to regions. Each style with a mask has its own region;
 * styles without one share the area that the masks leave.
 */
#ifndef NST_RUN_REGIONS_H
#define NST_RUN_REGIONS_H

#include "options/params.h"

/*
 * Store the region of each style in region[]; returns the number of guidance masks that
 * the regions need. Without masks all styles share region 0, which needs none (0).
 */
int nst_regions_assign(const struct nst_params *p, int region[NST_STYLES_MAX]);

/*
 * Turn masks into guidance masks. planes: count regions of n values from 0 to 1; those
 * of styles with a mask hold it. Afterwards they sum to at most 1: overlapping masks
 * share the covered part by style weight. The last region takes the rest if it has no
 * mask.
 */
void nst_regions_normalise(const struct nst_styles *s, float *const *planes, int count,
                           size_t n);

/* Refuse --layers of a style that are not among the style layers: NST_ERR_ARG. */
enum nst_status nst_regions_check(const struct nst_params *p, struct nst_err *err);

#endif
