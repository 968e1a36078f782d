/* SPDX-License-Identifier: MIT */
/* path.h - parts of file names. */
#ifndef NST_BASE_PATH_H
#define NST_BASE_PATH_H

#include <stdbool.h>
#include <string.h>

/* What follows the last slash. */
static inline const char *nst_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* Whether a file name ends in suffix, with something before it. */
static inline bool nst_has_suffix(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);

    return n > m && memcmp(s + n - m, suffix, m) == 0;
}

#endif
