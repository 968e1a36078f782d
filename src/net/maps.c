/* SPDX-License-Identifier: MIT */
/* maps.c - the maps of a network, whole or in bands, and their memory. */
#include "config.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "net/net_internal.h"

#define ALIGNMENT 4
#define LEAST_SIDE 8
#define LEAST_BAND (2 * BACK_HALO + 8) /* rows */

void nst_net_maps_clear(struct nst_net *net)
{
    struct maps *m = &net->maps;

    net->be->ops->tensor_free(net->be, m->full);
    net->be->ops->tensor_free(net->be, m->half);
    net->be->ops->tensor_free(net->be, m->part);
    for (int i = 0; i < 3; i++)
        net->be->ops->tensor_free(net->be, m->blocks[i]);
    free(m->in);
    free(m->out);
    *m = (struct maps){0};
}

int nst_net_padded_side(int n)
{
    int side = (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;

    return side < LEAST_SIDE ? LEAST_SIDE : side;
}

static size_t map_bytes(const struct nst_net *net, int channels, int height, int width,
                        size_t *scratch)
{
    struct nst_shape s = {channels, height, width};

    return net->be->ops->tensor_bytes(net->be, s, scratch);
}

/* Rows and columns of the input of a layer for those of the blocks' maps. */
static int input_zoom(const struct nst_net *net, int layer)
{
    switch (net->layers[layer].kind) {
    case NST_NET_FROM_PICTURE:
    case NST_NET_TO_PICTURE:
        return 4;
    case NST_NET_DOWN:
        return layer == 1 ? 4 : 2;
    case NST_NET_UP:
        return layer == net->count - 3 ? 1 : 2;
    case NST_NET_SAME:
        break;
    }
    return 1;
}

/* Rows of a layer's input, and its columns. */
static struct nst_size input_size(const struct nst_net *net, int layer, int height,
                                  int width, int band)
{
    int zoom = input_zoom(net, layer);
    int rows = net->layers[layer].kind == NST_NET_SAME
                   ? height / 4
                   : nst_net_part_rows(height, band);

    return (struct nst_size){zoom * rows, zoom * width / 4};
}

/* Bytes of the weights, as they are and as the backend has them, and of the scratch
 * memory that the layers share. */
static size_t layer_bytes(const struct nst_net *net, int height, int width, int band)
{
    size_t scratch = 0, bytes = net->weights.count * sizeof(float);

    for (int i = 0; i < net->count; i++) {
        const struct nst_net_layer *l = &net->layers[i];
        struct nst_net_filters f = {.kind = l->kind, .cin = l->cin, .cout = l->cout};
        struct nst_size s = input_size(net, i, height, width, band);

        bytes +=
            net->be->ops->net->conv_bytes(net->be, &f, s.height, s.width, &scratch);
    }
    return bytes + scratch;
}

/* Bytes for a padded picture with bands of so many rows, or 0: none. */
static size_t bytes_with(const struct nst_net *net, int height, int width, int band)
{
    int w = net->shape.width, rows = nst_net_part_rows(height, band);
    size_t scratch = 0, bytes;

    bytes = 3 * map_bytes(net, 4 * w, height / 4, width / 4, &scratch) +
            map_bytes(net, 2 * w, 2 * rows, width / 2, &scratch) +
            map_bytes(net, w, 4 * rows, width, &scratch);
    if (band)
        bytes += map_bytes(net, 4 * w, rows, width / 4, &scratch);
    return bytes + scratch + 2 * sizeof(float) * 3 * nst_area(4 * rows, width) +
           layer_bytes(net, height, width, band);
}

int nst_net_choose_band(const struct nst_net *net, int height, int width, size_t limit)
{
    int rows = height / ALIGNMENT;

    if (!limit || bytes_with(net, height, width, 0) <= limit)
        return 0;
    for (int band = rows / 2; band >= LEAST_BAND; band -= 1 + band / 16)
        if (bytes_with(net, height, width, band) <= limit)
            return band;
    return -1;
}

size_t nst_net_bytes(const struct nst_net *net, int height, int width, size_t limit)
{
    int h = nst_net_padded_side(height), w = nst_net_padded_side(width);
    int band = nst_net_choose_band(net, h, w, limit);

    return band < 0 ? 0 : bytes_with(net, h, w, band);
}

static enum nst_status map_new(struct nst_net *net, struct nst_tensor **out,
                               int channels, int height, int width, struct nst_err *err)
{
    struct nst_shape s = {channels, height, width};

    return net->be->ops->tensor_new(net->be, out, s, err);
}

static enum nst_status maps_new(struct nst_net *net, int height, int width, int band,
                                struct nst_err *err)
{
    struct maps *m = &net->maps;
    int w = net->shape.width, rows = nst_net_part_rows(height, band);
    enum nst_status st = map_new(net, &m->full, w, 4 * rows, width, err);

    if (st == NST_OK)
        st = map_new(net, &m->half, 2 * w, 2 * rows, width / 2, err);
    if (st == NST_OK && band)
        st = map_new(net, &m->part, 4 * w, rows, width / 4, err);
    for (int i = 0; st == NST_OK && i < 3; i++)
        st = map_new(net, &m->blocks[i], 4 * w, height / 4, width / 4, err);
    if (st == NST_OK)
        st = nst_floats_new(&m->in, 3, 4 * (size_t)rows, (size_t)width, err);
    if (st == NST_OK)
        st = nst_floats_new(&m->out, 3, 4 * (size_t)rows, (size_t)width, err);
    for (int i = 0; st == NST_OK && i < net->count; i++) {
        struct nst_size s = input_size(net, i, height, width, band);

        st = net->be->ops->net->conv_prepare(net->be, net->convs[i], s.height, s.width,
                                             err);
    }
    m->height = height;
    m->width = width;
    m->band = band;
    return st;
}

enum nst_status nst_net_maps_prepare(struct nst_net *net, int height, int width,
                                     int band, struct nst_err *err)
{
    const struct maps *m = &net->maps;
    enum nst_status st;

    if (m->height == height && m->width == width && m->band == band)
        return NST_OK;
    nst_net_maps_clear(net);
    st = maps_new(net, height, width, band, err);
    if (st != NST_OK)
        nst_net_maps_clear(net);
    return st;
}
