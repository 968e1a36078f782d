/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "net/net.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"

/* Layers, and parameters, of an architecture so far. */
struct list {
    struct nst_net_layer *layers;
    int count;
    size_t parameters;
};

static size_t take(struct list *l, size_t n)
{
    size_t at = l->parameters;

    l->parameters += n;
    return at;
}

static struct nst_net_layer *append(struct list *l, enum nst_net_kind kind, int cin,
                                    int cout)
{
    struct nst_net_layer *layer = &l->layers[l->count++];
    int side = nst_net_side(kind);

    *layer = (struct nst_net_layer){.kind = kind, .cin = cin, .cout = cout};
    layer->weight = take(l, (size_t)cout * (size_t)cin * (size_t)(side * side));
    if (kind == NST_NET_TO_PICTURE) {
        layer->bias = take(l, (size_t)cout);
    } else {
        layer->scale = take(l, (size_t)cout);
        layer->shift = take(l, (size_t)cout);
    }
    return layer;
}

static void append_named(struct list *l, const char *name, enum nst_net_kind kind,
                         int cin, int cout)
{
    struct nst_net_layer *layer = append(l, kind, cin, cout);

    snprintf(layer->name, sizeof layer->name, "%s", name);
}

int nst_net_layers(struct nst_net_shape shape,
                   struct nst_net_layer layers[NST_NET_MAX_CONVS], size_t *parameters)
{
    struct list l = {.layers = layers};
    int w = shape.width;

    append_named(&l, "first", NST_NET_FROM_PICTURE, 3, w);
    append_named(&l, "down1", NST_NET_DOWN, w, 2 * w);
    append_named(&l, "down2", NST_NET_DOWN, 2 * w, 4 * w);
    for (int b = 1; b <= shape.blocks; b++)
        for (int k = 1; k <= 2; k++) {
            struct nst_net_layer *layer = append(&l, NST_NET_SAME, 4 * w, 4 * w);

            snprintf(layer->name, sizeof layer->name, "block%d.conv%d", b, k);
        }
    append_named(&l, "up1", NST_NET_UP, 4 * w, 2 * w);
    append_named(&l, "up2", NST_NET_UP, 2 * w, w);
    append_named(&l, "last", NST_NET_TO_PICTURE, w, 3);
    *parameters = l.parameters;
    return l.count;
}

enum nst_status nst_net_weights_new(struct nst_net_weights *w,
                                    struct nst_net_shape shape, struct nst_err *err)
{
    struct nst_net_layer layers[NST_NET_MAX_CONVS];

    *w = (struct nst_net_weights){.shape = shape};
    nst_net_layers(shape, layers, &w->count);
    return nst_floats_new(&w->values, w->count, 1, 1, err);
}

/* The arrays of a layer: weight, scale and shift, or weight and bias. */
static int arrays(const struct nst_net_layer *l)
{
    return l->kind == NST_NET_TO_PICTURE ? 2 : 3;
}

static void describe(const struct nst_net_layer *l, int which,
                     struct nst_net_parameter *out)
{
    static const char *const names[] = {"weight", "scale", "shift"};
    bool last = l->kind == NST_NET_TO_PICTURE;
    int side = nst_net_side(l->kind);

    snprintf(out->name, sizeof out->name, "%s.%s", l->name,
             which && last ? "bias" : names[which]);
    out->rank = which ? 1 : 4;
    out->shape[0] = l->cout;
    out->shape[1] = l->cin;
    out->shape[2] = out->shape[3] = side;
    out->at = !which ? l->weight : last ? l->bias : which == 1 ? l->scale : l->shift;
    out->count = (size_t)l->cout * (which ? 1 : (size_t)(l->cin * side * side));
}

bool nst_net_parameter(struct nst_net_shape shape, int i, struct nst_net_parameter *out)
{
    struct nst_net_layer layers[NST_NET_MAX_CONVS];
    size_t parameters;
    int count = nst_net_layers(shape, layers, &parameters);

    for (int k = 0; k < count; i -= arrays(&layers[k++]))
        if (i < arrays(&layers[k])) {
            describe(&layers[k], i, out);
            return true;
        }
    return false;
}

void nst_net_weights_clear(struct nst_net_weights *w)
{
    free(w->values);
    *w = (struct nst_net_weights){0};
}
