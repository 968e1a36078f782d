/* SPDX-License-Identifier: MIT */
/*
 * net_grad.h - the CPU backend's gradients of feed-forward networks (see
 * net_grad_ops.h). The order of each sum depends on the shapes alone.
 */
#ifndef NST_BACKEND_CPU_NET_GRAD_H
#define NST_BACKEND_CPU_NET_GRAD_H

#include "backend/cpu/net.h"
#include "backend/net_grad_ops.h"

#define NST_CPU_NET_TAPS 9
#define NST_CPU_NET_TILE 4
#define NST_CPU_NET_POINTS 36

struct nst_net_grad {
    enum nst_net_kind kind;
    int in, out, cin, cout; /* of the convolution: blocks of channels, and channels */
    /* SAME, UP: of the tap-mirrored, transposed filters, 36 points x in x (16 out)
     * x 16. TO_PICTURE: of the mirrored filters, in x (9 rows x 27) x 16. */
    float *weight;
    float *taps; /* SAME, UP, DOWN: transposed, 9 taps x in x (16 out) x 16 */
};

/* Matrix of tap t for gemm(), from the gradient's blocks to those of the input. */
static inline const float *nst_cpu_net_tap(const struct nst_net_grad *k, int t)
{
    return k->taps + (size_t)t * (size_t)(k->in * k->out) * NST_BLOCK * NST_BLOCK;
}

static inline int nst_cpu_net_tiles(int pixels)
{
    return (pixels + NST_CPU_NET_TILE - 1) / NST_CPU_NET_TILE;
}

/* Floats per point of a group of tiles: an odd number of cache lines. */
static inline size_t nst_cpu_net_point(int blocks, int tiles)
{
    return ((size_t)blocks * (size_t)tiles | 1) * NST_BLOCK;
}

/* net_grad_conv.c: SAME and UP, by their input of height x width */
size_t nst_cpu_net_grad_floats(const struct nst_net_grad *k);
void nst_cpu_net_grad_set(const struct nst_cpu *cpu, struct nst_net_grad *k,
                          const struct nst_net_filters *f);
struct nst_cpu_scratch nst_cpu_net_grad_conv_scratch(const struct nst_cpu *cpu,
                                                     const struct nst_net_grad *k,
                                                     int height, int width);
void nst_cpu_net_grad_conv(struct nst_cpu *cpu, const struct nst_net_grad *k,
                           const struct nst_tensor *gy, struct nst_tensor *gx,
                           bool add);

/* net_grad_down.c: DOWN by its input, and by its weights */
struct nst_cpu_scratch nst_cpu_net_grad_down_scratch(const struct nst_net_grad *k,
                                                     int width);
void nst_cpu_net_grad_down(struct nst_cpu *cpu, const struct nst_net_grad *k,
                           const struct nst_tensor *gy, struct nst_tensor *gx,
                           bool add);
void nst_cpu_net_grad_down_weight(struct nst_cpu *cpu, const struct nst_net_grad *k,
                                  const struct nst_net_view *x,
                                  const struct nst_tensor *gy, float *weight);

/* net_grad_weight.c: SAME and UP by their weights */
struct nst_cpu_scratch nst_cpu_net_grad_weight_scratch(const struct nst_net_grad *k);
void nst_cpu_net_grad_weight(struct nst_cpu *cpu, const struct nst_net_grad *k,
                             const struct nst_net_view *x, const struct nst_tensor *gy,
                             float *weight);

/* net_grad_picture.c: FROM_PICTURE by its weights, TO_PICTURE by its input and weights
 */
size_t nst_cpu_net_grad_picture_floats(const struct nst_net_grad *k);
void nst_cpu_net_grad_picture_set(struct nst_net_grad *k,
                                  const struct nst_net_filters *f);
struct nst_cpu_scratch nst_cpu_net_grad_picture_scratch(const struct nst_net_grad *k,
                                                        int height, int width);
void nst_cpu_net_grad_to_picture(struct nst_cpu *cpu, const struct nst_net_grad *k,
                                 const float *rgb, struct nst_tensor *gx);
void nst_cpu_net_grad_from_picture_weight(struct nst_cpu *cpu,
                                          const struct nst_net_grad *k,
                                          const float *rgb, const struct nst_tensor *gy,
                                          float *weight);
void nst_cpu_net_grad_to_picture_weight(struct nst_cpu *cpu,
                                        const struct nst_net_grad *k,
                                        const struct nst_net_view *x, const float *grgb,
                                        float *weight, float *bias);

#endif
