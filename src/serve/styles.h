/* SPDX-License-Identifier: MIT */
/*
 * styles.h - the styles that clients choose from: the packs that come along, the
 * pictures and packs of a folder (--styles), and what clients sent.
 */
#ifndef NST_SERVE_STYLES_H
#define NST_SERVE_STYLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/settings.h"

/* Look for them all. What has no thumbnail yet gets one. */
void serve_styles_open(const struct serve_settings *s);
void serve_styles_close(void);

/* One more is in the store's folder of styles. */
void serve_styles_add(const char *name);

/* Forget one that a client sent, and its file. False if there is none. */
bool serve_styles_remove(const char *name);

/* All as a JSON list: a new string. */
char *serve_styles_list(void);
size_t serve_styles_count(void);

/* The file of the style called so: a new string, or NULL. */
char *serve_styles_path(const char *name);
/* The same if it is a picture. */
char *serve_styles_picture_path(const char *name);
/* The preview of the pack NAME, which is called NAME.jpg: new bytes, or NULL. */
void *serve_styles_preview(const char *file, size_t *size);
/* Open that picture for reading: -1 if there is none. */
int serve_styles_open_picture(const char *name, uint64_t *size);

#endif
