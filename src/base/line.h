/* SPDX-License-Identifier: MIT */
/* line.h - messages are one line each. */
#ifndef NST_BASE_LINE_H
#define NST_BASE_LINE_H

/* Replace control characters by blanks: file names may contain newlines. */
void nst_sanitise_line(char *text);

#endif
