/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "model/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "model/safetensors.h"
#include "model/vgg_names.h"

#define MAX_CHANNELS 4096
/* A metadata text, by which nst_weights_load() knows what nst_weights_save() wrote. */
#define INPUT "input"
#define INPUT_RGB "RGB"

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

/* Read one parameter. *cout: 0, or the number of output channels, which it becomes.
 * cin: 0 for a bias. */
static enum nst_status read_parameter(const struct nst_safetensors *f, const char *key,
                                      int cin, int *cout, float **to,
                                      struct nst_err *err)
{
    char text[128];
    struct nst_array a;
    enum nst_status st = find_tensor(f, key, &a, err);

    if (st != NST_OK)
        return st;
    if (cin) {
        snprintf(text, sizeof text, "the shape is not N x %d x 3 x 3", cin);
        if (a.rank != 4 || a.shape[1] != (uint64_t)cin || a.shape[2] != 3 ||
            a.shape[3] != 3)
            return format_error(f, key, text, err);
        *cout = (int)a.shape[0];
    } else {
        snprintf(text, sizeof text, "the shape is not %d", *cout);
        if (a.rank != 1 || a.shape[0] != (uint64_t)*cout)
            return format_error(f, key, text, err);
    }
    return nst_safetensors_read_floats(f, key, &a, to, err);
}

/* cin: output channels of the previous convolution. */
static enum nst_status read_conv(const struct nst_safetensors *f,
                                 const struct nst_vgg_names *names, int conv, int cin,
                                 struct nst_layer_weights *l, struct nst_err *err)
{
    char *weight = nst_vgg_names_get(names, conv, true);
    char *bias = nst_vgg_names_get(names, conv, false);
    enum nst_status st;

    l->cin = cin;
    st = read_parameter(f, weight, cin, &l->cout, &l->weight, err);
    if (st == NST_OK)
        st = read_parameter(f, bias, 0, &l->cout, &l->bias, err);
    free(weight);
    free(bias);
    return st;
}

/* The names of all arrays of a file. */
struct key_list {
    const char **key;
    size_t count;
};

static void add_key(void *ctx, const char *key)
{
    struct key_list *list = ctx;

    if (list->count % 64 == 0)
        list->key = nst_xrealloc(list->key, (list->count + 64) * sizeof *list->key);
    list->key[list->count++] = key;
}

static enum nst_status find_names(struct nst_vgg_names *names,
                                  const struct nst_safetensors *f, struct nst_err *err)
{
    struct key_list list = {NULL};
    enum nst_status st;

    nst_safetensors_foreach(f, add_key, &list);
    st = nst_vgg_names_find(names, nst_safetensors_path(f), list.key, list.count, err);
    free(list.key);
    return st;
}

enum nst_status nst_weights_count(int *convs, const char *path, struct nst_err *err)
{
    struct nst_safetensors *f;
    struct nst_vgg_names names;
    enum nst_status st = nst_safetensors_open(&f, path, err);

    if (st != NST_OK)
        return st;
    st = find_names(&names, f, err);
    *convs = names.convs;
    nst_vgg_names_clear(&names);
    nst_safetensors_close(f);
    return st;
}

static enum nst_status read_all(struct nst_weights *w, const struct nst_safetensors *f,
                                struct nst_err *err)
{
    const char *path = nst_safetensors_path(f);
    const char *input = nst_safetensors_metadata(f, INPUT);
    struct nst_vgg_names names;
    enum nst_status st = find_names(&names, f, err);
    int block, index;

    if (!w->convs)
        w->convs = names.convs;
    nst_conv_position(names.convs, &block, &index);
    if (st == NST_OK && w->convs > names.convs)
        st = nst_err_set(err, NST_ERR_FORMAT,
                         "%s: has no layer conv%d_%d (conv_%d), which this run needs",
                         path, block, index, names.convs + 1);
    for (int i = 0; st == NST_OK && i < w->convs; i++)
        st = read_conv(f, &names, i, i ? w->conv[i - 1].cout : 3, &w->conv[i], err);
    w->input_stated = input && strcmp(input, INPUT_RGB) == 0;
    if (names.left_out)
        w->left_out = nst_xstrdup(names.left_out);
    nst_vgg_names_clear(&names);
    return st;
}

enum nst_status nst_weights_load(struct nst_weights **out, const char *path, int convs,
                                 struct nst_err *err)
{
    struct nst_weights *w = nst_xcalloc(1, sizeof *w);
    struct nst_safetensors *f;
    enum nst_status st = nst_safetensors_open(&f, path, err);

    *out = NULL;
    w->convs = convs;
    if (st == NST_OK)
        st = read_all(w, f, err);
    nst_safetensors_close(f);
    if (st != NST_OK) {
        nst_weights_free(w);
        return st;
    }
    *out = w;
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
    const struct nst_vgg_names torchvision = {.convs = w->convs};
    uint16_t *halves[2 * NST_VGG_CONVS] = {NULL};
    char *weight, *bias;
    enum nst_status st;

    nst_safetensors_write_metadata(writer, INPUT, INPUT_RGB);
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
        weight = nst_vgg_names_get(&torchvision, i, true);
        bias = nst_vgg_names_get(&torchvision, i, false);
        nst_safetensors_write_array(writer, weight, &a);
        nst_safetensors_write_array(writer, bias, &b);
        free(weight);
        free(bias);
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
    free(w->left_out);
    free(w);
}
