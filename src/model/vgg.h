/* SPDX-License-Identifier: MIT */
/*
 * vgg.h - the VGG19 of Simonyan and Zisserman 2015, cut after the last layer used:
 * features of a picture, and the way back from gradients at the taps to the picture.
 *
 * struct nst_vgg is the network (weights in the backend's form), struct nst_activations
 * the feature maps of one picture size. Of each convolution one map is kept: the value
 * before the ReLU where somebody taps it, else the value after, and whoever reads the
 * former applies the ReLU on the way.
 */
#ifndef NST_MODEL_VGG_H
#define NST_MODEL_VGG_H

#include <stdint.h>

#include "backend/backend.h"
#include "model/layers.h"
#include "model/weights.h"

struct nst_vgg;
struct nst_activations;

/*
 * Build the network of all the convolutions in w (borrowed for the call) on be
 * (borrowed as long as the network lives).
 * *out belongs to the caller: nst_vgg_free(). NST_ERR_MEM.
 */
enum nst_status nst_vgg_new(struct nst_vgg **out, struct nst_backend *be,
                            const struct nst_weights *w, enum nst_pooling pooling,
                            struct nst_err *err);
void nst_vgg_free(struct nst_vgg *v);
/* The same network, whose weights are borrowed from v, on a backend that the one of v
 * was shared to (borrowed), for passes beside those of v. */
void nst_vgg_clone(struct nst_vgg **out, const struct nst_vgg *v,
                   struct nst_backend *be);
struct nst_backend *nst_vgg_backend(const struct nst_vgg *v);
/* A number that differs with the weights, and the poolings, up to a convolution. */
uint64_t nst_vgg_fingerprint(const struct nst_vgg *v, int conv);
/* What the network was made with. */
enum nst_pooling nst_vgg_pooling(const struct nst_vgg *v);
/* That of the last one, and so of all. */
uint64_t nst_vgg_whole_fingerprint(const struct nst_vgg *v);
/* How many convolutions there are, and channels that one puts out. */
int nst_vgg_convs(const struct nst_vgg *v);
int nst_vgg_channels(const struct nst_vgg *v, int conv);

/*
 * Make room for pictures of 3 x height x width. keep_before_relu says for each
 * convolution whether the value before its ReLU is tapped.
 * *out belongs to the caller: nst_activations_free().
 * NST_ERR_ARG (so small that a map would be empty), NST_ERR_MEM.
 */
enum nst_status nst_activations_new(struct nst_activations **out, struct nst_vgg *v,
                                    int height, int width,
                                    const bool keep_before_relu[NST_VGG_CONVS],
                                    struct nst_err *err);
void nst_activations_free(struct nst_activations *a);
/* Bytes that a pass takes, or the map of one of its convolutions; *scratch is raised to
 * what the backend's scratch grows by for it. */
size_t nst_activations_bytes(const struct nst_vgg *v, int height, int width,
                             size_t *scratch);
size_t nst_vgg_map_bytes(const struct nst_vgg *v, int conv, int height, int width);

struct nst_backend *nst_activations_backend(const struct nst_activations *a);

/* rgb: 3 x height x width, 0 to 1, planar, among the backend's numbers; borrowed. */
void nst_vgg_forward(struct nst_activations *a, const float *rgb);

/* The map of a convolution after nst_vgg_forward(); *relu is set if the ReLU is still
 * to be applied to see the value that tap asks for. Borrowed. */
const struct nst_tensor *nst_activations_map(const struct nst_activations *a,
                                             const struct nst_layer *layer, bool *relu);

/* The part of a convolution's map that belongs to a part of the picture, whose edges
 * are the picture's own or multiples of nst_vgg_stride(). */
struct nst_window nst_activations_window(const struct nst_activations *a, int conv,
                                         struct nst_window picture);

/* Of a feature in the last map: the side of the square of pixels that it sees (its
 * receptive field), and the pixels from one feature to the next. */
int nst_vgg_receptive_field(const struct nst_vgg *v);
int nst_vgg_stride(const struct nst_vgg *v);
/* How often the picture was halved, rounded down, for a convolution's map. */
int nst_vgg_log2_stride(const struct nst_vgg *v, int conv);

/*
 * Walk back to the picture. For each convolution from the last to the first, terms is
 * called for the value after its ReLU and for the one before, and says what the losses
 * add there (all zero: nothing). The maps are lost on the way. grad: 3 x height x
 * width, written.
 */
typedef struct nst_loss_grad nst_loss_grad_fn(void *ctx, int conv, bool after_relu);
void nst_vgg_backward(struct nst_activations *a, nst_loss_grad_fn *loss_grad, void *ctx,
                      float *grad);

#endif
