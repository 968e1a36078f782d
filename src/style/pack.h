/* SPDX-License-Identifier: MIT */
/*
 * pack.h - a style without its pictures: the statistics of some layers, perhaps of
 * several networks, at some sizes of the painting, in a file.
 *
 * The file is safetensors. SIZE/LAYER/FINGERPRINT/products holds sum F F^T / pixels,
 * the upper triangle row by row, and .../means sum F / pixels, both F16; LAYER is
 * conv1_1 or relu1_1 and so on, FINGERPRINT nst_vgg_fingerprint() up to it in 16
 * hexadecimal digits. Metadata: format ("nst style 1"), model (the network's name) and
 * from (the pictures' names).
 */
#ifndef NST_STYLE_PACK_H
#define NST_STYLE_PACK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "model/taps.h"

struct nst_statistics;
struct nst_vgg;

#define NST_PACK_SIZES 8 /* at most */

struct nst_pack;

/* An empty pack for the network called model, at these sizes (longest sides in pixels,
 * each larger than the one before). from says what it is made of. The caller frees it:
 * nst_pack_free(). */
struct nst_pack *nst_pack_new(const char *model, const int size[], int sizes,
                              const char *from);
void nst_pack_free(struct nst_pack *p); /* NULL is fine */

/* Add the layers of v for a picture rgb (3 x h x w, which without the outermost border
 * pixels on each side is of the size of that index) with a share in the means; all
 * shares add up to 1. NST_ERR_ARG (too many
 * layers, or a picture too small for them), NST_ERR_MEM. */
enum nst_status nst_pack_add(struct nst_pack *p, struct nst_vgg *v,
                             const struct nst_taps *layers, int size, const float *rgb,
                             int h, int w, int border, double share,
                             struct nst_err *err);

/* Add all layers of another pack, at the sizes of this one, in the same way. */
enum nst_status nst_pack_add_pack(struct nst_pack *p, const struct nst_pack *other,
                                  double share, struct nst_err *err);
/* NST_ERR_ARG, naming both, unless they have the same layers of the same networks. */
enum nst_status nst_pack_match(const struct nst_pack *a, const struct nst_pack *b,
                               struct nst_err *err);

/* NST_ERR_IO, NST_ERR_FORMAT; messages begin with the path. */
enum nst_status nst_pack_load(struct nst_pack **out, const char *path,
                              struct nst_err *err);
enum nst_status nst_pack_save(const struct nst_pack *p, const char *path,
                              struct nst_err *err);

const char *nst_pack_model(const struct nst_pack *p);
const char *nst_pack_from(const struct nst_pack *p);
int nst_pack_size(const struct nst_pack *p, int i); /* 0 after the last */
/* Layer i, its channels and fingerprint; false after the last. */
bool nst_pack_layer(const struct nst_pack *p, int i, struct nst_tap *tap, int *channels,
                    uint64_t *fingerprint);

/* NST_ERR_ARG unless p has all these layers of v; the message begins with name. */
enum nst_status nst_pack_check(const struct nst_pack *p, const char *name,
                               const struct nst_vgg *v, const struct nst_taps *layers,
                               struct nst_err *err);

/*
 * The statistics of those layers of v, as of a painting of that longest side: between
 * two sizes that are there a mean by the logarithm of the size, beyond them those of
 * the nearest. They are there: nst_pack_check().
 */
void nst_pack_read(const struct nst_pack *p, const struct nst_vgg *v, int longest,
                   struct nst_statistics *const s[], int count);

#endif
