/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/pixel_losses.h"

#include <stddef.h>

void nst_pixel_losses_clear(struct nst_pixel_losses *l)
{
    nst_backend_release(l->be, l->temporal.previous, l->temporal_device.previous);
    nst_backend_release(l->be, l->temporal.static_mask, l->temporal_device.static_mask);
    l->temporal = l->temporal_device = (struct nst_temporal_target){NULL, NULL};
}

enum nst_status nst_pixel_losses_set_temporal_target(struct nst_pixel_losses *l,
                                                     struct nst_temporal_target target,
                                                     double weight, struct nst_err *err)
{
    size_t area = (size_t)l->size.height * (size_t)l->size.width;
    enum nst_status st;

    nst_pixel_losses_clear(l);
    l->temporal = l->temporal_device = target;
    l->temporal_weight = weight;
    st = nst_backend_to_device(l->be, target.previous, 3 * area,
                               &l->temporal_device.previous, err);
    if (st == NST_OK)
        st = nst_backend_to_device(l->be, target.static_mask, area,
                                   &l->temporal_device.static_mask, err);
    if (st != NST_OK)
        nst_pixel_losses_clear(l);
    return st;
}

double nst_pixel_losses_count(const struct nst_pixel_losses *l)
{
    return 3.0 * l->size.height * l->size.width;
}

void nst_pixel_losses_evaluate(const struct nst_pixel_losses *l, const float *rgb,
                               float *grad, double *sums)
{
    const struct nst_backend_ops *ops = l->be->ops;
    double n = nst_pixel_losses_count(l);

    if (l->tv_weight > 0)
        ops->tv_loss(l->be, rgb, l->size, (float)(2 * l->tv_weight / n), grad,
                     &sums[0]);
    if (l->temporal_device.previous)
        ops->temporal_loss(l->be, rgb, l->size, l->temporal_device.previous,
                           l->temporal_device.static_mask,
                           (float)(2 * l->temporal_weight / n), grad, &sums[1]);
}
