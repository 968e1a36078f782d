/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/pixel_losses.h"

#include <stddef.h>

void nst_pixel_losses_clear(struct nst_pixel_losses *l)
{
    nst_backend_unshow(l->be, l->before.rgb, l->there.rgb);
    nst_backend_unshow(l->be, l->before.still, l->there.still);
    l->before = l->there = (struct nst_before){NULL, NULL};
}

enum nst_status nst_pixel_losses_hold(struct nst_pixel_losses *l,
                                      struct nst_before before, double weight,
                                      struct nst_err *err)
{
    size_t area = (size_t)l->of.height * (size_t)l->of.width;
    enum nst_status st;

    nst_pixel_losses_clear(l);
    l->before = l->there = before;
    l->temporal_weight = weight;
    st = nst_backend_show(l->be, before.rgb, 3 * area, &l->there.rgb, err);
    if (st == NST_OK)
        st = nst_backend_show(l->be, before.still, area, &l->there.still, err);
    if (st != NST_OK)
        nst_pixel_losses_clear(l);
    return st;
}

double nst_pixel_losses_count(const struct nst_pixel_losses *l)
{
    return 3.0 * l->of.height * l->of.width;
}

void nst_pixel_losses_add(const struct nst_pixel_losses *l, const float *rgb,
                          float *grad, double *sums)
{
    const struct nst_backend_ops *ops = l->be->ops;
    double n = nst_pixel_losses_count(l);

    if (l->tv_weight > 0)
        ops->variation(l->be, rgb, l->of, (float)(2 * l->tv_weight / n), grad,
                       &sums[0]);
    if (l->there.rgb)
        ops->pull(l->be, rgb, l->of, l->there.rgb, l->there.still,
                  (float)(2 * l->temporal_weight / n), grad, &sums[1]);
}
