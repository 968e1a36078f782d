/* SPDX-License-Identifier: MIT */
/*
 * upload.h - a picture on its way in: the field of a multipart form, into a file that
 * has a name of ours, looked at before it is kept.
 */
#ifndef NST_SERVE_UPLOAD_H
#define NST_SERVE_UPLOAD_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/response.h"
#include "serve/settings.h"

struct serve_upload;

/* Of the form's field; NULL if the request is no multipart form. serve_upload_free(),
 * which removes what was not kept. */
struct serve_upload *serve_upload_new(struct MHD_Connection *c, const char *field,
                                      const struct serve_settings *s);
void serve_upload_free(struct serve_upload *u);

/* Is there room for what the request says it is? If not, *response. */
bool serve_upload_has_space(const struct serve_upload *u, uint64_t bytes,
                            struct serve_response *response);

/* The next bytes of the form. */
void serve_upload_add(struct serve_upload *u, const char *bytes, size_t size);

/* Keep the picture in that folder of the store: its name, a new string. NULL if it is
 * none, or cannot be kept: *response says so. */
char *serve_upload_store(struct serve_upload *u, const char *folder,
                         struct serve_response *response);

#endif
