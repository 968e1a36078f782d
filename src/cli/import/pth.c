/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "cli/import/pth.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/import/pth_file.h"
#include "cli/import/pth_net.h"
#include "model/vgg_names.h"

static enum nst_status want_conv(struct nst_pth_file *f, struct nst_weights *w,
                                 const struct nst_vgg_names *names, int conv)
{
    struct nst_layer_weights *l = &w->conv[conv];
    char *weight = nst_vgg_names_get(names, conv, true);
    char *bias = nst_vgg_names_get(names, conv, false);
    int cin = conv ? w->conv[conv - 1].cout : 3, rank = 0;
    int64_t size[4];
    enum nst_status st = nst_pth_file_want(f, weight, &l->weight, size, &rank);

    if (st == NST_OK && (rank != 4 || size[1] != cin || size[2] != 3 || size[3] != 3))
        st = nst_pth_file_error(f, weight, "does not fit the convolution before it");
    if (st == NST_OK) {
        l->cin = cin;
        l->cout = (int)size[0];
        st = nst_pth_file_want(f, bias, &l->bias, size, &rank);
    }
    if (st == NST_OK && (rank != 1 || size[0] != l->cout))
        st = nst_pth_file_error(f, bias, "does not fit its convolution");
    free(weight);
    free(bias);
    return st;
}

static enum nst_status want_vgg(struct nst_pth_file *f, const char *path,
                                struct nst_weights *w, struct nst_err *err)
{
    size_t count;
    const char *const *tensors = nst_pth_file_tensors(f, &count);
    struct nst_vgg_names names;
    enum nst_status st = nst_vgg_names_find(&names, path, tensors, count, err);

    for (; st == NST_OK && w->convs < names.convs; w->convs++)
        st = want_conv(f, w, &names, w->convs);
    if (names.left_out)
        w->left_out = nst_xstrdup(names.left_out);
    nst_vgg_names_clear(&names);
    return st;
}

struct request {
    const char *path;
    struct nst_weights *vgg;
    struct nst_pth_net *net; /* or NULL: the file is none */
};

static enum nst_status choose(void *ctx, struct nst_pth_file *f, struct nst_err *err)
{
    struct request *r = ctx;

    if (nst_pth_net_is(f))
        return nst_pth_net_want(&r->net, f);
    return want_vgg(f, r->path, r->vgg, err);
}

enum nst_status nst_pth_load(struct nst_weights **vgg, struct nst_net_weights *net,
                             const char *path, struct nst_err *err)
{
    struct request r = {.path = path, .vgg = nst_xcalloc(1, sizeof *r.vgg)};
    enum nst_status st = nst_pth_file_read(path, choose, &r, err);

    *vgg = NULL;
    *net = (struct nst_net_weights){.count = 0};
    if (st == NST_OK && r.net)
        st = nst_pth_net_convert(r.net, net, err);
    if (st == NST_OK && !r.net)
        *vgg = r.vgg;
    else
        nst_weights_free(r.vgg);
    nst_pth_net_free(r.net);
    return st;
}
