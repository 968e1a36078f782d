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
                                    const float *weight, const float *bias, int cin,
                                    int cout, const struct nst_normalisation *picture,
                                    struct nst_err *err)
{
    struct nst_conv *k = nst_xcalloc(1, sizeof *k);
    enum nst_status st = nst_floats_new(&k->weight, cout, cin, 9, err);

    *out = NULL;
    if (st == NST_OK)
        st = nst_floats_new(&k->bias, cout, 1, 1, err);
    if (st != NST_OK) {
        nst_planar_conv_free(be, k);
        return st;
    }
    k->picture = picture;
    k->cin = cin;
    k->cout = cout;
    memcpy(k->weight, weight, (size_t)cout * (size_t)cin * 9 * sizeof *weight);
    memcpy(k->bias, bias, (size_t)cout * sizeof *bias);
    *out = k;
    return NST_OK;
}
