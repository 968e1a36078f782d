/* SPDX-License-Identifier: MIT */
/*
 * pack.h - style packs: a style without its pictures. A pack has the statistics of some
 * layers, of one or more networks, at some sizes of the style image.
 *
 * The file is safetensors. SIZE/LAYER/FINGERPRINT/products is sum F F^T / pixels, the
 * upper triangle by rows; .../means is sum F / pixels. Both are F16. LAYER is conv1_1,
 * relu1_1 and so on; FINGERPRINT is its nst_vgg_fingerprint() in 16 hexadecimal digits.
 * Each layer has its own sizes. The optional preview is a small JPEG as U8. Metadata:
 * format ("nst style 2"), model (the network's name), from (the pictures' names);
 * optionally artist, title, year and, for layers after the first pooling,
 * pooling/FINGERPRINT ("max" or "avg").
 *
 * The older "nst style 1" is read, too. It has all layers at all sizes, and neither a
 * preview nor the optional metadata.
 */
#ifndef NST_STYLE_PACK_H
#define NST_STYLE_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/image.h"
#include "model/layers.h"

struct nst_statistics;
struct nst_vgg;

#define NST_PACK_SIZES 8               /* maximum number per layer */
#define NST_PACK_PREVIEW_MAX (1 << 16) /* bytes */

struct nst_pack;

/* An empty pack. model: name of the network; from: names of the pictures. The caller
 * frees it: nst_pack_free(). */
struct nst_pack *nst_pack_new(const char *model, const char *from);
void nst_pack_free(struct nst_pack *p); /* NULL is fine */

/* The metadata texts of a pack. */
enum nst_pack_text {
    NST_PACK_MODEL,
    NST_PACK_FROM,
    NST_PACK_ARTIST,
    NST_PACK_TITLE,
    NST_PACK_YEAR,
    NST_PACK_TEXTS /* the number of texts */
};
/* Metadata key of a text. */
const char *nst_pack_text_name(enum nst_pack_text which);
/* Borrowed. NULL if missing; model and from always exist. */
const char *nst_pack_text(const struct nst_pack *p, enum nst_pack_text which);
/* Set a text to a copy, with spaces in place of control characters. NULL removes it. */
void nst_pack_set_text(struct nst_pack *p, enum nst_pack_text which, const char *text);

/* The preview as a JPEG file of size bytes; borrowed; NULL if there is none. */
const void *nst_pack_preview(const struct nst_pack *p, size_t *size);
/* Set the preview to a copy. NST_ERR_ARG: no JPEG, or above NST_PACK_PREVIEW_MAX. */
enum nst_status nst_pack_set_preview(struct nst_pack *p, const void *bytes, size_t size,
                                     struct nst_err *err);

/* Add the statistics of an image in the layers of v, times weight, for its size. The
 * weights of a layer at a size must sum to 1. NST_ERR_ARG (too many layers or sizes, or
 * the image is too small), NST_ERR_MEM. */
enum nst_status nst_pack_add(struct nst_pack *p, struct nst_vgg *v,
                             const struct nst_layers *layers, struct nst_image image,
                             double weight, struct nst_err *err);

/* Add all layers of another pack, times weight, at the sizes that they have in p.
 * Layers missing in p take their sizes from other. Errors as above. */
enum nst_status nst_pack_add_pack(struct nst_pack *p, const struct nst_pack *other,
                                  double weight, struct nst_err *err);
/* NST_ERR_ARG, naming both packs, unless they have the same layers and networks. */
enum nst_status nst_pack_match(const struct nst_pack *a, const struct nst_pack *b,
                               struct nst_err *err);

/* NST_ERR_IO, NST_ERR_FORMAT; messages begin with the path. */
enum nst_status nst_pack_load(struct nst_pack **out, const char *path,
                              struct nst_err *err);
enum nst_status nst_pack_save(const struct nst_pack *p, const char *path,
                              struct nst_err *err);

struct nst_pack_layer {
    struct nst_layer layer;
    int channels;
    uint64_t fingerprint;
    const char *pooling; /* "max", "avg", "any" (before any pooling); NULL: unknown */
    int sizes, size[NST_PACK_SIZES]; /* longest sides in pixels, ascending */
};
/* Get layer i. False after the last. */
bool nst_pack_layer(const struct nst_pack *p, int i, struct nst_pack_layer *out);

/* Not in nst.h. */

/* NST_ERR_ARG unless p has all these layers of v. The message has the style's name and
 * the network's, and says what to do. */
enum nst_status nst_pack_check(const struct nst_pack *p, const char *name,
                               const struct nst_vgg *v, const char *network,
                               const struct nst_layers *layers, struct nst_err *err);

/*
 * Fill s with the statistics of their layers of v for a style image with this longest
 * side. Between two sizes of a layer they are interpolated by the logarithm of the
 * size; outside, those of the nearest size are used. nst_pack_check() must have
 * succeeded.
 */
void nst_pack_interpolate(const struct nst_pack *p, const struct nst_vgg *v,
                          int longest, struct nst_statistics *const s[], int count);

#endif
