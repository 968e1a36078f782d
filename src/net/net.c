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

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "net/net_internal.h"

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

void nst_net_free(struct nst_net *net)
{
    if (!net)
        return;
    nst_net_maps_clear(net);
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

void nst_net_set_stop(struct nst_net *net, bool (*stop)(void *ctx), void *ctx)
{
    net->stop = stop;
    net->stop_ctx = ctx;
}

bool nst_net_stopped(const struct nst_net *net)
{
    return net->stopped;
}

static bool should_stop(struct nst_net *net)
{
    net->stopped = net->stopped || (net->stop && net->stop(net->stop_ctx));
    return net->stopped;
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

static int least(int a, int b)
{
    return a < b ? a : b;
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

    if (should_stop(net))
        return;
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

/* Give full and half the shape that they have before the blocks, for rows of the
 * blocks' maps from top on. */
static void shape_front(struct nst_net *net, int top, int rows)
{
    const struct nst_net_ops *ops = net->be->ops->net;
    struct maps *m = &net->maps;

    ops->reshape(net->be, m->full, least(4 * rows, m->height - 4 * top), m->width);
    ops->reshape(net->be, m->half, least(2 * rows, nst_net_half(m->height) - 2 * top),
                 nst_net_half(m->width));
}

/* The same for after them. */
static void shape_back(struct nst_net *net, int rows)
{
    const struct nst_net_ops *ops = net->be->ops->net;
    struct maps *m = &net->maps;
    int columns = nst_net_quarter(m->width);

    ops->reshape(net->be, m->full, 4 * rows, 4 * columns);
    ops->reshape(net->be, m->half, 2 * rows, 2 * columns);
}

static void paint_whole(struct nst_net *net, const float *in, float *out)
{
    const struct nst_net_ops *ops = net->be->ops->net;
    struct maps *m = &net->maps;
    int last = net->count - 1, rows = nst_net_quarter(m->height);
    struct moments sums;
    struct nst_net_sums full = {sums.sum, sums.squares, 0, m->height};
    struct nst_net_view x;

    shape_front(net, 0, rows);
    ops->from_picture(net->be, net->convs[0], in, m->full, &full);
    set_norm(net, 0, &sums, (double)nst_area(m->height, m->width));
    whole_conv(net, 1, view(net, m->full, 0, true), m->half);
    whole_conv(net, 2, view(net, m->half, 1, true), m->blocks[0]);
    x = run_blocks(net);
    shape_back(net, rows);
    whole_conv(net, last - 2, x, m->half);
    whole_conv(net, last - 1, view(net, m->half, last - 2, true), m->full);
    x = view(net, m->full, last - 1, true);
    if (!should_stop(net))
        ops->to_picture(net->be, net->convs[last], &x, out);
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
static void read_rows(struct maps *m, struct nst_image in, int top, int rows)
{
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
static void write_rows(const struct maps *m, int top, int first, int last, float *out)
{
    int rows = 4 * nst_net_part_rows(m->height, m->band),
        columns = 4 * nst_net_quarter(m->width);
    struct nst_size size = m->picture;

    for (int c = 0; c < 3; c++)
        for (int i = first; i < least(last, size.height); i++)
            memcpy(out + ((size_t)c * size.height + i) * size.width,
                   m->out + ((size_t)c * rows + (i - top)) * columns,
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
    int rows = nst_net_quarter(m->height);

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

/* Where sums of the right rows of a map go, which has rows, zoom for each of the
 * blocks' maps. */
static struct nst_net_sums band_sums(struct moments *part, const struct band *b,
                                     int zoom, int rows)
{
    return (struct nst_net_sums){part->sum, part->squares, zoom * (b->first - b->top),
                                 least(zoom * (b->last - b->top), rows)};
}

/* The layers before the blocks up to layer last, of one band. Adds the sums of the last
 * one. */
static void front_band(struct nst_net *net, struct nst_image in, const struct band *b,
                       int last, struct moments *all)
{
    const struct nst_net_ops *ops = net->be->ops->net;
    struct maps *m = &net->maps;
    struct moments part;
    struct nst_net_sums sums;

    shape_front(net, b->top, m->band);
    sums = last == 0   ? band_sums(&part, b, 4, m->full->shape.h)
           : last == 1 ? band_sums(&part, b, 2, m->half->shape.h)
                       : band_sums(&part, b, 1, m->band);
    read_rows(m, in, 4 * b->top, m->full->shape.h);
    ops->from_picture(net->be, net->convs[0], m->in, m->full, last == 0 ? &sums : NULL);
    if (last >= 1)
        conv(net, 1, view(net, m->full, 0, true), m->half, last == 1 ? &sums : NULL);
    if (last >= 2) {
        conv(net, 2, view(net, m->half, 1, true), m->part, &sums);
        ops->copy_rows(net->be, m->part, b->first - b->top, b->last - b->first,
                       m->blocks[0], b->first);
    }
    moments_add(all, &sums, net->layers[last].cout);
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

/* Pixels of the map of a layer before the blocks. */
static double front_pixels(const struct maps *m, int layer)
{
    int h = m->height, w = m->width;

    return layer == 0   ? (double)nst_area(h, w)
           : layer == 1 ? (double)nst_area(nst_net_half(h), nst_net_half(w))
                        : (double)nst_area(nst_net_quarter(h), nst_net_quarter(w));
}

static void paint_bands(struct nst_net *net, struct nst_image in, float *out)
{
    struct maps *m = &net->maps;
    int last = net->count - 1;
    struct nst_net_view x;

    for (int layer = 0; layer <= 2; layer++) {
        struct moments all = {{0}};

        for (struct band b = {0}; !should_stop(net) && next_band(m, FRONT_HALO, &b);)
            front_band(net, in, &b, layer, &all);
        set_norm(net, layer, &all, front_pixels(m, layer));
    }
    x = run_blocks(net);
    shape_back(net, m->band);
    for (int layer = last - 2; layer <= last; layer++) {
        struct moments all = {{0}}, part;
        int zoom = layer == last - 2 ? 2 : 4;

        for (struct band b = {0}; !should_stop(net) && next_band(m, BACK_HALO, &b);) {
            struct nst_net_sums sums = band_sums(&part, &b, zoom, zoom * m->band);

            back_band(net, x, &b, layer, &sums);
            if (layer < last)
                moments_add(&all, &sums, net->layers[layer].cout);
            else
                write_rows(m, 4 * b.top, 4 * b.first, 4 * b.last, out);
        }
        if (layer < last)
            set_norm(net, layer, &all, front_pixels(m, 2) * zoom * zoom);
    }
}

enum nst_status nst_net_paint(struct nst_net *net, struct nst_image in, float *out,
                              size_t limit, struct nst_err *err)
{
    struct maps *m = &net->maps;
    int band = nst_net_choose_band(net, in.height, in.width, limit);
    enum nst_status st;

    if (band < 0)
        return nst_err_set(err, NST_ERR_MEM,
                           "a picture of %d x %d pixels does not fit into memory",
                           in.width, in.height);
    net->stopped = false;
    st = nst_net_maps_prepare(net, in.height, in.width, band, err);
    if (st != NST_OK)
        return st;
    if (band) {
        paint_bands(net, in, out);
        return NST_OK;
    }
    if (m->in)
        read_rows(m, in, 0, m->height);
    paint_whole(net, m->in ? m->in : in.rgb, m->out ? m->out : out);
    if (m->out)
        write_rows(m, 0, 0, m->height, out);
    return NST_OK;
}
