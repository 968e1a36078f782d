/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "backend/planar_conv.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

void nst_planar_conv_free(struct nst_backend *be, struct nst_conv *k)
{
    (void)be;
    if (!k)
        return;
    free(k->weight);
    free(k->bias);
    free(k);
}

enum nst_status nst_planar_conv_new(struct nst_backend *be, struct nst_conv **out,
                                    const struct nst_filters *f, struct nst_err *err)
{
    struct nst_conv *k = nst_xcalloc(1, sizeof *k);
    enum nst_status st = nst_floats_new(&k->weight, f->cout, f->cin, 9, err);

    *out = NULL;
    if (st == NST_OK)
        st = nst_floats_new(&k->bias, f->cout, 1, 1, err);
    if (st != NST_OK) {
        nst_planar_conv_free(be, k);
        return st;
    }
    k->picture = f->picture;
    k->cin = f->cin;
    k->cout = f->cout;
    k->padding = f->padding;
    memcpy(k->weight, f->weight,
           (size_t)f->cout * (size_t)f->cin * 9 * sizeof *k->weight);
    memcpy(k->bias, f->bias, (size_t)f->cout * sizeof *k->bias);
    *out = k;
    return NST_OK;
}
