/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "cli/import/pth_net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define FIRST "conv1.conv2d.weight"
#define LAST "deconv3.conv2d.weight"
#define MAX_ARRAYS (3 * (6 + 2 * NST_NET_MAX_BLOCKS))
/* The values of a picture end at 255 there, and at 1 here. */
#define RANGE 255

struct nst_pth_net {
    struct nst_net_shape shape;
    float *array[MAX_ARRAYS]; /* as nst_net_parameter() counts them */
};

static bool has(const struct nst_pth_file *f, const char *name)
{
    size_t count;
    const char *const *names = nst_pth_file_tensors(f, &count);

    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

bool nst_pth_net_is(const struct nst_pth_file *f)
{
    return has(f, FIRST) && has(f, LAST);
}

static bool has_block(const struct nst_pth_file *f, int block)
{
    char name[64];

    snprintf(name, sizeof name, "res%d.conv1.conv2d.weight", block);
    return has(f, name);
}

/* The name there of an array: its layer, and for instance norm the layer after it. */
static void their_name(const struct nst_net_parameter *p, char to[64])
{
    static const struct {
        const char *ours, *conv, *norm;
    } layers[] = {{"first", "conv1", "in1"}, {"down1", "conv2", "in2"},
                  {"down2", "conv3", "in3"}, {"up1", "deconv1", "in4"},
                  {"up2", "deconv2", "in5"}, {"last", "deconv3", ""}};
    const char *dot = strrchr(p->name, '.'), *what = dot + 1;
    size_t length = (size_t)(dot - p->name);
    bool norm = strcmp(what, "scale") == 0 || strcmp(what, "shift") == 0;
    int block, conv;

    if (norm)
        what = strcmp(what, "scale") == 0 ? "weight" : "bias";
    if (sscanf(p->name, "block%d.conv%d", &block, &conv) == 2) {
        snprintf(to, 64, norm ? "res%d.in%d.%s" : "res%d.conv%d.conv2d.%s", block, conv,
                 what);
        return;
    }
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        if (strlen(layers[i].ours) == length &&
            strncmp(layers[i].ours, p->name, length) == 0)
            snprintf(to, 64, norm ? "%s.%s" : "%s.conv2d.%s",
                     norm ? layers[i].norm : layers[i].conv, what);
}

static enum nst_status want_array(struct nst_pth_net *n, struct nst_pth_file *f, int i,
                                  const struct nst_net_parameter *p)
{
    int64_t size[4] = {0};
    bool fits;
    char name[64] = "";
    int rank = 0;
    enum nst_status st;

    their_name(p, name);
    st = nst_pth_file_want(f, name, &n->array[i], size, &rank);
    fits = rank == p->rank;
    for (int k = 0; k < p->rank; k++)
        fits = fits && size[k] == p->shape[k];
    if (st == NST_OK && !fits)
        st = nst_pth_file_error(f, name, "does not fit the width of the network");
    return st;
}

/* Whether an array of the file may be left out: a convolution's bias that instance norm
 * removes, and the means and variances that older versions of PyTorch stored. */
static bool is_void(const char *name)
{
    size_t n = strlen(name), bias = strlen(".conv2d.bias");

    return strstr(name, ".running_") || strstr(name, ".num_batches_tracked") ||
           (n > bias && strcmp(name + n - bias, ".conv2d.bias") == 0);
}

/* Refuse tensors of which nobody knows what they would do: wanted others are known. */
static enum nst_status check_rest(const struct nst_pth_file *f, int wanted)
{
    size_t count;
    const char *const *names = nst_pth_file_tensors(f, &count);

    for (size_t i = 0; i < count; i++)
        wanted -= !is_void(names[i]);
    return wanted >= 0
               ? NST_OK
               : nst_pth_file_error(f, FIRST,
                                    "begins a network of fast_neural_style, but the "
                                    "file has other tensors beside it");
}

/* The shape of the network, from the first convolution and the names of the blocks. */
static enum nst_status find_shape(struct nst_pth_net *n, struct nst_pth_file *f)
{
    int64_t size[4] = {0};
    int rank = 0;
    enum nst_status st = nst_pth_file_want(f, FIRST, &n->array[0], size, &rank);

    if (st != NST_OK)
        return st;
    if (rank != 4 || size[0] > NST_NET_MAX_WIDTH || size[1] != 3 || size[2] != 9 ||
        size[3] != 9)
        return nst_pth_file_error(
            f, FIRST, "is not a 9x9 convolution of RGB to 1 to 128 channels");
    n->shape.width = (int)size[0];
    while (n->shape.blocks <= NST_NET_MAX_BLOCKS && has_block(f, n->shape.blocks + 1))
        n->shape.blocks++;
    if (n->shape.blocks < 1 || n->shape.blocks > NST_NET_MAX_BLOCKS)
        return nst_pth_file_error(f, "res1", "the network must have 1 to 16 blocks");
    return NST_OK;
}

enum nst_status nst_pth_net_want(struct nst_pth_net **out, struct nst_pth_file *f)
{
    struct nst_net_parameter p;
    int arrays = 1;
    enum nst_status st;

    *out = nst_xcalloc(1, sizeof **out);
    st = find_shape(*out, f);
    for (; st == NST_OK && nst_net_parameter((*out)->shape, arrays, &p); arrays++)
        st = want_array(*out, f, arrays, &p);
    /* is_void() counts the bias of the last convolution, which is wanted */
    return st == NST_OK ? check_rest(f, arrays - 1) : st;
}

void nst_pth_net_free(struct nst_pth_net *n)
{
    if (!n)
        return;
    for (int i = 0; i < MAX_ARRAYS; i++)
        free(n->array[i]);
    free(n);
}

enum nst_status nst_pth_net_convert(const struct nst_pth_net *n,
                                    struct nst_net_weights *w, struct nst_err *err)
{
    struct nst_net_parameter p;
    enum nst_status st = nst_net_weights_new(w, n->shape, err);

    for (int i = 0; st == NST_OK && nst_net_parameter(n->shape, i, &p); i++) {
        double factor = i == 0                             ? RANGE
                        : strncmp(p.name, "last.", 5) == 0 ? 1.0 / RANGE
                                                           : 1;

        for (size_t k = 0; k < p.count; k++)
            w->values[p.at + k] = (float)(factor * (double)n->array[i][k]);
    }
    return st;
}
