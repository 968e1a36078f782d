/* SPDX-License-Identifier: MIT */
/* png_text.h - a text in a PNG file, as a tEXt chunk before its end. */
#ifndef NST_SERVE_PNG_TEXT_H
#define NST_SERVE_PNG_TEXT_H

#include <stdbool.h>

/* Add a text (Latin-1) under a keyword of 1 to 79 characters, and sync the file. One
 * that is no PNG stays as it is. False: errno; the file is then as before. */
bool serve_png_add_text(const char *path, const char *keyword, const char *text);

#endif
