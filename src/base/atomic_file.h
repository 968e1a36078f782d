/* SPDX-License-Identifier: MIT */
/*
 * atomic_file.h - a file that appears complete under its name, or not at all.
 *
 * The data goes to an unnamed file (O_TMPFILE) in the destination directory. After
 * fsync(), linkat() and rename() give it its name. A run killed at any moment leaves
 * the old file or the new one. File systems without O_TMPFILE use a dot file instead.
 */
#ifndef NST_BASE_ATOMIC_FILE_H
#define NST_BASE_ATOMIC_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct nst_atomic_file;

/*
 * Reserve path ("-": standard output). Symbolic links are followed.
 * *out belongs to the caller: nst_atomic_file_free().
 * NST_ERR_ARG if path names no file in a directory, NST_ERR_IO if it cannot be written.
 * Here and below a system error is also left in errno, which nst_atomic_file_free()
 * preserves.
 */
enum nst_status nst_atomic_file_open(struct nst_atomic_file **out, const char *path,
                                     struct nst_err *err);

/* True for standard output, a pipe or a device, which are written directly. */
bool nst_atomic_file_is_stream(const struct nst_atomic_file *f);

/* Append data. It is invisible until the commit, except on a stream. NST_ERR_IO. */
enum nst_status nst_atomic_file_write(struct nst_atomic_file *f, const void *data,
                                      size_t size, struct nst_err *err);
/* Give the complete file its name. Call at most once. NST_ERR_IO. */
enum nst_status nst_atomic_file_commit(struct nst_atomic_file *f, struct nst_err *err);

/* Discards an uncommitted file. NULL is fine. */
void nst_atomic_file_free(struct nst_atomic_file *f);

/* Canonical form of path, which need not exist: symbolic links, dots and double slashes
 * are resolved. Two paths to one file give equal strings. The caller frees it. */
char *nst_path_canonical(const char *path);

/*
 * Lock the directory of path against other processes and threads that call this, for
 * the time between a look at a file and its replacement. Waits at most 10 seconds.
 * Returns a descriptor, whose close() unlocks, or -1 without a lock.
 */
int nst_lock_directory_of(const char *path);

#endif
