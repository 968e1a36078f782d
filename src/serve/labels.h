/* SPDX-License-Identifier: MIT */
/* labels.h - the names that people give to their styles: labels/STYLE of the data
 * folder, in UTF-8. Thread-safe. */
#ifndef NST_SERVE_LABELS_H
#define NST_SERVE_LABELS_H

#include <stdbool.h>

#define SERVE_MAX_LABEL 60 /* characters */

/* text as a label: one line, without control characters and those that change the
 * direction of text (U+202A to 202E, 2066 to 2069), cut to SERVE_MAX_LABEL. A new
 * string; NULL if nothing is left, or text is not UTF-8. */
char *serve_label_clean(const char *text);

/* Keep the label of a style. False: errno. */
bool serve_label_set(const char *style, const char *label);
/* The label of a style, a new string, or NULL. */
char *serve_label_get(const char *style);

#endif
