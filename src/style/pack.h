/* SPDX-License-Identifier: MIT */
/*
 * pack.h - a style without its pictures: the statistics of some layers, perhaps of
 * several networks, at some sizes of the painting, in a file.
 *
 * The file is safetensors. SIZE/LAYER/FINGERPRINT/products holds sum F F^T / pixels,
 * the upper triangle row by row, and .../means sum F / pixels, both F16; LAYER is
 * conv1_1 or relu1_1 and so on, FINGERPRINT nst_vgg_fingerprint() up to it in 16
 * hexadecimal digits. Each layer has sizes of its own. preview, if there is one, is a
 * small JPEG as U8. Metadata: format ("nst style 2"), model (the network's name), from
 * (the pictures' names), perhaps artist, title and year, and pooling/FINGERPRINT ("max"
 * or "avg") of the layers above the first pooling.
 *
 * "nst style 1", which is read too, has all layers at all sizes, and neither a preview
 * nor the last four texts.
 */
#ifndef NST_STYLE_PACK_H
#define NST_STYLE_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/layers.h"

struct nst_statistics;
struct nst_vgg;

#define NST_PACK_SIZES 8               /* of a layer, at most */
#define NST_PACK_PREVIEW_MAX (1 << 16) /* bytes */

struct nst_pack;

/* An empty pack for the network called model; from says what it is made of. The caller
 * frees it: nst_pack_free(). */
struct nst_pack *nst_pack_new(const char *model, const char *from);
void nst_pack_free(struct nst_pack *p); /* NULL is fine */

/* What a pack says of itself. */
enum nst_pack_text {
    NST_PACK_MODEL,
    NST_PACK_FROM,
    NST_PACK_ARTIST,
    NST_PACK_TITLE,
    NST_PACK_YEAR,
    NST_PACK_TEXTS /* how many there are */
};
/* How the file calls that text. */
const char *nst_pack_text_name(enum nst_pack_text which);
/* Borrowed; NULL if there is none, but a pack has a model and a from. */
const char *nst_pack_text(const struct nst_pack *p, enum nst_pack_text which);
/* A copy of text, in one line: a space takes the place of each control character. NULL
 * takes the text away. */
void nst_pack_set_text(struct nst_pack *p, enum nst_pack_text which, const char *text);

/* A picture of the style, as the bytes of a JPEG, borrowed; NULL: there is none. */
const void *nst_pack_preview(const struct nst_pack *p, size_t *size);
/* A copy of bytes. NST_ERR_ARG: they are no JPEG, or more than NST_PACK_PREVIEW_MAX. */
enum nst_status nst_pack_set_preview(struct nst_pack *p, const void *bytes, size_t size,
                                     struct nst_err *err);

/* Add the layers of v for a picture rgb (3 x h x w, whose longest side without the
 * outermost border pixels on each side is size) with a share in the means; all shares
 * that a layer gets at a size add up to 1. NST_ERR_ARG (too many layers or sizes, or a
 * picture too small for them), NST_ERR_MEM. */
enum nst_status nst_pack_add(struct nst_pack *p, struct nst_vgg *v,
                             const struct nst_layers *layers, int size,
                             const float *rgb, int h, int w, int border, double weight,
                             struct nst_err *err);

/* Add all layers of another pack in the same way, at the sizes that they have here, or
 * if this pack lacks them at those that they have there. */
enum nst_status nst_pack_add_pack(struct nst_pack *p, const struct nst_pack *other,
                                  double weight, struct nst_err *err);
/* NST_ERR_ARG, naming both, unless they have the same layers of the same networks. */
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
    const char *pooling; /* "max", "avg" or, where both are the same, "any"; NULL: the
                            file does not say */
    int sizes, size[NST_PACK_SIZES]; /* longest sides in pixels, ascending */
};
/* Layer i; false after the last. */
bool nst_pack_layer(const struct nst_pack *p, int i, struct nst_pack_layer *out);

/* NST_ERR_ARG unless p has all these layers of v, the network called network; the
 * message begins with name and says what to do. */
enum nst_status nst_pack_check(const struct nst_pack *p, const char *name,
                               const struct nst_vgg *v, const char *network,
                               const struct nst_layers *layers, struct nst_err *err);

/*
 * The statistics of those layers of v, as of a painting of that longest side: between
 * two sizes that a layer has a mean by the logarithm of the size, beyond them those of
 * the nearest. They are there: nst_pack_check().
 */
void nst_pack_interpolate(const struct nst_pack *p, const struct nst_vgg *v,
                          int longest, struct nst_statistics *const s[], int count);

#endif
