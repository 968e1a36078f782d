/* SPDX-License-Identifier: MIT */
/*
 * multipart.h - parses a body of type multipart/form-data (RFC 7578, RFC 2046) while it
 * arrives. It keeps the header of a part, never its contents.
 */
#ifndef NST_SERVE_HTTP_MULTIPART_H
#define NST_SERVE_HTTP_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

struct serve_multipart;

/* Receives the contents of the form field name, piece by piece. begins: this is the
 * first call for a part; it has no bytes. */
typedef void serve_part_fn(void *ctx, const char *name, bool begins, const char *bytes,
                           size_t size);

/* Start to parse a body with this Content-Type header, or NULL. Returns NULL unless it
 * is multipart/form-data with a boundary of 1 to 70 characters. */
struct serve_multipart *serve_multipart_new(const char *type, serve_part_fn *on_part,
                                            void *ctx);
void serve_multipart_free(struct serve_multipart *m); /* NULL is fine */

/* Parse the next bytes of the body. */
void serve_multipart_add(struct serve_multipart *m, const char *bytes, size_t size);

/* After the last byte: NULL if the form is complete, else what is wrong with it, for a
 * message. */
const char *serve_multipart_error(const struct serve_multipart *m);

#endif
