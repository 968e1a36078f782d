/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/content_loss.h"

struct nst_content_loss nst_content_loss(struct nst_tap tap,
                                         const struct nst_pass *pass, int height,
                                         int width)
{
    bool relu;
    struct nst_shape s = nst_pass_map(pass, &tap, &relu)->shape;
    struct nst_window whole = {0, 0, height, width};

    whole = nst_pass_window(pass, tap.conv, whole);
    return (struct nst_content_loss){tap, (double)s.c * whole.height * whole.width};
}

enum nst_status nst_content_target_new(struct nst_tensor **target,
                                       const struct nst_content_loss *l,
                                       const struct nst_pass *pass, struct nst_err *err)
{
    struct nst_backend *be = nst_pass_backend(pass);
    bool relu;

    return be->ops->tensor_new(be, target, nst_pass_map(pass, &l->tap, &relu)->shape,
                               err);
}

void nst_content_target_take(struct nst_tensor *target,
                             const struct nst_content_loss *l,
                             const struct nst_pass *pass)
{
    struct nst_backend *be = nst_pass_backend(pass);
    bool relu;
    const struct nst_tensor *f = nst_pass_map(pass, &l->tap, &relu);

    be->ops->tensor_copy(be, f, relu, target);
}

void nst_content_loss_gather(const struct nst_content_loss *l,
                             const struct nst_pass *pass, struct nst_window window,
                             const struct nst_tensor *target, bool add, double *sum)
{
    struct nst_backend *be = nst_pass_backend(pass);
    bool relu;
    const struct nst_tensor *f = nst_pass_map(pass, &l->tap, &relu);

    window = nst_pass_window(pass, l->tap.conv, window);
    be->ops->squared_error(be, f, relu, target, window, add, sum);
}

float nst_content_loss_scale(const struct nst_content_loss *l, double weight)
{
    return (float)(2 * weight / l->count);
}
