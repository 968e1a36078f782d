/* SPDX-License-Identifier: MIT */
/*
 * upload.h - upload of a picture: streams a field of a multipart form into a file with
 * a generated name, and checks it before it enters the store. A field "label" may name
 * it.
 */
#ifndef NST_SERVE_HTTP_UPLOAD_H
#define NST_SERVE_HTTP_UPLOAD_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/http/response.h"
#include "serve/identity.h"
#include "serve/settings.h"

struct serve_upload;

/* Start to receive a form field, borrowed; NULL if the request is not a multipart form
 * with a boundary. serve_upload_free() removes a file that was not stored. */
struct serve_upload *serve_upload_new(struct MHD_Connection *c, const char *field,
                                      const struct serve_settings *s);
void serve_upload_free(struct serve_upload *u);

/* Check the disk for the announced size. False: *response is the error. */
bool serve_upload_has_space(const struct serve_upload *u, uint64_t bytes,
                            struct serve_response *response);

/* Parse the next bytes of the body. */
void serve_upload_add(struct serve_upload *u, const char *bytes, size_t size);

/* The bytes received of the picture. */
size_t serve_upload_size(const struct serve_upload *u);

/* The cleaned label (labels.h) in the form, a new string, or NULL. */
char *serve_upload_label(const struct serve_upload *u);

/*
 * Check that the form is complete, and make the name that its picture has in a folder
 * of the store: a new string; NULL: *response is the error. The name tells nothing, but
 * the same bytes of one owner always get the same one.
 */
char *serve_upload_name(struct serve_upload *u, const char *folder,
                        const struct serve_identity *who,
                        struct serve_response *response);

/* Whether the store has the picture already, which then counts as new. */
bool serve_upload_is_stored(const char *folder, const char *name);

/* Check the picture and move it to a folder of the store, as the sender's. False:
 * *response is the error. */
bool serve_upload_store(struct serve_upload *u, const char *folder, const char *name,
                        const struct serve_identity *who,
                        struct serve_response *response);

#endif
