/* SPDX-License-Identifier: MIT */
/* path.h - parts of file names, and errors in them. */
#ifndef NST_BASE_PATH_H
#define NST_BASE_PATH_H

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/err.h"

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

static inline bool nst_is_disk_full(int error)
{
    return error == ENOSPC || error == EDQUOT;
}

/* The status for a file that cannot be written: NST_ERR_SPACE or NST_ERR_IO. */
static inline enum nst_status nst_write_status(int error)
{
    return nst_is_disk_full(error) ? NST_ERR_SPACE : NST_ERR_IO;
}

/* The status for a file that cannot be opened: NST_ERR_ARG if the error is a wrong
 * name, else as nst_write_status(). */
static inline enum nst_status nst_open_status(int error)
{
    return error == ENOENT || error == ENOTDIR || error == EISDIR || error == ELOOP ||
                   error == ENAMETOOLONG
               ? NST_ERR_ARG
               : nst_write_status(error);
}

#endif
