/* SPDX-License-Identifier: MIT */
/* scalar_net.h - what the scalar operators of feed-forward networks and their gradients
 * share. */
#ifndef NST_BACKEND_SCALAR_NET_H
#define NST_BACKEND_SCALAR_NET_H

#include "backend/host.h"
#include "backend/net_ops.h"
#include "base/alloc.h"
#include "kernels/net_reference.h"

static inline struct nst_net_geometry nst_scalar_net_geometry(enum nst_net_kind kind)
{
    return (struct nst_net_geometry){.side = nst_net_side(kind),
                                     .stride = kind == NST_NET_DOWN ? 2 : 1,
                                     .zoom = kind == NST_NET_UP ? 2 : 1};
}

/* A value of a channel as the reader of its map sees it. */
static inline float nst_scalar_net_seen(const struct nst_net_view *v, int channel,
                                        float x)
{
    float y = v->scale ? v->scale[channel] * x + v->shift[channel] : x;

    return v->relu && !(y > 0) ? 0 : y;
}

/* The map as its reader sees it; free() it. */
static inline float *nst_scalar_net_view_values(const struct nst_net_view *v)
{
    size_t area = nst_shape_area(v->x->shape), n = nst_shape_count(v->x->shape);
    const float *x = nst_const_floats(v->x->data);
    float *y = nst_xcalloc(n, sizeof *y);

    for (size_t i = 0; i < n; i++)
        y[i] = nst_scalar_net_seen(v, (int)(i / area), x[i]);
    return y;
}

#endif
