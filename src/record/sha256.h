/* SPDX-License-Identifier: MIT */
/* sha256.h - SHA-256 in 64 hexadecimal digits. */
#ifndef NST_RECORD_SHA256_H
#define NST_RECORD_SHA256_H

#include <stddef.h>

/* SHA-256 of a regular file, a new string; of a folder, for --flow, that of the names,
 * sizes and times of its .flo files, which together may be large. NULL for others and
 * on a read error. */
char *nst_sha256_file(const char *path);
/* SHA-256 of size bytes of text: a new string. */
char *nst_sha256_text(const char *text, size_t size);

#endif
