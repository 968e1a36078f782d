/* SPDX-License-Identifier: MIT */
/*
 * net.h - the CPU backend's convolutions of feed-forward networks (see net_ops.h).
 * Those at each pixel are Winograd's F(4x4, 3x3); those at every second pixel and from
 * a picture are matrix products; that to a picture has pixels in its vectors, in place
 * of channels.
 */
#ifndef NST_BACKEND_CPU_NET_H
#define NST_BACKEND_CPU_NET_H

#include "backend/cpu/layout.h"

#define NST_CPU_NET_SIDE (2 * NST_NET_REACH + 1)

struct nst_net_conv {
    enum nst_net_kind kind;
    int in, out, cin, cout; /* blocks of channels, and channels */
    /* SAME, UP: 36 points x out x (16 in) x 16. DOWN: out x (9 taps x 16 in) x 16.
     * FROM_PICTURE: out x (9 rows x 27) x 16. TO_PICTURE: in x 9 x 16 x 9 x 3. */
    float *weight;
    float bias[3]; /* TO_PICTURE */
};

/* Sums of the map y that a convolution makes: of each item of its work, then of all. */
struct nst_cpu_net_sums {
    const struct nst_net_sums *to; /* or NULL */
    double (*items)[2][NST_BLOCK]; /* item x block */
    int blocks;
};

static inline int nst_cpu_min(int a, int b)
{
    return a < b ? a : b;
}

/* Block b of a view. */
static inline struct nst_block_view nst_cpu_net_block(const struct nst_net_view *view,
                                                      int b)
{
    struct nst_block_view to = {.relu = view->relu};
    int channels = nst_cpu_min(view->x->shape.c - b * NST_BLOCK, NST_BLOCK);

    for (int i = 0; i < channels; i++) {
        to.scale[i] = view->scale ? view->scale[b * NST_BLOCK + i] : 1;
        to.shift[i] = view->shift ? view->shift[b * NST_BLOCK + i] : 0;
    }
    return to;
}

/* The sums of an item's block. Add floats to them. */
static inline void nst_cpu_net_sums_add(const struct nst_cpu_net_sums *s, int item,
                                        int b, const float sums[2][NST_BLOCK])
{
    double(*to)[NST_BLOCK] = s->items[(size_t)item * (size_t)s->blocks + (size_t)b];

    for (int k = 0; k < NST_BLOCK; k++) {
        to[0][k] += sums[0][k];
        to[1][k] += sums[1][k];
    }
}
/* Is row one of those that are summed? */
static inline bool nst_cpu_net_summed(const struct nst_cpu_net_sums *s, int row)
{
    return s->to && row >= s->to->first && row < s->to->last;
}

/* net_conv.c: SAME, DOWN, UP */
void nst_cpu_net_conv_set(struct nst_net_conv *k, const struct nst_cpu *cpu,
                          const struct nst_net_filters *f);
size_t nst_cpu_net_conv_floats(const struct nst_net_conv *k);
/* Scratch memory, and the items of its work, for an input of this size. */
struct nst_cpu_scratch nst_cpu_net_conv_scratch(const struct nst_cpu *cpu,
                                                const struct nst_net_conv *k);
int nst_cpu_net_conv_items(const struct nst_cpu *cpu, const struct nst_net_conv *k,
                           int height, int width);
void nst_cpu_net_conv(struct nst_cpu *cpu, const struct nst_net_conv *k,
                      const struct nst_net_view *x, struct nst_tensor *y,
                      const struct nst_cpu_net_sums *sums);

/* net_picture.c: FROM_PICTURE, TO_PICTURE */
void nst_cpu_net_picture_set(struct nst_net_conv *k, const struct nst_net_filters *f);
size_t nst_cpu_net_picture_floats(const struct nst_net_conv *k);
struct nst_cpu_scratch nst_cpu_net_picture_scratch(int width);
int nst_cpu_net_picture_items(int height);
void nst_cpu_net_from_picture(struct nst_cpu *cpu, const struct nst_net_conv *k,
                              const float *rgb, struct nst_tensor *y,
                              const struct nst_cpu_net_sums *sums);
void nst_cpu_net_to_picture(struct nst_cpu *cpu, const struct nst_net_conv *k,
                            const struct nst_net_view *x, float *rgb);

#endif
