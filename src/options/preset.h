/* SPDX-License-Identifier: MIT */
/*
 * preset.h - bundles of options in JSON files:
 *   {"description": "...", "options": {"pooling": "avg", "style-weight": 10000}}
 */
#ifndef NST_OPTIONS_PRESET_H
#define NST_OPTIONS_PRESET_H

#include "options/params.h"

/*
 * Set the options of preset wanted: a file if the name contains / or ends in .json,
 * else NAME.json in $XDG_CONFIG_HOME/nst/presets or the installed presets. Only options
 * of the recipe are allowed. NST_ERR_ARG if there is no such preset; NST_ERR_FORMAT,
 * with file and option or line, if it is invalid: *p may then be partly changed.
 */
enum nst_status nst_preset_apply(struct nst_params *p, const char *wanted,
                                 struct nst_err *err);

/* Options set elsewhere, which replace those of the configuration. */
struct nst_config_overrides {
    bool preset, style;
};

/*
 * Set the options of the configuration: file wanted, or with NULL
 * $XDG_CONFIG_HOME/nst/config.json if it exists. The format is that of a preset. All
 * options except those for one run are allowed, and "preset", which is applied first.
 * Errors as above.
 */
enum nst_status nst_config_apply(struct nst_params *p, const char *wanted,
                                 struct nst_config_overrides overrides,
                                 struct nst_err *err);

/* Visit all presets in these directories, the user's first: name, path, and description
 * or the reason why it is invalid. */
void nst_preset_each(void (*visit)(void *ctx, const char *name, const char *path,
                                   const char *description),
                     void *ctx);

/* Not in nst.h. */

/* Apply a preset from text; path is used in messages. */
enum nst_status nst_preset_apply_text(struct nst_params *p, const char *path,
                                      const char *text, struct nst_err *err);

#endif
