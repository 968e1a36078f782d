/* SPDX-License-Identifier: MIT */
/* fuzz_serve.h - what nst-serve reads of clients itself, for fuzz.c. */
#ifndef NST_FUZZ_SERVE_H
#define NST_FUZZ_SERVE_H

/* A file as the body of a request for a task; as a picture that was sent; as what a
 * connection begins with. */
void fuzz_request(const char *path);
void fuzz_kind(const char *path);
void fuzz_head(const char *path);

#endif
