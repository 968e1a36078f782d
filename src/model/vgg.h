/* SPDX-License-Identifier: MIT */
/*
 * vgg.h - VGG19 (Simonyan and Zisserman 2015), cut after the last layer in use: the
 * forward pass to features, and the backward pass from losses to the picture.
 *
 * struct nst_vgg is the network (weights in the backend's layout), struct
 * nst_activations the feature maps of one picture size. Each convolution has one map:
 * its output before the ReLU if a loss uses that, else after it. Readers of a map
 * before the ReLU apply the ReLU themselves if they need it.
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
 * Build the network with the convolutions in w (borrowed for the call) on be (borrowed
 * as long as the network lives). padding is that of each convolution.
 * *out belongs to the caller: nst_vgg_free(). NST_ERR_MEM.
 */
enum nst_status nst_vgg_new(struct nst_vgg **out, struct nst_backend *be,
                            const struct nst_weights *w, enum nst_pooling pooling,
                            enum nst_padding padding, struct nst_err *err);
void nst_vgg_free(struct nst_vgg *v);
/* The same network with weights borrowed from v, for passes in parallel with those of
 * v. be (borrowed) is a clone of v's backend. */
void nst_vgg_clone(struct nst_vgg **out, const struct nst_vgg *v,
                   struct nst_backend *be);
struct nst_backend *nst_vgg_backend(const struct nst_vgg *v);
/* Hash of the weights and the pooling up to and including a convolution. */
uint64_t nst_vgg_fingerprint(const struct nst_vgg *v, int conv);
enum nst_pooling nst_vgg_pooling(const struct nst_vgg *v);
/* nst_vgg_fingerprint() of the last convolution: covers the whole network. */
uint64_t nst_vgg_whole_fingerprint(const struct nst_vgg *v);
/* Number of convolutions, and of output channels of one. */
int nst_vgg_convs(const struct nst_vgg *v);
int nst_vgg_channels(const struct nst_vgg *v, int conv);

/*
 * Allocate the maps for pictures of 3 x height x width. keep_before_relu selects the
 * convolutions whose map holds the output before the ReLU.
 * *out belongs to the caller: nst_activations_free().
 * NST_ERR_ARG (so small that a map would be empty), NST_ERR_MEM.
 */
enum nst_status nst_activations_new(struct nst_activations **out, struct nst_vgg *v,
                                    int height, int width,
                                    const bool keep_before_relu[NST_VGG_CONVS],
                                    struct nst_err *err);
void nst_activations_free(struct nst_activations *a);
/* Bytes of all maps, or of one convolution's map. *scratch is raised to the backend
 * scratch that these maps need beyond that of the convolutions. */
size_t nst_activations_bytes(const struct nst_vgg *v, int height, int width,
                             size_t *scratch);
size_t nst_vgg_map_bytes(const struct nst_vgg *v, int conv, int height, int width);
/* Bytes of weights that nst_activations_new() allocates for the first pictures of that
 * size. What earlier calls have counted does not count again. */
size_t nst_vgg_plan_weights(struct nst_vgg *v, int height, int width);

struct nst_backend *nst_activations_backend(const struct nst_activations *a);

/* rgb: 3 x height x width, 0 to 1, planar; borrowed. */
void nst_vgg_forward(struct nst_activations *a, const struct nst_buffer *rgb);

/* The map of a layer's convolution after nst_vgg_forward(). *relu is set if the reader
 * has to apply the ReLU to obtain the layer's value. Borrowed. */
const struct nst_tensor *nst_activations_map(const struct nst_activations *a,
                                             const struct nst_layer *layer, bool *relu);

/* The window of a convolution's map for a window of the picture, whose edges are the
 * picture's own or multiples of nst_vgg_stride(). */
struct nst_window nst_activations_window(const struct nst_activations *a, int conv,
                                         struct nst_window picture);

/* Receptive field (side of a square) and total stride of the last map, in pixels. */
int nst_vgg_receptive_field(const struct nst_vgg *v);
int nst_vgg_stride(const struct nst_vgg *v);
/* Number of poolings before a convolution; each halves the size and rounds down. */
int nst_vgg_log2_stride(const struct nst_vgg *v, int conv);

/*
 * Backward pass to the picture. For each convolution, last to first, loss_grad is
 * called for the output before and after its ReLU and returns the gradients of the
 * losses there (all zero: none). The pass overwrites the maps. grad: 3 x height x
 * width, written.
 */
typedef struct nst_loss_grad nst_loss_grad_fn(void *ctx, int conv, bool after_relu);
void nst_vgg_backward(struct nst_activations *a, nst_loss_grad_fn *loss_grad, void *ctx,
                      struct nst_buffer *grad);

#endif
