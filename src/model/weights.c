/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "model/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "model/safetensors.h"

#define KEYS(index)                                                                    \
    {                                                                                  \
        "features." #index ".bias", "features." #index ".weight"                       \
    }
static const char *const keys[NST_VGG_CONVS][2] = {
    KEYS(0),  KEYS(2),  KEYS(5),  KEYS(7),  KEYS(10), KEYS(12), KEYS(14), KEYS(16),
    KEYS(19), KEYS(21), KEYS(23), KEYS(25), KEYS(28), KEYS(30), KEYS(32), KEYS(34)};
#define MAX_CHANNELS 4096

const char *nst_weights_key(int conv, bool weight)
{
    return keys[conv][weight];
}

static enum nst_status format_error(const struct nst_safetensors *f, const char *key,
                                    const char *what, struct nst_err *err)
{
    return nst_err_set(err, NST_ERR_FORMAT, "%s: %s: %s", nst_safetensors_path(f), key,
                       what);
}

static enum nst_status find_tensor(const struct nst_safetensors *f, const char *key,
                                   struct nst_array *a, struct nst_err *err)
{
    enum nst_status st = nst_safetensors_find(f, key, a, err);

    if (st == NST_OK && a->type != NST_F32 && a->type != NST_F16 && a->type != NST_BF16)
        return format_error(f, key, "the type is none of F32, F16 and BF16", err);
    for (int i = 0; st == NST_OK && i < a->rank; i++)
        if (a->shape[i] > MAX_CHANNELS)
            return format_error(f, key, "the shape is not one of a convolution", err);
    return st;
}

/* cin: output channels of the previous convolution. */
static enum nst_status read_conv(const struct nst_safetensors *f, int conv, int cin,
                                 struct nst_layer_weights *l, struct nst_err *err)
{
    const char *key = nst_weights_key(conv, true);
    char text[128];
    struct nst_array w, b;
    int block, index;
    enum nst_status st;

    nst_conv_position(conv, &block, &index);
    if (!nst_safetensors_has(f, key))
        return nst_err_set(err, NST_ERR_FORMAT,
                           "%s: has no layer conv%d_%d (conv_%d), which this run needs",
                           nst_safetensors_path(f), block, index, conv + 1);
    if ((st = find_tensor(f, key, &w, err)) != NST_OK)
        return st;
    snprintf(text, sizeof text, "the shape is not N x %d x 3 x 3", cin);
    if (w.rank != 4 || w.shape[1] != (uint64_t)cin || w.shape[2] != 3 ||
        w.shape[3] != 3)
        return format_error(f, key, text, err);
    l->cin = cin;
    l->cout = (int)w.shape[0];
    if ((st = nst_safetensors_read_floats(f, key, &w, &l->weight, err)) != NST_OK)
        return st;
    key = nst_weights_key(conv, false);
    if ((st = find_tensor(f, key, &b, err)) != NST_OK)
        return st;
    snprintf(text, sizeof text, "the shape is not %d", l->cout);
    if (b.rank != 1 || b.shape[0] != w.shape[0])
        return format_error(f, key, text, err);
    return nst_safetensors_read_floats(f, key, &b, &l->bias, err);
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

enum nst_status nst_weights_count(int *convs, const char *path, struct nst_err *err)
{
    struct nst_safetensors *f;
    enum nst_status st = nst_safetensors_open(&f, path, err);

    *convs = 0;
    if (st != NST_OK)
        return st;
    while (*convs < NST_VGG_CONVS &&
           nst_safetensors_has(f, nst_weights_key(*convs, true)))
        ++*convs;
    nst_safetensors_close(f);
    return NST_OK;
}

/* v as an array of F32, or of F16 in *halves, which belongs to the caller. */
static struct nst_array make_array(const float *v, size_t count, bool half,
                                   uint16_t **halves)
{
    struct nst_array a = {.type = half ? NST_F16 : NST_F32, .count = count, .bytes = v};

    *halves = NULL;
    if (!half)
        return a;
    *halves = nst_xcalloc(count, sizeof **halves);
    for (size_t i = 0; i < count; i++)
        (*halves)[i] = nst_float_to_half(v[i]);
    a.bytes = *halves;
    return a;
}

enum nst_status nst_weights_save(const struct nst_weights *w, const char *path,
                                 bool half, const char *const *metadata,
                                 struct nst_err *err)
{
    struct nst_safetensors_writer *writer = nst_safetensors_writer_new();
    uint16_t *halves[2 * NST_VGG_CONVS] = {NULL};
    enum nst_status st;

    for (; *metadata; metadata += 2)
        nst_safetensors_write_metadata(writer, metadata[0], metadata[1]);
    for (int i = 0; i < w->convs; i++) {
        const struct nst_layer_weights *l = &w->conv[i];
        uint64_t out = (uint64_t)l->cout, in = (uint64_t)l->cin;
        struct nst_array a = make_array(l->weight, 9 * out * in, half, &halves[2 * i]);
        struct nst_array b = make_array(l->bias, out, half, &halves[2 * i + 1]);

        a.rank = 4;
        memcpy(a.shape, (uint64_t[]){out, in, 3, 3}, sizeof a.shape);
        b.rank = 1;
        b.shape[0] = out;
        nst_safetensors_write_array(writer, nst_weights_key(i, true), &a);
        nst_safetensors_write_array(writer, nst_weights_key(i, false), &b);
    }
    st = nst_safetensors_write(writer, path, err);
    nst_safetensors_writer_free(writer);
    for (int i = 0; i < 2 * NST_VGG_CONVS; i++)
        free(halves[i]);
    return st;
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
