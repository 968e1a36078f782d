/* SPDX-License-Identifier: MIT */
/* maps.c - the maps of a network, whole or in bands, and their memory. */
#include "config.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "net/net_internal.h"

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

/* Most rows of a layer's input, and columns. */
static struct nst_size input_size(const struct nst_net *net, int layer, int height,
                                  int width, int band)
{
    int zoom = input_zoom(net, layer);
    int rows = net->layers[layer].kind == NST_NET_SAME
                   ? nst_net_quarter(height)
                   : nst_net_part_rows(height, band);

    return (struct nst_size){zoom * rows, zoom * nst_net_quarter(width)};
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

/* Floats of maps->in and maps->out for a picture, or 0. */
struct copies {
    size_t in, out;
};

static struct copies copies_of(int height, int width, int band)
{
    int seen_h = nst_net_seen_side(height), seen_w = nst_net_seen_side(width);
    int made_w = 4 * nst_net_quarter(seen_w);
    size_t n = 3 * nst_area(4 * nst_net_part_rows(seen_h, band), made_w);

    return (struct copies){
        .in = band || height != seen_h || width != seen_w ? n : 0,
        .out =
            band || height != 4 * nst_net_quarter(seen_h) || width != made_w ? n : 0};
}

/* Bytes for a picture with bands of so many rows, or 0: none. */
static size_t bytes_with(const struct nst_net *net, int height, int width, int band)
{
    struct copies copies = copies_of(height, width, band);
    int h = nst_net_seen_side(height),
        columns = nst_net_quarter(nst_net_seen_side(width));
    int w = net->shape.width, rows = nst_net_part_rows(h, band);
    size_t scratch = 0, bytes;

    bytes = 3 * map_bytes(net, 4 * w, nst_net_quarter(h), columns, &scratch) +
            map_bytes(net, 2 * w, 2 * rows, 2 * columns, &scratch) +
            map_bytes(net, w, 4 * rows, 4 * columns, &scratch);
    if (band)
        bytes += map_bytes(net, 4 * w, rows, columns, &scratch);
    return bytes + scratch + (copies.in + copies.out) * sizeof(float) +
           layer_bytes(net, h, nst_net_seen_side(width), band);
}

int nst_net_choose_band(const struct nst_net *net, int height, int width, size_t limit)
{
    int rows = nst_net_quarter(nst_net_seen_side(height));

    if (!limit || bytes_with(net, height, width, 0) <= limit)
        return 0;
    for (int band = rows / 2; band >= LEAST_BAND; band -= 1 + band / 16)
        if (bytes_with(net, height, width, band) <= limit)
            return band;
    return -1;
}

size_t nst_net_bytes(const struct nst_net *net, int height, int width, size_t limit)
{
    int band = nst_net_choose_band(net, height, width, limit);

    return band < 0 ? 0 : bytes_with(net, height, width, band);
}

static enum nst_status map_new(struct nst_net *net, struct nst_tensor **out,
                               int channels, int height, int width, struct nst_err *err)
{
    struct nst_shape s = {channels, height, width};

    return net->be->ops->tensor_new(net->be, out, s, err);
}

static enum nst_status copies_new(struct maps *m, struct copies copies,
                                  struct nst_err *err)
{
    enum nst_status st = NST_OK;

    if (copies.in)
        st = nst_floats_new(&m->in, copies.in, 1, 1, err);
    if (st == NST_OK && copies.out)
        st = nst_floats_new(&m->out, copies.out, 1, 1, err);
    return st;
}

/* The sides are those of the picture. */
static enum nst_status maps_new(struct nst_net *net, int height, int width, int band,
                                struct nst_err *err)
{
    struct maps *m = &net->maps;
    int h = nst_net_seen_side(height), seen_w = nst_net_seen_side(width),
        columns = nst_net_quarter(seen_w);
    int w = net->shape.width, rows = nst_net_part_rows(h, band);
    enum nst_status st = map_new(net, &m->full, w, 4 * rows, 4 * columns, err);

    if (st == NST_OK)
        st = map_new(net, &m->half, 2 * w, 2 * rows, 2 * columns, err);
    if (st == NST_OK && band)
        st = map_new(net, &m->part, 4 * w, rows, columns, err);
    for (int i = 0; st == NST_OK && i < 3; i++)
        st = map_new(net, &m->blocks[i], 4 * w, nst_net_quarter(h), columns, err);
    if (st == NST_OK)
        st = copies_new(m, copies_of(height, width, band), err);
    for (int i = 0; st == NST_OK && i < net->count; i++) {
        struct nst_size s = input_size(net, i, h, seen_w, band);

        st = net->be->ops->net->conv_prepare(net->be, net->convs[i], s.height, s.width,
                                             err);
    }
    m->height = h;
    m->width = seen_w;
    m->picture = (struct nst_size){height, width};
    m->band = band;
    return st;
}

enum nst_status nst_net_maps_prepare(struct nst_net *net, int height, int width,
                                     int band, struct nst_err *err)
{
    const struct maps *m = &net->maps;
    enum nst_status st;

    if (m->picture.height == height && m->picture.width == width && m->band == band)
        return NST_OK;
    nst_net_maps_clear(net);
    st = maps_new(net, height, width, band, err);
    if (st != NST_OK)
        nst_net_maps_clear(net);
    return st;
}
