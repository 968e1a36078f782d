/* SPDX-License-Identifier: MIT */
/* data_path.h - where the installed data and the user's files are. */
#ifndef NST_MODEL_DATA_PATH_H
#define NST_MODEL_DATA_PATH_H

/*
 * Find a readable file or directory called name in the installed data: $(pkgdatadir),
 * then share/nst in the program's directory and in its parent (a build tree, a moved
 * installation). A new string, or NULL.
 */
char *nst_find_data(const char *name);

/* $variable/nst/name, or $HOME/fallback/nst/name unless $variable is an absolute path.
 * A new string, or NULL if neither variable can be used. */
char *nst_user_path(const char *variable, const char *fallback, const char *name);

#endif
