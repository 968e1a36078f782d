/* SPDX-License-Identifier: MIT */
/*
 * pages.h - the web page: the files of a folder, read once at the start, with what was
 * compressed beforehand (NAME.br, NAME.gz) for those who take it.
 */
#ifndef NST_SERVE_PAGES_H
#define NST_SERVE_PAGES_H

#include "serve/http.h"

/* Read the folder; NULL: the installed one. Without any there is a page that says where
 * the API is described. */
void serve_pages_open(const char *folder);
void serve_pages_close(void);

/* The file of that name ("index.html", "assets/x.js"). */
struct serve_answer serve_page(struct serve_request *r, const char *name);

#endif
