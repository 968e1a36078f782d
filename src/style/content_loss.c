/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/content_loss.h"

enum nst_status nst_content_loss_init(struct nst_content_loss *l, struct nst_tap tap,
                                      struct nst_backend *be,
                                      const struct nst_pass *pass, struct nst_err *err)
{
    bool relu;
    const struct nst_tensor *f = nst_pass_map(pass, &tap, &relu);
    enum nst_status st = be->ops->tensor_new(be, &l->target, f->shape, err);

    if (st != NST_OK)
        return st;
    l->tap = tap;
    be->ops->tensor_copy(be, f, relu, l->target);
    return NST_OK;
}

void nst_content_loss_clear(struct nst_content_loss *l, struct nst_backend *be)
{
    be->ops->tensor_free(be, l->target);
    l->target = NULL;
}

double nst_content_loss_value(const struct nst_content_loss *l, struct nst_backend *be,
                              const struct nst_pass *pass)
{
    bool relu;
    const struct nst_tensor *f = nst_pass_map(pass, &l->tap, &relu);

    return be->ops->squared_error(be, f, relu, l->target) /
           (double)nst_shape_count(f->shape);
}

void nst_content_loss_grad(const struct nst_content_loss *l, struct nst_backend *be,
                           const struct nst_pass *pass, double weight,
                           struct nst_tensor *g)
{
    bool relu;
    const struct nst_tensor *f = nst_pass_map(pass, &l->tap, &relu);

    be->ops->squared_error_grad(be, f, relu, l->target,
                                (float)(2 * weight / (double)nst_shape_count(f->shape)),
                                g);
}
