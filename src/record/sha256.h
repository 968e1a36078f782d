/* SPDX-License-Identifier: MIT */
/* sha256.h - what is in a file, in 64 hexadecimal digits. */
#ifndef NST_RECORD_SHA256_H
#define NST_RECORD_SHA256_H

#include <stddef.h>

/* SHA-256 of the file's bytes, a new string; NULL if it is not a regular file or cannot
 * be read. */
char *nst_sha256_file(const char *path);
/* Of that text. */
char *nst_sha256_text(const char *text, size_t size);

#endif
