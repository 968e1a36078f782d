/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/regions.h"

int nst_regions_assign(const struct nst_params *p, int region[NST_STYLES_MAX])
{
    const struct nst_styles *s = &p->styles;
    int masks = 0, count = 0;

    for (int i = 0; i < s->count; i++)
        masks += s->item[i].mask != NULL;
    for (int i = 0; i < s->count; i++)
        region[i] = s->item[i].mask ? count++ : masks;
    return masks && masks < s->count ? masks + 1 : masks;
}

void nst_regions_normalise(const struct nst_styles *s, float *const *planes, int count,
                           size_t n)
{
    int masks = 0;
    double weight[NST_STYLES_MAX];

    for (int i = 0; i < s->count; i++)
        if (s->item[i].mask)
            weight[masks++] = s->item[i].weight;
    for (size_t p = 0; p < n; p++) {
        double covered = 0, weighed = 0;

        for (int r = 0; r < masks; r++) {
            covered += planes[r][p];
            weighed += weight[r] * planes[r][p];
        }
        covered = covered < 1 ? covered : 1;
        for (int r = 0; r < masks; r++)
            planes[r][p] =
                weighed > 0 ? (float)(covered * weight[r] * planes[r][p] / weighed) : 0;
        if (count > masks)
            planes[masks][p] = (float)(1 - covered);
    }
}

static bool contains_layer(const struct nst_layers *layers,
                           const struct nst_layer *layer)
{
    for (int i = 0; i < layers->count; i++)
        if (layers->layer[i].conv == layer->conv &&
            layers->layer[i].after_relu == layer->after_relu)
            return true;
    return false;
}

enum nst_status nst_regions_check(const struct nst_params *p, struct nst_err *err)
{
    for (int i = 0; i < p->styles.count; i++) {
        const struct nst_layers *layers = &p->styles.item[i].layers;

        for (int k = 0; k < layers->count; k++)
            if (!contains_layer(&p->style_layers, &layers->layer[k])) {
                struct nst_layers one = {1, {layers->layer[k]}};
                char name[64];

                one.layer[0].weight = 1;
                nst_layers_format(&one, name, sizeof name);
                return nst_err_set(err, NST_ERR_ARG,
                                   "layers: %s (for %s) is not one of --style-layers",
                                   name, p->styles.item[i].file);
            }
    }
    return NST_OK;
}
