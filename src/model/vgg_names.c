/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "model/vgg_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define BLOCKS 5
#define NAMES_SHOWN 3
#define REMEDY                                                                         \
    "nst needs a VGG19 without batch normalisation (scripts/fetch-model installs one)"

enum scheme { TORCHVISION, GATYS, FEATURES };

static const struct {
    const char *stem;  /* with which the names of all layers begin */
    const char *first; /* the name of the first weight */
} schemes[] = {[TORCHVISION] = {"features.", "features.0.weight"},
               [GATYS] = {"conv", "conv1_1.weight"},
               [FEATURES] = {"", "0.weight"}};

/* Simonyan and Zisserman 2015, table 1, columns E, D, B and A. */
static const struct architecture {
    const char *name;
    int convs_in_block[BLOCKS];
    int layers; /* from one convolution to the next in a block */
} architectures[] = {{"VGG19", {2, 2, 4, 4, 4}, 2},
                     {"VGG16", {2, 2, 3, 3, 3}, 2},
                     {"VGG13", {2, 2, 2, 2, 2}, 2},
                     {"VGG11", {1, 1, 2, 2, 2}, 2},
                     {"VGG19 with batch normalisation", {2, 2, 4, 4, 4}, 3},
                     {"VGG16 with batch normalisation", {2, 2, 3, 3, 3}, 3},
                     {"VGG13 with batch normalisation", {2, 2, 2, 2, 2}, 3},
                     {"VGG11 with batch normalisation", {1, 1, 2, 2, 2}, 3}};
#define ARCHITECTURES ((int)(sizeof architectures / sizeof *architectures))

/* Name of the weight or bias of a convolution, or of the normalisation after it; NULL
 * if the architecture has no such convolution. A new string. */
static char *layer_name(const struct nst_vgg_names *n, const struct architecture *a,
                        int conv, bool norm, const char *parameter)
{
    const char *prefix = n->prefix ? n->prefix : "";
    int block = 0, place = 0;

    while (block < BLOCKS && conv >= a->convs_in_block[block]) {
        place += a->layers * a->convs_in_block[block] + 1; /* and the pooling */
        conv -= a->convs_in_block[block++];
    }
    if (block == BLOCKS)
        return NULL;
    if (n->scheme == GATYS)
        return nst_xasprintf("%s%s%d_%d.%s", prefix, norm ? "bn" : "conv", block + 1,
                             conv + 1, parameter);
    return nst_xasprintf("%s%s%d.%s", prefix, schemes[n->scheme].stem,
                         place + a->layers * conv + norm, parameter);
}

char *nst_vgg_names_get(const struct nst_vgg_names *n, int conv, bool weight)
{
    return layer_name(n, &architectures[0], conv, false, weight ? "weight" : "bias");
}

static bool ends_in(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n >= m && strcmp(s + n - m, end) == 0;
}

static bool has(const char *const *name, size_t count, const char *wanted)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(name[i], wanted) == 0)
            return true;
    return false;
}

/* Whether a name that ends in that of a scheme's first weight begins the scheme's. A
 * bare number is that of any list of layers, as in layer2.0.downsample.0.weight. */
static bool begins_scheme(const char *name, int scheme)
{
    size_t prefix = strlen(name);

    if (!ends_in(name, schemes[scheme].first))
        return false;
    prefix -= strlen(schemes[scheme].first);
    if (prefix && name[prefix - 1] != '.')
        return false;
    return scheme != FEATURES ||
           (strcspn(name, "0123456789") == prefix && !strstr(name, "classifier."));
}

/* Set the scheme and the prefix, if the file has one. */
static bool find_scheme(struct nst_vgg_names *n, const char *const *name, size_t count)
{
    for (n->scheme = 0; n->scheme <= FEATURES; n->scheme++)
        for (size_t i = 0; i < count; i++)
            if (begins_scheme(name[i], n->scheme)) {
                n->prefix = nst_xstrdup(name[i]);
                n->prefix[strlen(name[i]) - strlen(schemes[n->scheme].first)] = 0;
                return true;
            }
    return false;
}

/* Whether name is that of a parameter of the network's features. */
static bool is_feature(const struct nst_vgg_names *n, const char *name)
{
    const char *stem = schemes[n->scheme].stem;
    size_t prefix = strlen(n->prefix);

    if (strncmp(name, n->prefix, prefix) != 0)
        return false;
    name += prefix;
    if (n->scheme == GATYS && strncmp(name, "bn", 2) == 0)
        return true;
    return strncmp(name, stem, strlen(stem)) == 0 &&
           (n->scheme != FEATURES || (*name >= '0' && *name <= '9'));
}

/* Number of convolutions that are there, from the first on. *missing, if not NULL,
 * becomes the name of the next one's weight, a new string; NULL after the last. */
static int count_convs(const struct nst_vgg_names *n, const struct architecture *a,
                       const char *const *name, size_t count, char **missing)
{
    int convs = 0;
    char *weight;

    while ((weight = layer_name(n, a, convs, false, "weight")) &&
           has(name, count, weight)) {
        free(weight);
        convs++;
    }
    *missing = weight;
    return convs;
}

/* Whether name is the weight of one of the first convolutions or of its normalisation.
 */
static bool is_weight_of(const struct nst_vgg_names *n, const struct architecture *a,
                         int convs, const char *name)
{
    bool found = false;

    for (int i = 0; !found && i < convs * (a->layers - 1); i++) {
        char *weight = layer_name(n, a, i % convs, i >= convs, "weight");

        found = strcmp(weight, name) == 0;
        free(weight);
    }
    return found;
}

/* The first weight of features that the architecture does not have, or not without one
 * that is missing; NULL if it fits. */
static const char *find_other(const struct nst_vgg_names *n,
                              const struct architecture *a, int convs,
                              const char *const *name, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is_feature(n, name[i]) && ends_in(name[i], ".weight") &&
            !is_weight_of(n, a, convs, name[i]))
            return name[i];
    return NULL;
}

/* The name of the architecture that the network has in place of VGG19's, or NULL. */
static const char *find_architecture(const struct nst_vgg_names *n,
                                     const char *const *name, size_t count)
{
    for (int i = 1; i < ARCHITECTURES; i++) {
        const struct architecture *a = &architectures[i];
        char *missing;
        int convs = count_convs(n, a, name, count, &missing);

        free(missing);
        if (!find_other(n, a, convs, name, count))
            return a->name;
    }
    return NULL;
}

/* Count the tensors that are none of the convolutions, and name some. */
static char *list_left_out(const struct nst_vgg_names *n, const char *const *name,
                           size_t count)
{
    size_t others = count - 2 * (size_t)n->convs, shown = 0;
    char *text = nst_xasprintf("%zu tensor%s", others, others == 1 ? "" : "s");

    for (size_t i = 0; i < count && shown < NAMES_SHOWN; i++) {
        bool used = false;
        char *longer;

        for (int k = 0; !used && k < 2 * n->convs; k++) {
            char *own = nst_vgg_names_get(n, k / 2, k % 2);

            used = strcmp(own, name[i]) == 0;
            free(own);
        }
        if (used)
            continue;
        longer = nst_xasprintf("%s%s %.80s", text, shown++ ? "," : ":", name[i]);
        free(text);
        text = longer;
    }
    if (shown < others) {
        char *longer = nst_xasprintf("%s and %zu more", text, others - shown);

        free(text);
        text = longer;
    }
    return text;
}

/* Report that the weight other is not one of VGG19's, or that there is a gap before
 * it. */
static enum nst_status refuse(const struct nst_vgg_names *n, const char *path,
                              const char *const *name, size_t count, const char *other,
                              const char *missing, struct nst_err *err)
{
    const char *architecture = find_architecture(n, name, count);

    if (architecture)
        return nst_err_set(err, NST_ERR_FORMAT, "%s: is a %s; " REMEDY, path,
                           architecture);
    return nst_err_set(err, NST_ERR_FORMAT,
                       "%s: is not a VGG19: it has %.80s%s%s; " REMEDY, path, other,
                       missing ? ", but no " : "", missing ? missing : "");
}

static enum nst_status require_biases(const struct nst_vgg_names *n, const char *path,
                                      const char *const *name, size_t count,
                                      struct nst_err *err)
{
    enum nst_status st = NST_OK;

    for (int i = 0; st == NST_OK && i < n->convs; i++) {
        char *bias = nst_vgg_names_get(n, i, false);

        if (!has(name, count, bias))
            st = nst_err_set(err, NST_ERR_FORMAT, "%s: %s: is not in the file", path,
                             bias);
        free(bias);
    }
    return st;
}

enum nst_status nst_vgg_names_find(struct nst_vgg_names *n, const char *path,
                                   const char *const *name, size_t count,
                                   struct nst_err *err)
{
    enum nst_status st;
    const char *other;
    char *missing;

    *n = (struct nst_vgg_names){.convs = 0};
    if (!find_scheme(n, name, count))
        return nst_err_set(err, NST_ERR_FORMAT,
                           "%s: is not a VGG19: it has none of features.0.weight, "
                           "conv1_1.weight and 0.weight; " REMEDY,
                           path);
    n->convs = count_convs(n, &architectures[0], name, count, &missing);
    other = find_other(n, &architectures[0], n->convs, name, count);
    st = other ? refuse(n, path, name, count, other, missing, err)
               : require_biases(n, path, name, count, err);
    free(missing);
    if (st == NST_OK && count > 2 * (size_t)n->convs)
        n->left_out = list_left_out(n, name, count);
    return st;
}

void nst_vgg_names_clear(struct nst_vgg_names *n)
{
    free(n->prefix);
    free(n->left_out);
    *n = (struct nst_vgg_names){.convs = 0};
}
