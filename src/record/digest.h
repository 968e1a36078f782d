/* SPDX-License-Identifier: MIT */
/* digest.h - what is in a file, in 64 hexadecimal digits. */
#ifndef NST_RECORD_DIGEST_H
#define NST_RECORD_DIGEST_H

#include <stddef.h>

/* SHA-256 of the file's bytes, a new string; NULL if it is not a regular file or cannot
 * be read. */
char *nst_sha256(const char *path);
/* Of that text. */
char *nst_sha256_of(const char *text, size_t size);

#endif
