/* SPDX-License-Identifier: MIT */
/*
 * pack.h - a style without its pictures: the statistics of some layers of a network, at
 * some sizes of the painting, in a file.
 *
 * The file is safetensors. SIZE/LAYER/products holds sum F F^T / pixels, the upper
 * triangle row by row, and SIZE/LAYER/means sum F / pixels, both F16; LAYER is conv1_1
 * or relu1_1 and so on. Metadata: format ("nst style 1"), model, pooling, from (the
 * pictures' names), and the network's fingerprint up to each layer
 * (nst_vgg_fingerprint).
 */
#ifndef NST_STYLE_PACK_H
#define NST_STYLE_PACK_H

#include "style/statistics.h"

#define NST_PACK_ENDING ".nststyle"
#define NST_PACK_SIZES 8 /* at most */

struct nst_pack;

/*
 * An empty pack of these layers of v, the network called model, at these sizes (longest
 * sides in pixels, each larger than the one before). from says what it is made of.
 * *out belongs to the caller: nst_pack_free().
 */
enum nst_status nst_pack_new(struct nst_pack **out, const struct nst_vgg *v,
                             const char *model, enum nst_pooling pooling,
                             const struct nst_taps *layers, const int size[], int sizes,
                             const char *from, struct nst_err *err);
void nst_pack_free(struct nst_pack *p); /* NULL is fine */

/* Add a picture rgb (3 x h x w, its size being the one of that index) with a share in
 * the means; all shares add up to 1. */
enum nst_status nst_pack_add(struct nst_pack *p, struct nst_vgg *v, int size,
                             const float *rgb, int h, int w, double share,
                             struct nst_err *err);

/* Add another pack. NST_ERR_ARG: it is of another network, or has not these layers. */
enum nst_status nst_pack_add_pack(struct nst_pack *p, const struct nst_pack *other,
                                  double share, struct nst_err *err);
/* An empty pack with the layers and sizes of another. */
enum nst_status nst_pack_like(struct nst_pack **out, const struct nst_pack *other,
                              const char *from, struct nst_err *err);

/* NST_ERR_IO, NST_ERR_FORMAT; messages begin with the path. */
enum nst_status nst_pack_load(struct nst_pack **out, const char *path,
                              struct nst_err *err);
enum nst_status nst_pack_save(const struct nst_pack *p, const char *path,
                              struct nst_err *err);

const char *nst_pack_model(const struct nst_pack *p);
const char *nst_pack_from(const struct nst_pack *p);
enum nst_pooling nst_pack_pooling(const struct nst_pack *p);
const struct nst_taps *nst_pack_layers(const struct nst_pack *p);
int nst_pack_size(const struct nst_pack *p, int i); /* 0 after the last */

/* NST_ERR_ARG unless p was made with v and has all these layers; the message begins
 * with name. */
enum nst_status nst_pack_check(const struct nst_pack *p, const char *name,
                               const struct nst_vgg *v, const struct nst_taps *layers,
                               struct nst_err *err);

/*
 * The statistics of those layers, as of a painting of that longest side: between two
 * sizes that are there a mean by the logarithm of the size, beyond them those of the
 * nearest.
 */
void nst_pack_read(const struct nst_pack *p, int longest,
                   struct nst_statistics *const s[], int count);

#endif
