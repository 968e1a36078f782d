/* SPDX-License-Identifier: MIT */
/*
 * net.c - the forward pass of a feed-forward network.
 *
 * Instance norm needs the mean and the variance of each channel over the whole map. The
 * convolution that makes a map sums them, and the next one reads the map through them.
 *
 * Within little memory only the maps of the residual blocks, which have a sixteenth of
 * the pixels, are kept whole. The others are made in bands of rows, again for each map
 * whose sums are needed. A band has some rows more on each side, which are wrong, as
 * they read past the band.
 */
#include "config.h"

#include "net/net.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/alloc.h"

#define CHANNELS (4 * NST_NET_MAX_WIDTH) /* most of any map */
/* A picture is made at sides that are multiples of 4, as two convolutions halve them.
 */
#define ALIGNMENT 4
#define LEAST_SIDE 8
/* Rows of the blocks' maps: those of a band that read past it, before and after the
 * blocks; and the least rows of a band. */
#define FRONT_HALO 2
#define BACK_HALO 4
#define LEAST_BAND (2 * BACK_HALO + 8)

/* Instance norm of a map: what its reader applies. */
struct norm {
    float scale[CHANNELS], shift[CHANNELS];
};

/* Maps of one size of picture; the height is that of a band, if bands. */
struct maps {
    int height, width; /* of the whole picture, padded */
    int band;          /* rows of the blocks' maps in a band; 0: no bands */
    struct nst_tensor *full, *half, *part; /* at the picture's size, at half of it; a
                                            * band at a quarter, if bands */
    struct nst_tensor *blocks[3];          /* at a quarter */
    float *in, *out;                       /* the padded picture, or a band of it */
};

struct nst_net {
    struct nst_backend *be;
    struct nst_net_shape shape;
    struct nst_net_layer layers[NST_NET_MAX_CONVS];
    int count;
    struct nst_net_weights weights;
    struct nst_net_conv *convs[NST_NET_MAX_CONVS];
    struct norm *norms; /* of each layer */
    struct maps maps;
};

static struct nst_net_filters filters_of(const struct nst_net_layer *layer,
                                         const float *values)
{
    return (struct nst_net_filters){
        .kind = layer->kind,
        .cin = layer->cin,
        .cout = layer->cout,
        .weight = values + layer->weight,
        .bias = layer->kind == NST_NET_TO_PICTURE ? values + layer->bias : NULL};
}

enum nst_status nst_net_new(struct nst_net **out, struct nst_backend *be,
                            const struct nst_net_weights *w, struct nst_err *err)
{
    struct nst_net *net;
    enum nst_status st;

    *out = NULL;
    if (!be->ops->net)
        return nst_err_set(err, NST_ERR_ARG,
                           "the backend '%s' cannot run feed-forward networks: use the "
                           "CPU (--device cpu)",
                           be->ops->name);
    net = nst_xcalloc(1, sizeof *net);
    net->be = be;
    net->shape = w->shape;
    net->norms = nst_xcalloc(NST_NET_MAX_CONVS, sizeof *net->norms);
    st = nst_net_weights_new(&net->weights, w->shape, err);
    if (st == NST_OK)
        memcpy(net->weights.values, w->values, w->count * sizeof *w->values);
    net->count = nst_net_layers(w->shape, net->layers, &(size_t){0});
    for (int i = 0; st == NST_OK && i < net->count; i++) {
        struct nst_net_filters f = filters_of(&net->layers[i], w->values);

        st = be->ops->net->conv_new(be, &net->convs[i], &f, err);
    }
    if (st != NST_OK) {
        nst_net_free(net);
        return st;
    }
    *out = net;
    return NST_OK;
}

static void maps_clear(struct nst_net *net)
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

void nst_net_free(struct nst_net *net)
{
    if (!net)
        return;
    maps_clear(net);
    for (int i = 0; i < net->count; i++)
        if (net->convs[i])
            net->be->ops->net->conv_free(net->be, net->convs[i]);
    nst_net_weights_clear(&net->weights);
    free(net->norms);
    free(net);
}

void nst_net_set_weights(struct nst_net *net, const struct nst_net_weights *w)
{
    memcpy(net->weights.values, w->values, w->count * sizeof *w->values);
    for (int i = 0; i < net->count; i++) {
        struct nst_net_filters f = filters_of(&net->layers[i], w->values);

        net->be->ops->net->conv_set(net->be, net->convs[i], &f);
    }
}

static int padded_side(int n)
{
    int side = (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;

    return side < LEAST_SIDE ? LEAST_SIDE : side;
}

/* Rows of the picture, or of the blocks' maps, that the maps before and after the
 * blocks have. */
static int part_rows(int height, int band)
{
    return band ? band : height / ALIGNMENT;
}

static size_t map_bytes(const struct nst_net *net, int channels, int height, int width,
                        size_t *scratch)
{
    struct nst_shape s = {channels, height, width};

    return net->be->ops->tensor_bytes(net->be, s, scratch);
}

/* Bytes for a padded picture with bands of so many rows, or 0: none. */
static size_t bytes_with(const struct nst_net *net, int height, int width, int band)
{
    int w = net->shape.width, rows = part_rows(height, band);
    size_t scratch = 0, bytes;

    bytes = 3 * map_bytes(net, 4 * w, height / 4, width / 4, &scratch) +
            map_bytes(net, 2 * w, 2 * rows, width / 2, &scratch) +
            map_bytes(net, w, 4 * rows, width, &scratch);
    if (band)
        bytes += map_bytes(net, 4 * w, rows, width / 4, &scratch);
    return bytes + scratch + 2 * sizeof(float) * 3 * nst_area(4 * rows, width);
}

/* The largest band that fits within limit, 0: none is needed, or -1: nothing fits. */
static int choose_band(const struct nst_net *net, int height, int width, size_t limit)
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
    int h = padded_side(height), w = padded_side(width);
    int band = choose_band(net, h, w, limit);

    return band < 0 ? 0 : bytes_with(net, h, w, band);
}

static enum nst_status map_new(struct nst_net *net, struct nst_tensor **out,
                               int channels, int height, int width, struct nst_err *err)
{
    struct nst_shape s = {channels, height, width};

    return net->be->ops->tensor_new(net->be, out, s, err);
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

static enum nst_status maps_new(struct nst_net *net, int height, int width, int band,
                                struct nst_err *err)
{
    struct maps *m = &net->maps;
    int w = net->shape.width, rows = part_rows(height, band);
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
        int zoom = input_zoom(net, i);
        int map_rows = net->layers[i].kind == NST_NET_SAME ? height / 4 : rows;

        st = net->be->ops->net->conv_prepare(net->be, net->convs[i], zoom * map_rows,
                                             zoom * width / 4, err);
    }
    m->height = height;
    m->width = width;
    m->band = band;
    return st;
}

static enum nst_status maps_prepare(struct nst_net *net, int height, int width,
                                    int band, struct nst_err *err)
{
    const struct maps *m = &net->maps;
    enum nst_status st;

    if (m->height == height && m->width == width && m->band == band)
        return NST_OK;
    maps_clear(net);
    st = maps_new(net, height, width, band, err);
    if (st != NST_OK)
        maps_clear(net);
    return st;
}

/* Sums of a layer's map over bands. */
struct moments {
    double sum[CHANNELS], squares[CHANNELS];
};

static void moments_add(struct moments *to, const struct nst_net_sums *part,
                        int channels)
{
    for (int c = 0; c < channels; c++) {
        to->sum[c] += part->sum[c];
        to->squares[c] += part->squares[c];
    }
}

static void set_norm(struct nst_net *net, int layer, const struct moments *m,
                     double pixels)
{
    const struct nst_net_layer *l = &net->layers[layer];
    struct norm *norm = &net->norms[layer];

    for (int c = 0; c < l->cout; c++) {
        double mean = m->sum[c] / pixels;
        double variance = fmax(m->squares[c] / pixels - mean * mean, 0);
        double scale = net->weights.values[l->scale + (size_t)c] /
                       sqrt(variance + NST_NET_VARIANCE_EPSILON);

        norm->scale[c] = (float)scale;
        norm->shift[c] =
            (float)(net->weights.values[l->shift + (size_t)c] - scale * mean);
    }
}

static struct nst_net_view view(const struct nst_net *net, const struct nst_tensor *x,
                                int layer, bool relu)
{
    const struct norm *norm = &net->norms[layer];

    return (struct nst_net_view){x, norm->scale, norm->shift, relu};
}

static void conv(struct nst_net *net, int layer, struct nst_net_view x,
                 struct nst_tensor *y, const struct nst_net_sums *sums)
{
    net->be->ops->net->conv(net->be, net->convs[layer], &x, y, sums);
}

/* A convolution of a map that is kept whole, and its norm. */
static void whole_conv(struct nst_net *net, int layer, struct nst_net_view x,
                       struct nst_tensor *y)
{
    struct moments m;
    struct nst_net_sums sums = {m.sum, m.squares, 0, y->shape.h};

    conv(net, layer, x, y, &sums);
    set_norm(net, layer, &m, (double)nst_shape_area(y->shape));
}

/* The residual blocks, from what the second convolution of stride 2 has made in
 * blocks[0] on. Returns the view of their result. */
static struct nst_net_view run_blocks(struct nst_net *net)
{
    const struct nst_net_ops *ops = net->be->ops->net;
    struct nst_tensor **q = net->maps.blocks;
    struct nst_net_view in = view(net, q[0], 2, true);

    for (int layer = 3; layer < net->count - 3; layer += 2) {
        struct nst_net_view out;

        whole_conv(net, layer, in, q[1]);
        whole_conv(net, layer + 1, view(net, q[1], layer, true), q[2]);
        out = view(net, q[2], layer + 1, false);
        ops->add(net->be, &out, &in, q[0]);
        in = (struct nst_net_view){.x = q[0]};
    }
    return in;
}

static void paint_whole(struct nst_net *net)
{
    const struct nst_net_ops *ops = net->be->ops->net;
    struct maps *m = &net->maps;
    int last = net->count - 1;
    struct moments sums;
    struct nst_net_sums full = {sums.sum, sums.squares, 0, m->height};
    struct nst_net_view x;

    ops->from_picture(net->be, net->convs[0], m->in, m->full, &full);
    set_norm(net, 0, &sums, (double)nst_area(m->height, m->width));
    whole_conv(net, 1, view(net, m->full, 0, true), m->half);
    whole_conv(net, 2, view(net, m->half, 1, true), m->blocks[0]);
    whole_conv(net, last - 2, run_blocks(net), m->half);
    whole_conv(net, last - 1, view(net, m->half, last - 2, true), m->full);
    x = view(net, m->full, last - 1, true);
    ops->to_picture(net->be, net->convs[last], &x, m->out);
}

/* Of n pixels, the one that stands for pixel i >= 0: reflected again and again. */
static int wrapped(int i, int n)
{
    int period = 2 * (n - 1);

    if (n == 1)
        return 0;
    i %= period;
    return i < n ? i : period - i;
}

/* Fill m->in with rows from top on. */
static void read_rows(struct maps *m, struct nst_image in, int top)
{
    int rows = 4 * part_rows(m->height, m->band);

    for (int c = 0; c < 3; c++)
        for (int i = 0; i < rows; i++) {
            const float *from =
                in.rgb +
                ((size_t)c * in.height + wrapped(top + i, in.height)) * in.width;
            float *to = m->in + ((size_t)c * rows + i) * m->width;

            memcpy(to, from, (size_t)in.width * sizeof *to);
            for (int j = in.width; j < m->width; j++)
                to[j] = from[wrapped(j, in.width)];
        }
}

/* Copy rows first to last - 1 of the picture from m->out, which begins at row top. */
static void write_rows(const struct maps *m, struct nst_size size, int top, int first,
                       int last, float *out)
{
    int rows = 4 * part_rows(m->height, m->band);

    if (last > size.height)
        last = size.height;
    for (int c = 0; c < 3; c++)
        for (int i = first; i < last; i++)
            memcpy(out + ((size_t)c * size.height + i) * size.width,
                   m->out + ((size_t)c * rows + (i - top)) * m->width,
                   (size_t)size.width * sizeof *out);
}

/* A band: rows of the blocks' maps. It begins at row top and is right in rows first to
 * last - 1. */
struct band {
    int top, first, last;
};

/* The next band; the first follows {0}. */
static bool next_band(const struct maps *m, int halo, struct band *b)
{
    int rows = m->height / 4;

    if (b->last == rows)
        return false;
    b->first = b->last;
    b->top = b->first < halo ? 0 : b->first - halo;
    if (b->top + m->band >= rows) {
        b->top = rows - m->band;
        b->last = rows;
    } else {
        b->last = b->top + m->band - halo;
    }
    return true;
}

/* Where sums of the right rows of a map go, zoom times as many as of the blocks' maps.
 */
static struct nst_net_sums band_sums(struct moments *part, const struct band *b,
                                     int zoom)
{
    return (struct nst_net_sums){part->sum, part->squares, zoom * (b->first - b->top),
                                 zoom * (b->last - b->top)};
}

/* The layers before the blocks up to layer last, of one band. */
static void front_band(struct nst_net *net, struct nst_image in, const struct band *b,
                       int last, const struct nst_net_sums *sums)
{
    const struct nst_net_ops *ops = net->be->ops->net;
    struct maps *m = &net->maps;

    read_rows(m, in, 4 * b->top);
    ops->from_picture(net->be, net->convs[0], m->in, m->full, last == 0 ? sums : NULL);
    if (last >= 1)
        conv(net, 1, view(net, m->full, 0, true), m->half, last == 1 ? sums : NULL);
    if (last >= 2) {
        conv(net, 2, view(net, m->half, 1, true), m->part, sums);
        ops->copy_rows(net->be, m->part, b->first - b->top, b->last - b->first,
                       m->blocks[0], b->first);
    }
}

/* The layers after the blocks, which made x, up to layer last, of one band. */
static void back_band(struct nst_net *net, struct nst_net_view x, const struct band *b,
                      int last, const struct nst_net_sums *sums)
{
    const struct nst_net_ops *ops = net->be->ops->net;
    struct maps *m = &net->maps;
    int up = net->count - 3;

    ops->copy_rows(net->be, x.x, b->top, m->band, m->part, 0);
    x.x = m->part;
    conv(net, up, x, m->half, last == up ? sums : NULL);
    if (last > up)
        conv(net, up + 1, view(net, m->half, up, true), m->full,
             last == up + 1 ? sums : NULL);
    if (last > up + 1) {
        x = view(net, m->full, up + 1, true);
        ops->to_picture(net->be, net->convs[last], &x, m->out);
    }
}

static void paint_bands(struct nst_net *net, struct nst_image in, float *out)
{
    struct maps *m = &net->maps;
    struct nst_size size = {in.height, in.width};
    double pixels = (double)nst_area(m->height, m->width);
    int last = net->count - 1;
    struct nst_net_view x;

    for (int layer = 0; layer <= 2; layer++) {
        struct moments all = {{0}}, part;
        int zoom = layer == 0 ? 4 : layer == 1 ? 2 : 1;

        for (struct band b = {0}; next_band(m, FRONT_HALO, &b);) {
            struct nst_net_sums sums = band_sums(&part, &b, zoom);

            front_band(net, in, &b, layer, &sums);
            moments_add(&all, &sums, net->layers[layer].cout);
        }
        set_norm(net, layer, &all, pixels * zoom * zoom / 16);
    }
    x = run_blocks(net);
    for (int layer = last - 2; layer <= last; layer++) {
        struct moments all = {{0}}, part;
        int zoom = layer == last - 2 ? 2 : 4;

        for (struct band b = {0}; next_band(m, BACK_HALO, &b);) {
            struct nst_net_sums sums = band_sums(&part, &b, zoom);

            back_band(net, x, &b, layer, &sums);
            if (layer < last)
                moments_add(&all, &sums, net->layers[layer].cout);
            else
                write_rows(m, size, 4 * b.top, 4 * b.first, 4 * b.last, out);
        }
        if (layer < last)
            set_norm(net, layer, &all, pixels * zoom * zoom / 16);
    }
}

enum nst_status nst_net_paint(struct nst_net *net, struct nst_image in, float *out,
                              size_t limit, struct nst_err *err)
{
    int height = padded_side(in.height), width = padded_side(in.width);
    int band = choose_band(net, height, width, limit);
    struct nst_size size = {in.height, in.width};
    enum nst_status st;

    if (band < 0)
        return nst_err_set(err, NST_ERR_MEM,
                           "a picture of %d x %d pixels does not fit into memory",
                           in.width, in.height);
    st = maps_prepare(net, height, width, band, err);
    if (st != NST_OK)
        return st;
    if (band) {
        paint_bands(net, in, out);
        return NST_OK;
    }
    read_rows(&net->maps, in, 0);
    paint_whole(net);
    write_rows(&net->maps, size, 0, 0, height, out);
    return NST_OK;
}
