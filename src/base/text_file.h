/* SPDX-License-Identifier: MIT */
/* text_file.h - text files as editors leave them, those of Windows too. */
#ifndef NST_BASE_TEXT_FILE_H
#define NST_BASE_TEXT_FILE_H

#include <stdio.h>

#include "base/err.h"

/* Pass over a byte order mark at the beginning of f, the text file at path. A file that
 * cannot be read shows later. NST_ERR_FORMAT: it is UTF-16. */
enum nst_status nst_text_file_begin(FILE *f, const char *path, struct nst_err *err);

#endif
