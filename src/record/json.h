/* SPDX-License-Identifier: MIT */
/* json.h - values as JSON. */
#ifndef NST_RECORD_JSON_H
#define NST_RECORD_JSON_H

#include <jansson.h>

#include "job/options.h"

/* JSON has no infinity and no NaN: null stands for them. */
json_t *nst_json_number(double v);

/* File names may hold any bytes: what is not UTF-8 is replaced. NULL is null. */
json_t *nst_json_text(const char *s);

/* The options of the recipe that are set, but for the model, by their names; pictures
 * are called as they were typed. */
json_t *nst_json_recipe(const struct nst_params *p);

#endif
