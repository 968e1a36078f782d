/* SPDX-License-Identifier: MIT */
/*
 * static_files.h - the files of the web page, read into memory at the start. NAME.br
 * and NAME.gz are precompressed variants for clients that accept them.
 */
#ifndef NST_SERVE_HTTP_STATIC_FILES_H
#define NST_SERVE_HTTP_STATIC_FILES_H

#include "serve/http/server.h"

/* Read the folder; NULL: the installed one. Without either, a built-in page links to
 * openapi.json. */
void serve_static_open(const char *folder);
void serve_static_close(void);

/* Add a file, in two variants: text, which is copied, and its gzip. */
void serve_static_add(const char *name, const char *text);

/* Respond with the file of that name ("index.html", "assets/x.js"). */
struct serve_response serve_static_file(struct serve_request *r, const char *name);

#endif
