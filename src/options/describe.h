/* SPDX-License-Identifier: MIT */
/* describe.h - options as JSON, for programs and presets. */
#ifndef NST_OPTIONS_DESCRIBE_H
#define NST_OPTIONS_DESCRIBE_H

#include "options/params.h"

/*
 * The option table as JSON, for programs that offer these options: a new string. For
 * each option: name, letter, type (flag, integer, size, real, choice, text, layers,
 * style, mask, layers of a style, list), range or choices, default, placeholder of its
 * value, help text and group, and whether it is part of the recipe, may be offered by a
 * service, or is for one run only.
 */
char *nst_describe_options(void);

/* The recipe of p as a preset (options/preset.h): a new string. */
char *nst_describe_recipe(const struct nst_params *p);

#endif
