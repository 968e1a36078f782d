/* SPDX-License-Identifier: MIT */
/* describe.h - options as JSON, for programs and for presets. */
#ifndef NST_RECORD_DESCRIBE_H
#define NST_RECORD_DESCRIBE_H

#include "job/options.h"

/*
 * The option table as JSON, for programs that offer these options: a new string. Of
 * each its name, letter, type (flag, integer, size, real, choice, text, layers, style,
 * mask, list), range or choices, default, what stands for its value in the help, its
 * help, its group there, and whether it is part of the recipe, one that a service
 * may offer, or for one run only.
 */
char *nst_describe_options(void);

/* The recipe of p as a preset (record/preset.h): a new string. */
char *nst_describe_recipe(const struct nst_params *p);

#endif
