/* SPDX-License-Identifier: MIT */
/* net_gradients.c - the gradients of feed-forward networks, for checknet.c. */
#include "config.h"

#include <string.h>

#include "backend/net_grad_ops.h"
#include "checknet.h"

/* What every gradient needs: maps on both sides of a convolution, and a start for what
 * it is added to. */
struct gradient {
    struct nst_net_grad *k;
    struct nst_tensor *x, *gx, *gy;
    struct nst_net_view view;
    float *values, *weight, *bias;
    size_t weights;
};

static struct gradient start(struct nst_backend *be, const struct input *in,
                             enum nst_net_kind kind, bool add)
{
    int h = nst_net_output_side(kind, in->h), w = nst_net_output_side(kind, in->w);
    int cin = kind == NST_NET_FROM_PICTURE ? 3 : in->cin;
    int cout = kind == NST_NET_TO_PICTURE ? 3 : in->cout;
    struct nst_net_filters f = {kind, cin, cout, in->weight, NULL};
    struct gradient g = {.weights = (size_t)(cin * cout) * 81};
    size_t n = (size_t)in->cout * (size_t)h * (size_t)w;

    g.values = malloc(n * sizeof *g.values);
    g.weight = malloc(g.weights * sizeof *g.weight);
    g.bias = malloc((size_t)(2 * in->cin + 6) * sizeof *g.bias);
    if (!g.values || !g.weight || !g.bias ||
        be->ops->net->grad->new (be, &g.k, &f, NULL) != NST_OK ||
        be->ops->net->grad->prepare(be, g.k, in->h, in->w, NULL) != NST_OK)
        abort();
    for (size_t i = 0; i < n; i++)
        g.values[i] = in->x[(7 * i + 3) % ((size_t)in->cin * (size_t)(in->h * in->w))];
    for (size_t i = 0; i < g.weights; i++)
        g.weight[i] = in->weight[i % 81];
    for (int i = 0; i < 2 * in->cin + 6; i++)
        g.bias[i] = (float)(i % 5);
    g.x = new_map(be, in->cin, in->h, in->w, in->x);
    g.gx = new_map(be, in->cin, in->h, in->w, add ? in->y : NULL);
    g.gy = new_map(be, in->cout, h, w, g.values);
    g.view = view_of(in, g.x);
    return g;
}

static struct output end(struct nst_backend *be, const struct input *in,
                         struct gradient *g, bool map)
{
    struct output o = {0};
    double pixels = (double)in->h * in->w;

    if (map)
        append_map(&o, be, g->gx);
    for (size_t i = 0; !map && i < g->weights; i++)
        append(&o, g->weight[i]);
    for (int i = 0; i < 2 * in->cin + 6; i++) /* sums over all pixels */
        append(&o, g->bias[i] / (map ? sqrt(pixels) : 1));
    be->ops->net->grad->free(be, g->k);
    be->ops->tensor_free(be, g->x);
    be->ops->tensor_free(be, g->gx);
    be->ops->tensor_free(be, g->gy);
    free(g->values);
    free(g->weight);
    free(g->bias);
    return o;
}

static struct output by_input(struct nst_backend *be, const struct input *in,
                              enum nst_net_kind kind, bool add)
{
    struct gradient g = start(be, in, kind, add);

    be->ops->net->grad->conv(be, g.k, g.gy, g.gx, add);
    return end(be, in, &g, true);
}

static struct output run_same(struct nst_backend *be, const struct input *in)
{
    return by_input(be, in, NST_NET_SAME, false);
}

static struct output run_same_add(struct nst_backend *be, const struct input *in)
{
    return by_input(be, in, NST_NET_SAME, true);
}

static struct output run_down(struct nst_backend *be, const struct input *in)
{
    return by_input(be, in, NST_NET_DOWN, in->relu);
}

static struct output run_up(struct nst_backend *be, const struct input *in)
{
    return by_input(be, in, NST_NET_UP, in->relu);
}

static struct output run_to_picture(struct nst_backend *be, const struct input *in)
{
    struct gradient g = start(be, in, NST_NET_TO_PICTURE, false);

    be->ops->net->grad->to_picture(be, g.k, in->rgb, g.gx);
    return end(be, in, &g, true);
}

static struct output by_weight(struct nst_backend *be, const struct input *in,
                               enum nst_net_kind kind)
{
    struct gradient g = start(be, in, kind, false);

    be->ops->net->grad->conv_weight(be, g.k, &g.view, g.gy, g.weight);
    return end(be, in, &g, false);
}

static struct output run_same_weight(struct nst_backend *be, const struct input *in)
{
    return by_weight(be, in, NST_NET_SAME);
}

static struct output run_down_weight(struct nst_backend *be, const struct input *in)
{
    return by_weight(be, in, NST_NET_DOWN);
}

static struct output run_up_weight(struct nst_backend *be, const struct input *in)
{
    return by_weight(be, in, NST_NET_UP);
}

static struct output run_from_picture_weight(struct nst_backend *be,
                                             const struct input *in)
{
    struct gradient g = start(be, in, NST_NET_FROM_PICTURE, false);

    be->ops->net->grad->from_picture_weight(be, g.k, in->rgb, g.gy, g.weight);
    return end(be, in, &g, false);
}

static struct output run_to_picture_weight(struct nst_backend *be,
                                           const struct input *in)
{
    struct gradient g = start(be, in, NST_NET_TO_PICTURE, false);

    be->ops->net->grad->to_picture_weight(be, g.k, &g.view, in->rgb, g.weight, g.bias);
    return end(be, in, &g, false);
}

/* The map of the input, with moments of its own; the gradient is the other map. */
static struct output run_norm(struct nst_backend *be, const struct input *in)
{
    struct gradient g = start(be, in, NST_NET_SAME, true);
    double *moments = malloc(2 * (size_t)in->cin * sizeof *moments);
    struct nst_net_moments m = {moments, moments + in->cin};

    if (!moments)
        abort();
    for (int c = 0; c < in->cin; c++) {
        moments[c] = 0.3 * in->shift[c];
        moments[in->cin + c] = 0.2 + fabs(in->scale[c]);
    }
    g.view.scale = in->scale;
    g.view.shift = in->shift;
    be->ops->net->grad->norm(be, &g.view, &m, g.gx, g.gx, g.bias, g.bias + in->cin);
    free(moments);
    return end(be, in, &g, true);
}

const struct operation net_gradients[NET_GRADIENTS] = {
    {"gradient of conv at each pixel", run_same, 9, false},
    {"gradient of conv at each pixel, added", run_same_add, 9, false},
    {"gradient of conv at every second pixel", run_down, 9, false},
    {"gradient of conv of a doubled map", run_up, 36, false},
    {"gradient of to_picture", run_to_picture, 81, false},
    {"gradient by the weights of conv at each pixel", run_same_weight, 1, true},
    {"gradient by the weights of conv at every second pixel", run_down_weight, 1, true},
    {"gradient by the weights of conv of a doubled map", run_up_weight, 4, true},
    {"gradient by the weights of from_picture", run_from_picture_weight, 1, true},
    {"gradient by the weights of to_picture", run_to_picture_weight, 1, true},
    {"gradient of instance norm", run_norm, 9, false}};
