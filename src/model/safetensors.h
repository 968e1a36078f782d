/* SPDX-License-Identifier: MIT */
/*
 * safetensors.h - reader and writer of safetensors files, the format of weights, style
 * packs and checkpoints: 8 bytes of little-endian header length, a JSON header with
 * each array's dtype, shape and offsets, then the bytes.
 */
#ifndef NST_MODEL_SAFETENSORS_H
#define NST_MODEL_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic_file.h"
#include "base/err.h"
#include "model/dtype.h"

struct nst_safetensors; /* an open file */

/*
 * Open the file at path. *out belongs to the caller: nst_safetensors_close(). Messages
 * here and below begin with the path. NST_ERR_ARG (no such file), NST_ERR_IO,
 * NST_ERR_FORMAT (not a safetensors file, or a truncated one).
 */
enum nst_status nst_safetensors_open(struct nst_safetensors **out, const char *path,
                                     struct nst_err *err);
void nst_safetensors_close(struct nst_safetensors *f); /* NULL is fine */
const char *nst_safetensors_path(const struct nst_safetensors *f);

/* A metadata text, or NULL. Borrowed. */
const char *nst_safetensors_metadata(const struct nst_safetensors *f, const char *key);

bool nst_safetensors_has(const struct nst_safetensors *f, const char *key);
/* Call visit with the key of each array, in the order of the header. */
void nst_safetensors_foreach(const struct nst_safetensors *f,
                             void (*visit)(void *ctx, const char *key), void *ctx);
/* a->bytes is borrowed from f. NST_ERR_FORMAT: the array is missing or invalid. */
enum nst_status nst_safetensors_find(const struct nst_safetensors *f, const char *key,
                                     struct nst_array *a, struct nst_err *err);
/* nst_array_to_floats() of the array of key. Messages name the key. */
enum nst_status nst_safetensors_read_floats(const struct nst_safetensors *f,
                                            const char *key, const struct nst_array *a,
                                            float **out, struct nst_err *err);

struct nst_safetensors_writer;

struct nst_safetensors_writer *nst_safetensors_writer_new(void);
void nst_safetensors_writer_free(struct nst_safetensors_writer *w);
void nst_safetensors_write_metadata(struct nst_safetensors_writer *w, const char *key,
                                    const char *text);
/* a->bytes is borrowed until the writer is freed. NULL: the caller writes these bytes
 * itself: nst_safetensors_write_header(). Arrays follow each other without padding. */
void nst_safetensors_write_array(struct nst_safetensors_writer *w, const char *key,
                                 const struct nst_array *a);
/* Write the file atomically to path ("-": standard output). NST_ERR_IO. */
enum nst_status nst_safetensors_write(struct nst_safetensors_writer *w,
                                      const char *path, struct nst_err *err);
/* Write only the header. The caller then writes the arrays to file, in the order of the
 * nst_safetensors_write_array() calls. NST_ERR_IO. */
enum nst_status nst_safetensors_write_header(const struct nst_safetensors_writer *w,
                                             struct nst_atomic_file *file,
                                             struct nst_err *err);

#endif
