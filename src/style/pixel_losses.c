/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/pixel_losses.h"

#include <stddef.h>

void nst_pixel_losses_clear(struct nst_pixel_losses *l)
{
    nst_backend_release(l->be, l->previous);
    nst_backend_release(l->be, l->static_mask);
    l->previous = l->static_mask = NULL;
}

enum nst_status nst_pixel_losses_set_temporal_target(struct nst_pixel_losses *l,
                                                     struct nst_temporal_target target,
                                                     double weight, struct nst_err *err)
{
    size_t area = (size_t)l->size.height * (size_t)l->size.width;
    enum nst_status st;

    nst_pixel_losses_clear(l);
    l->temporal_weight = weight;
    st = nst_backend_to_device(l->be, target.previous, 3 * area, &l->previous, err);
    if (st == NST_OK)
        st = nst_backend_to_device(l->be, target.static_mask, area, &l->static_mask,
                                   err);
    if (st != NST_OK)
        nst_pixel_losses_clear(l);
    return st;
}

double nst_pixel_losses_count(const struct nst_pixel_losses *l)
{
    return 3.0 * l->size.height * l->size.width;
}

void nst_pixel_losses_evaluate(const struct nst_pixel_losses *l,
                               const struct nst_buffer *rgb, struct nst_buffer *grad,
                               struct nst_scalar tv_sum, struct nst_scalar temporal_sum)
{
    const struct nst_backend_ops *ops = l->be->ops;
    double n = nst_pixel_losses_count(l);

    if (l->tv_weight > 0)
        ops->tv_loss(l->be, rgb, l->size, (float)(2 * l->tv_weight / n), grad, tv_sum);
    if (l->previous)
        ops->temporal_loss(l->be, rgb, l->size, l->previous, l->static_mask,
                           (float)(2 * l->temporal_weight / n), grad, temporal_sum);
}
