/* SPDX-License-Identifier: MIT */
/* options.h - the command line of nst-serve. */
#ifndef NST_SERVE_OPTIONS_H
#define NST_SERVE_OPTIONS_H

#include "serve/settings.h"

/* Fill the settings from the defaults and the command line, whose strings they borrow.
 * Exits after --help and after an error. */
void serve_options_read(struct serve_settings *s, int argc, char **argv);

#endif
