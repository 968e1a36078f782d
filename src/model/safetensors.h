/* SPDX-License-Identifier: MIT */
/*
 * safetensors.h - named arrays in a file: 8 bytes of little-endian header length, a
 * JSON header that gives each tensor's type, shape and place, then the bytes. Weights,
 * style packs and checkpoints are such files.
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
 * here and below begin with the path. NST_ERR_IO, NST_ERR_FORMAT (not such a file, or
 * one that is cut short).
 */
enum nst_status nst_safetensors_open(struct nst_safetensors **out, const char *path,
                                     struct nst_err *err);
void nst_safetensors_close(struct nst_safetensors *f); /* NULL is fine */
const char *nst_safetensors_path(const struct nst_safetensors *f);

/* A text among the file's metadata, or NULL. Borrowed. */
const char *nst_safetensors_metadata(const struct nst_safetensors *f, const char *key);

bool nst_safetensors_has(const struct nst_safetensors *f, const char *key);
/* Each tensor's name, in the order of the header. */
void nst_safetensors_foreach(const struct nst_safetensors *f,
                             void (*visit)(void *ctx, const char *key), void *ctx);
/* a->bytes is borrowed from the file. NST_ERR_FORMAT: there is none, or it is not
 * sound. */
enum nst_status nst_safetensors_find(const struct nst_safetensors *f, const char *key,
                                     struct nst_array *a, struct nst_err *err);
/* nst_array_to_floats() of those of a key, which the message names. */
enum nst_status nst_safetensors_read_floats(const struct nst_safetensors *f,
                                            const char *key, const struct nst_array *a,
                                            float **out, struct nst_err *err);

struct nst_safetensors_writer;

struct nst_safetensors_writer *nst_safetensors_writer_new(void);
void nst_safetensors_writer_free(struct nst_safetensors_writer *w);
void nst_safetensors_write_metadata(struct nst_safetensors_writer *w, const char *key,
                                    const char *text);
/* a->bytes is borrowed until the writer is freed, and aligned for its type; or NULL:
 * whoever writes adds them. */
void nst_safetensors_write_array(struct nst_safetensors_writer *w, const char *key,
                                 const struct nst_array *a);
/* Write all to path ("-": standard output), whole or not at all. NST_ERR_IO. */
enum nst_status nst_safetensors_write(struct nst_safetensors_writer *w,
                                      const char *path, struct nst_err *err);
/* What comes before the arrays, which the caller adds to place in the order in which
 * they were told of. NST_ERR_IO. */
enum nst_status nst_safetensors_write_header(const struct nst_safetensors_writer *w,
                                             struct nst_atomic_file *file,
                                             struct nst_err *err);

#endif
