/* SPDX-License-Identifier: MIT */
/*
 * preset.h - bundles of options in JSON files:
 *   {"description": "...", "options": {"pooling": "avg", "style-weight": 10000}}
 */
#ifndef NST_RECORD_PRESET_H
#define NST_RECORD_PRESET_H

#include "job/options.h"

/*
 * Set the options of the preset called wanted: a file if it has a / or ends in .json,
 * else NAME.json in $XDG_CONFIG_HOME/nst/presets or the installed presets. Only options
 * of the recipe are allowed. NST_ERR_ARG when there is no such preset, NST_ERR_FORMAT
 * with file and option or line when it is not sound; *p may then be partly changed.
 */
enum nst_status nst_preset_apply(struct nst_params *p, const char *wanted,
                                 struct nst_err *err);

/* What else is chosen, and so not what the configuration says of it. */
struct nst_config_overrides {
    bool preset, style;
};

/*
 * Set the options of the configuration: the file wanted, or NULL for
 * $XDG_CONFIG_HOME/nst/config.json if that is there, in the form of a preset. All
 * options but those of a single run are allowed, and "preset", the options of which
 * come before all others. Errors as above.
 */
enum nst_status nst_config_apply(struct nst_params *p, const char *wanted,
                                 struct nst_config_overrides overrides,
                                 struct nst_err *err);

/* The same for a preset in text, which messages call by that path. */
enum nst_status nst_preset_apply_text(struct nst_params *p, const char *path,
                                      const char *text, struct nst_err *err);

/* Tell of every preset in those places, the user's first: its name, where it is, and
 * its description or what is wrong with it. */
void nst_preset_each(void (*visit)(void *ctx, const char *name, const char *path,
                                   const char *description),
                     void *ctx);

#endif
