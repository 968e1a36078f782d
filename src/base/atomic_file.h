/* SPDX-License-Identifier: MIT */
/*
 * atomic_file.h - a file that appears whole under its name, or not at all.
 *
 * The bytes go to a file without a name (O_TMPFILE) in the destination's folder, which
 * gets its name by linkat() and rename() once they are on the disk. Killed at any
 * moment, a run leaves the old file or the new one. Where the file system has no
 * O_TMPFILE, a dot file stands in for it.
 */
#ifndef NST_BASE_ATOMIC_FILE_H
#define NST_BASE_ATOMIC_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct nst_atomic_file;

/*
 * Reserve path ("-": standard output; its symbolic links are followed). What cannot be
 * written is refused here: NST_ERR_IO. What the system refuses is in errno, too, here
 * and below, until nst_atomic_file_free() and beyond. *out belongs to the caller:
 * nst_atomic_file_free().
 */
enum nst_status nst_atomic_file_open(struct nst_atomic_file **out, const char *path,
                                     struct nst_err *err);

/* True for standard output, a pipe or a device: nothing is renamed there. */
bool nst_atomic_file_is_stream(const struct nst_atomic_file *f);

/* Write the next bytes of the file, which nobody sees yet unless it is a stream.
 * NST_ERR_IO. */
enum nst_status nst_atomic_file_write(struct nst_atomic_file *f, const void *data,
                                      size_t size, struct nst_err *err);
/* Give the file its name, now that all is written. Once per place. NST_ERR_IO. */
enum nst_status nst_atomic_file_commit(struct nst_atomic_file *f, struct nst_err *err);

/* NULL is fine; drops what was not written. */
void nst_atomic_file_free(struct nst_atomic_file *f);

/* Where a file of that path is, or would be: links followed, and without dots and
 * double slashes, so that two paths to one place become the same text. A new string. */
char *nst_path_canonical(const char *path);

#endif
