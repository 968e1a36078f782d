/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "model/layers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Simonyan and Zisserman 2015, table 1, column E. */
static const int convs_in_block[] = {2, 2, 4, 4, 4};
#define BLOCKS 5

void nst_conv_position(int conv, int *block, int *index)
{
    int b = 0;

    while (b < BLOCKS - 1 && conv >= convs_in_block[b])
        conv -= convs_in_block[b++];
    *block = b + 1;
    *index = conv + 1;
}

bool nst_conv_pool_follows(int conv)
{
    int block, index;

    nst_conv_position(conv, &block, &index);
    return index == convs_in_block[block - 1];
}

bool nst_conv_in_first_block(int conv)
{
    return conv < convs_in_block[0];
}

static int conv_at(int block, int index)
{
    int conv = 0;

    if (block < 1 || block > BLOCKS || index < 1 || index > convs_in_block[block - 1])
        return -1;
    for (int b = 0; b < block - 1; b++)
        conv += convs_in_block[b];
    return conv + index - 1;
}

static bool parse_name(const char *name, struct nst_layer *layer)
{
    int a, b, end = 0;

    layer->after_relu = strncmp(name, "relu", 4) == 0;
    if (!layer->after_relu && strncmp(name, "conv", 4) != 0)
        return false;
    if (strspn(name + 4, "_0123456789") != strlen(name + 4) || strlen(name) > 7)
        return false;
    if (sscanf(name, "conv_%d%n", &a, &end) == 1 && !name[end]) {
        layer->conv = a - 1;
        return a >= 1 && a <= NST_VGG_CONVS;
    }
    if (sscanf(name + 4, "%d_%d%n", &a, &b, &end) == 2 && !name[4 + end]) {
        layer->conv = conv_at(a, b);
        return layer->conv >= 0;
    }
    return false;
}

static bool parse_weight(const char *text, double *weight)
{
    char *end;

    *weight = strtod(text, &end);
    return end != text && !*end && *weight >= 0 && *weight <= 1e12;
}

static enum nst_status parse_layer(struct nst_layers *layers, char *item,
                                   struct nst_err *err)
{
    struct nst_layer t = {.weight = 1};
    char *colon = strchr(item, ':');

    if (colon)
        *colon = 0;
    if (!parse_name(item, &t))
        return nst_err_set(
            err, NST_ERR_ARG,
            "'%s' is not a layer of VGG19: conv_1 to conv_16, conv1_1 to "
            "conv5_4 or relu1_1 to relu5_4",
            item);
    if (colon && !parse_weight(colon + 1, &t.weight))
        return nst_err_set(err, NST_ERR_ARG,
                           "'%s' is not a weight between 0 and 1e12 for %s", colon + 1,
                           item);
    for (int i = 0; i < layers->count; i++)
        if (layers->layer[i].conv == t.conv &&
            layers->layer[i].after_relu == t.after_relu)
            return nst_err_set(err, NST_ERR_ARG, "'%s' is named twice", item);
    layers->layer[layers->count++] = t;
    return NST_OK;
}

enum nst_status nst_layers_parse(struct nst_layers *layers, const char *text,
                                 struct nst_err *err)
{
    struct nst_layers parsed = {.count = 0};
    enum nst_status st = NST_OK;
    char *copy = strdup(text), *rest = copy, *item;

    if (!copy)
        return nst_err_set(err, NST_ERR_MEM, "out of memory");
    while (st == NST_OK && (item = strsep(&rest, ",")))
        st = parse_layer(&parsed, item, err);
    free(copy);
    if (st == NST_OK)
        *layers = parsed;
    return st;
}

void nst_layers_format(const struct nst_layers *layers, char *text, size_t size)
{
    size_t used = 0;

    text[0] = 0;
    for (int i = 0; i < layers->count && used < size; i++) {
        const struct nst_layer *t = &layers->layer[i];
        int block, index;

        nst_conv_position(t->conv, &block, &index);
        used += (size_t)snprintf(text + used, size - used, "%s%s%d_%d", i ? "," : "",
                                 t->after_relu ? "relu" : "conv", block, index);
        if (t->weight != 1 && used < size)
            used += (size_t)snprintf(text + used, size - used, ":%.15g", t->weight);
    }
}
