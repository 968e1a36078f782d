/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "model/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/safetensors.h"

/* torchvision's index of each convolution within "features". */
static const int feature_index[NST_VGG_CONVS] = {0,  2,  5,  7,  10, 12, 14, 16,
                                                 19, 21, 23, 25, 28, 30, 32, 34};
#define MAX_CHANNELS 4096

static enum nst_status wrong(const struct nst_safetensors *f, const char *key,
                             const char *what, struct nst_err *err)
{
    return nst_err_set(err, NST_ERR_FORMAT, "%s: %s: %s", nst_safetensors_path(f), key,
                       what);
}

static enum nst_status find(const struct nst_safetensors *f, const char *key,
                            struct nst_array *a, struct nst_err *err)
{
    enum nst_status st = nst_safetensors_find(f, key, a, err);

    if (st == NST_OK && a->type != NST_F32 && a->type != NST_F16 && a->type != NST_BF16)
        return wrong(f, key, "the type is none of F32, F16 and BF16", err);
    for (int i = 0; st == NST_OK && i < a->rank; i++)
        if (a->shape[i] > MAX_CHANNELS)
            return wrong(f, key, "the shape is not one of a convolution", err);
    return st;
}

/* cin is what the convolution before this one puts out. */
static enum nst_status read_conv(const struct nst_safetensors *f, int conv, int cin,
                                 struct nst_layer_weights *l, struct nst_err *err)
{
    char key[40], text[128];
    struct nst_array w, b;
    int block, place;
    enum nst_status st;

    nst_conv_place(conv, &block, &place);
    snprintf(key, sizeof key, "features.%d.weight", feature_index[conv]);
    if (!nst_safetensors_has(f, key))
        return nst_err_set(err, NST_ERR_FORMAT,
                           "%s: has no layer conv%d_%d (conv_%d), which this run needs",
                           nst_safetensors_path(f), block, place, conv + 1);
    if ((st = find(f, key, &w, err)) != NST_OK)
        return st;
    snprintf(text, sizeof text, "the shape is not N x %d x 3 x 3", cin);
    if (w.rank != 4 || w.shape[1] != (uint64_t)cin || w.shape[2] != 3 ||
        w.shape[3] != 3)
        return wrong(f, key, text, err);
    l->cin = cin;
    l->cout = (int)w.shape[0];
    if ((st = nst_safetensors_floats(f, key, &w, &l->weight, err)) != NST_OK)
        return st;
    snprintf(key, sizeof key, "features.%d.bias", feature_index[conv]);
    if ((st = find(f, key, &b, err)) != NST_OK)
        return st;
    snprintf(text, sizeof text, "the shape is not %d", l->cout);
    if (b.rank != 1 || b.shape[0] != w.shape[0])
        return wrong(f, key, text, err);
    return nst_safetensors_floats(f, key, &b, &l->bias, err);
}

enum nst_status nst_weights_load(struct nst_weights **out, const char *path, int convs,
                                 struct nst_err *err)
{
    struct nst_weights *w = nst_xcalloc(1, sizeof *w);
    struct nst_safetensors *f;
    enum nst_status st = nst_safetensors_open(&f, path, err);

    *out = NULL;
    w->convs = convs;
    for (int i = 0; st == NST_OK && i < convs; i++)
        st = read_conv(f, i, i ? w->conv[i - 1].cout : 3, &w->conv[i], err);
    nst_safetensors_close(f);
    if (st != NST_OK) {
        nst_weights_free(w);
        return st;
    }
    *out = w;
    return NST_OK;
}

void nst_weights_free(struct nst_weights *w)
{
    if (!w)
        return;
    for (int i = 0; i < NST_VGG_CONVS; i++) {
        free(w->conv[i].weight);
        free(w->conv[i].bias);
    }
    free(w);
}
