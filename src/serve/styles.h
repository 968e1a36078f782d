/* SPDX-License-Identifier: MIT */
/*
 * styles.h - the available styles: the installed packs and networks, the pictures,
 * packs and networks of a folder (--styles), and uploads. Thread-safe.
 */
#ifndef NST_SERVE_STYLES_H
#define NST_SERVE_STYLES_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/identity.h"
#include "serve/settings.h"

/* Find all styles; creates missing thumbnails. s is borrowed. */
void serve_styles_open(const struct serve_settings *s);
void serve_styles_close(void);

/* Look for new and removed files in the folder of styles (--styles). */
void serve_styles_reload(void);

/* Add an upload that is in the store's folder of styles. */
void serve_styles_add(const char *name);

/* Set the label (labels.h) of an uploaded style that who sees. FAILED: errno. */
enum serve_rename { SERVE_RENAME_OK, SERVE_RENAME_UNKNOWN, SERVE_RENAME_FAILED };
enum serve_rename serve_styles_rename(const struct serve_identity *who,
                                      const char *name, const char *label);

/* Remove an uploaded style and its file. False if who sees no such upload. */
bool serve_styles_remove(const struct serve_identity *who, const char *name);

/* All styles that who sees as a JSON list, a new reference. */
GRefString *serve_styles_list(const struct serve_identity *who);
size_t serve_styles_count(void);

/* The path of a style, a new string, or NULL. */
char *serve_styles_path(const char *name);
/* The same for pictures only. */
char *serve_styles_picture_path(const char *name);
/* Whether a style is a network that paints in one pass. */
bool serve_styles_is_net(const char *name);
/* The preview NAME.jpg of the pack or network NAME: new bytes, or NULL. */
void *serve_styles_preview(const char *file, size_t *size);
/* Open a style picture for reading; -1 if there is none. */
int serve_styles_open_picture(const char *name, uint64_t *size);

#endif
