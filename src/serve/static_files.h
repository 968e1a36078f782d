/* SPDX-License-Identifier: MIT */
/*
 * static_files.h - the web page: the files of a folder, read once at the start, with
 * what was compressed beforehand (NAME.br, NAME.gz) for those who take it.
 */
#ifndef NST_SERVE_STATIC_FILES_H
#define NST_SERVE_STATIC_FILES_H

#include "serve/http.h"

/* Read the folder; NULL: the installed one. Without any there is a page that says where
 * the API is described. */
void serve_static_open(const char *folder);
void serve_static_close(void);

/* The file of that name ("index.html", "assets/x.js"). */
struct serve_response serve_static_file(struct serve_request *r, const char *name);

#endif
