/* SPDX-License-Identifier: MIT */
/* presets.h - the presets that clients may name in a request. */
#ifndef NST_SERVE_PRESETS_H
#define NST_SERVE_PRESETS_H

#include <glib.h>

#include "serve/settings.h"

/* The presets as a JSON list, a new reference. The files are read for the first list
 * and again after a reload. Thread-safe. */
GRefString *serve_presets_list(const struct serve_settings *s);
/* The files may have changed; also frees the list at the end. */
void serve_presets_reload(void);

#endif
