/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/content_loss.h"

struct nst_content_loss nst_content_loss(struct nst_layer layer,
                                         const struct nst_activations *acts, int height,
                                         int width)
{
    bool relu;
    struct nst_shape s = nst_activations_map(acts, &layer, &relu)->shape;
    struct nst_window whole = {0, 0, height, width};

    whole = nst_activations_window(acts, layer.conv, whole);
    return (struct nst_content_loss){layer, (double)s.c * whole.height * whole.width};
}

enum nst_status nst_content_target_new(struct nst_tensor **target,
                                       const struct nst_content_loss *l,
                                       const struct nst_activations *acts,
                                       struct nst_err *err)
{
    struct nst_backend *be = nst_activations_backend(acts);
    bool relu;

    return be->ops->tensor_new(be, target,
                               nst_activations_map(acts, &l->layer, &relu)->shape, err);
}

void nst_content_target_set(struct nst_tensor *target, const struct nst_content_loss *l,
                            const struct nst_activations *acts)
{
    struct nst_backend *be = nst_activations_backend(acts);
    bool relu;
    const struct nst_tensor *f = nst_activations_map(acts, &l->layer, &relu);

    be->ops->tensor_copy(be, f, relu, target);
}

void nst_content_loss_accumulate(const struct nst_content_loss *l,
                                 const struct nst_activations *acts,
                                 struct nst_window window,
                                 const struct nst_tensor *target, bool add,
                                 struct nst_scalar sum)
{
    struct nst_backend *be = nst_activations_backend(acts);
    bool relu;
    const struct nst_tensor *f = nst_activations_map(acts, &l->layer, &relu);

    window = nst_activations_window(acts, l->layer.conv, window);
    be->ops->squared_error(be, f, relu, target, window, add, sum);
}

float nst_content_loss_grad_scale(const struct nst_content_loss *l, double weight)
{
    return (float)(2 * weight / l->count);
}
