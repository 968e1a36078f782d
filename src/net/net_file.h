/* SPDX-License-Identifier: MIT */
/*
 * net_file.h - files of feed-forward networks (.nstnet): a style that paints a picture
 * in one pass.
 *
 * The file is safetensors. Each array is one of nst_net_parameter() of the
 * architecture, as F32 or F16 (F64 and BF16 are read, too); the optional preview is a
 * small JPEG as U8; there are no others. Metadata: format ("nst net 1"), width and
 * blocks (integers); optionally title, artist, year, credit, licence, from, training
 * and made_by. Pictures go in and out as RGB of 0 to 1.
 */
#ifndef NST_NET_NET_FILE_H
#define NST_NET_NET_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "net/parameters.h"

#define NST_NET_PREVIEW_MAX (1 << 16) /* bytes */

/* The metadata texts of a network. */
enum nst_net_text {
    NST_NET_TITLE,    /* of the painting that it imitates */
    NST_NET_ARTIST,   /* of the painting */
    NST_NET_YEAR,     /* of the painting */
    NST_NET_CREDIT,   /* who made the network, or what it is made of */
    NST_NET_LICENCE,  /* of the network */
    NST_NET_FROM,     /* files of the paintings, or of the network before conversion */
    NST_NET_TRAINING, /* how it was trained: photographs, steps, weights */
    NST_NET_MADE_BY,  /* the program and its version */
    NST_NET_TEXTS     /* the number of texts */
};
/* Metadata key of a text. */
const char *nst_net_text_name(enum nst_net_text which);

struct nst_net_file {
    struct nst_net_weights weights;
    char *text[NST_NET_TEXTS]; /* each may be NULL */
    unsigned char *preview;    /* a JPEG file of preview_size bytes, or NULL */
    size_t preview_size;
};

/* Set a text to a copy, with spaces in place of control characters. NULL removes it. */
void nst_net_file_set_text(struct nst_net_file *f, enum nst_net_text which,
                           const char *text);
/* Set the preview to a copy. NST_ERR_ARG: no JPEG, or above NST_NET_PREVIEW_MAX. */
enum nst_status nst_net_file_set_preview(struct nst_net_file *f, const void *bytes,
                                         size_t size, struct nst_err *err);

/*
 * Read the network at path. *f belongs to the caller: nst_net_file_clear(), after an
 * error too. NST_ERR_ARG (no such file), NST_ERR_IO, NST_ERR_FORMAT, NST_ERR_MEM;
 * messages begin with the path.
 */
enum nst_status nst_net_file_load(struct nst_net_file *f, const char *path,
                                  struct nst_err *err);
/* The same without weights: only the texts, the shape and the preview. The arrays must
 * exist, but their values are not read. */
enum nst_status nst_net_file_load_texts(struct nst_net_file *f, const char *path,
                                        struct nst_err *err);
/*
 * Write it to path ("-": standard output), as F16 if half, else as F32; the file gets
 * its name once it is complete. NST_ERR_IO; NST_ERR_ARG: a parameter is not finite, or
 * is beyond the range of F16.
 */
enum nst_status nst_net_file_save(const struct nst_net_file *f, const char *path,
                                  bool half, struct nst_err *err);
void nst_net_file_clear(struct nst_net_file *f);

#endif
