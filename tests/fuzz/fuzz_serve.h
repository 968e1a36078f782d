/* SPDX-License-Identifier: MIT */
/* fuzz_serve.h - the parsers of nst-serve that read data from clients, for fuzz.c. */
#ifndef NST_FUZZ_SERVE_H
#define NST_FUZZ_SERVE_H

/* Parse a file as the body of a task request, as an uploaded picture: its kind, and its
 * metadata; and as a form: the boundary up to the first line end, then the body. */
void fuzz_request(const char *path);
void fuzz_kind(const char *path);
void fuzz_strip(const char *path);
void fuzz_multipart(const char *path);

#endif
