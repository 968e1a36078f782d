/* SPDX-License-Identifier: MIT */
/* style_make.c - nst-style pack and blend: make packs from pictures or from packs. */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/path.h"
#include "cli/program.h"
#include "cli/style.h"

#define PREVIEW_SIDE 256 /* pixels */

#define RELUS "relu1_1,relu2_1,relu3_1,relu4_1,relu5_1"
#define CONVS "conv_1,conv_2,conv_3,conv_4,conv_5"

/*
 * Default contents of a pack: the layers of the default recipe at all its sizes up to
 * 2048 pixels, those of the preset classic, and, for average pooling as in the preset
 * gatys, all of these at two sizes. Two layers of 128 channels take 33 kB per size; a
 * pack should stay below 400 kB.
 */
static const struct pack_variant {
    const char *pooling, *layers, *scales;
} variants[] = {{"max", RELUS, STYLE_DEFAULT_SCALES},
                {"max", CONVS, "128,256,512,1024,2048"},
                {"avg", RELUS "," CONVS, "512,1024"}};
#define VARIANTS ((int)(sizeof variants / sizeof *variants))

/* The weight of style i as a fraction of the sum. */
static double weight_fraction(const struct nst_styles *s, int i)
{
    double sum = 0;

    for (int k = 0; k < s->count; k++)
        sum += s->item[k].weight;
    return s->item[i].weight / sum;
}

/* The names without directories, separated by commas; a new string. */
static char *join_names(const struct nst_styles *s)
{
    char *all = nst_xstrdup("");

    for (int i = 0; i < s->count; i++) {
        char *longer =
            nst_xasprintf("%s%s%s", all, i ? ", " : "", nst_base_name(s->item[i].file));

        free(all);
        all = longer;
    }
    return all;
}

/* The source of a pack according to the arguments, or else name; a new string. */
static char *source_text(const struct style_arguments *a, const char *name)
{
    const char *artist = a->text[NST_PACK_ARTIST], *title = a->text[NST_PACK_TITLE];
    const char *year = a->text[NST_PACK_YEAR];

    if (a->text[NST_PACK_FROM])
        return nst_xstrdup(a->text[NST_PACK_FROM]);
    if (artist && title)
        return nst_xasprintf("%s, %s%s%s", artist, title, year ? ", " : "",
                             year ? year : "");
    return nst_xstrdup(name);
}

/* Set the given texts and preview. */
static enum nst_status set_texts(struct nst_pack *p, const struct style_arguments *a,
                                 struct nst_err *err)
{
    enum nst_status st;
    void *jpeg;
    size_t size;

    for (int i = NST_PACK_ARTIST; i < NST_PACK_TEXTS; i++)
        if (a->text[i])
            nst_pack_set_text(p, (enum nst_pack_text)i, a->text[i]);
    if (!a->preview)
        return NST_OK;
    st = nst_picture_thumbnail_jpeg(&jpeg, &size, a->preview, PREVIEW_SIDE, err);
    if (st == NST_OK)
        st = nst_pack_set_preview(p, jpeg, size, err);
    free(jpeg);
    return st;
}

/* Add one picture, resized to size, through one network. */
static enum nst_status add_picture(struct nst_pack *pack, struct nst_vgg *v,
                                   const struct nst_layers *layers, int size,
                                   const struct nst_picture *p, double weight,
                                   struct nst_err *err)
{
    double factor = (double)size / nst_longest(p->height, p->width);
    int h = (int)lround(p->height * factor), w = (int)lround(p->width * factor);
    float *rgb;
    enum nst_status st;

    h = h < NST_PICTURE_MIN_SIDE ? NST_PICTURE_MIN_SIDE : h;
    w = w < NST_PICTURE_MIN_SIDE ? NST_PICTURE_MIN_SIDE : w;
    st = nst_pixels_resize(&rgb, nst_picture_image(p), h, w, err);
    if (st == NST_OK)
        st = nst_pack_add(pack, v, layers, (struct nst_image){rgb, h, w}, weight, err);
    free(rgb);
    return st;
}

/* Layers below the first pooling do not depend on its kind, and the pack already has
 * them from max pooling. */
static struct nst_layers layers_above_pooling(const struct nst_layers *layers)
{
    struct nst_layers above = {0};

    for (int i = 0; i < layers->count; i++)
        if (!nst_conv_in_first_block(layers->layer[i].conv))
            above.layer[above.count++] = layers->layer[i];
    return above;
}

/* Open a session for the network, layers and sizes of a variant, or those given. Its
 * padding is the default, that of most runs. */
static enum nst_status open_session(struct style_arguments *a,
                                    const struct pack_variant *c,
                                    struct nst_session **e, struct nst_err *err)
{
    enum nst_status st = nst_params_set(&a->p, "pooling", c->pooling, err);

    if (st == NST_OK && !a->with_scales)
        st = nst_params_set(&a->p, "scales", c->scales, err);
    if (st == NST_OK && !a->with_layers)
        st = nst_params_set(&a->p, "style-layers", c->layers, err);
    return st == NST_OK ? nst_session_new(e, &a->p, err) : st;
}

/* Given layers replace those of all variants, so one variant per pooling is enough. */
static bool needs_variant(const struct style_arguments *a, int row)
{
    return !a->with_layers || row == 0 ||
           strcmp(variants[row - 1].pooling, variants[row].pooling) != 0;
}

static char *network_name(const struct nst_network *n)
{
    return nst_xstrdup(n->name);
}

/* Add all pictures, through the networks with one kind of pooling. */
static enum nst_status add_pictures(struct nst_pack **pack, struct style_arguments *a,
                                    const struct pack_variant *c,
                                    struct nst_picture *const *picture,
                                    struct nst_err *err)
{
    const struct nst_styles *s = &a->p.styles;
    const struct nst_network *n;
    struct nst_session *session = NULL;
    enum nst_status st = open_session(a, c, &session, err);
    struct nst_layers layers = a->p.style_layers;

    if (strcmp(c->pooling, "avg") == 0)
        layers = layers_above_pooling(&layers);
    if (st == NST_OK && !*pack) {
        char *names = join_names(s), *from = source_text(a, names);
        char *models = nst_session_list_networks(session, network_name);

        *pack = nst_pack_new(models, from);
        free(models);
        free(from);
        free(names);
    }
    for (int m = 0; st == NST_OK && (n = nst_session_network_at(session, m)); m++)
        for (int i = 0; st == NST_OK && i < s->count && layers.count; i++)
            for (int k = 0; st == NST_OK && k < a->p.scales.count; k++)
                st = add_picture(*pack, n->vgg, &layers, (int)a->p.scales.value[k],
                                 picture[i], weight_fraction(s, i), err);
    nst_session_free(session);
    return st;
}

/* Refuse to overwrite an input. */
static enum nst_status protect_inputs(const struct style_arguments *a,
                                      struct nst_err *err)
{
    enum nst_status st = NST_OK;

    for (int i = 0; st == NST_OK && i < a->p.styles.count; i++)
        st = nst_protect_input(a->output, a->p.styles.item[i].file, err);
    if (st == NST_OK && a->preview)
        st = nst_protect_input(a->output, a->preview, err);
    return st;
}

enum nst_status style_pack(struct style_arguments *a, struct nst_err *err)
{
    const struct nst_picture_size native = {.max_pixels = 200000000};
    struct nst_picture *picture[NST_STYLES_MAX] = {NULL};
    struct nst_pack *pack = NULL;
    enum nst_status st = protect_inputs(a, err);

    for (int i = 0; st == NST_OK && i < a->p.styles.count; i++)
        st = nst_picture_load(&picture[i], a->p.styles.item[i].file, &native, err);
    for (int i = 0; i < a->p.styles.count; i++)
        nst_picture_flatten(picture[i], NST_WHITE);
    for (int i = 0; st == NST_OK && i < VARIANTS; i++)
        if (needs_variant(a, i))
            st = add_pictures(&pack, a, &variants[i], picture, err);
    if (st == NST_OK)
        st = set_texts(pack, a, err);
    if (st == NST_OK)
        st = nst_pack_save(pack, a->output, err);
    nst_pack_free(pack);
    for (int i = 0; i < a->p.styles.count; i++)
        nst_picture_free(picture[i]);
    return st;
}

/* Load pack i. It must have the layers of the first one, and of several packs none may
 * be the output. */
static enum nst_status load_pack(struct nst_pack **out, int i,
                                 const struct style_arguments *a,
                                 struct nst_pack *first, struct nst_err *err)
{
    const struct nst_styles *s = &a->p.styles;
    char *path = nst_find_pack(s->item[i].file);
    enum nst_status st = NST_OK;

    if (path && s->count > 1)
        st = nst_protect_input(a->output, path, err);
    free(path);
    if (st == NST_OK)
        st = style_load(out, s->item[i].file, err);
    return st == NST_OK && i > 0 ? nst_pack_match(first, *out, err) : st;
}

/* The mean of several packs. */
static enum nst_status blend_packs(struct nst_pack **out,
                                   const struct style_arguments *a,
                                   struct nst_pack *const from[], struct nst_err *err)
{
    const struct nst_styles *s = &a->p.styles;
    char *names = join_names(s), *text = source_text(a, names);
    enum nst_status st = NST_OK;

    *out = nst_pack_new(nst_pack_text(from[0], NST_PACK_MODEL), text);
    free(text);
    free(names);
    for (int i = 0; st == NST_OK && i < s->count; i++)
        st = nst_pack_add_pack(*out, from[i], weight_fraction(s, i), err);
    return st;
}

/* A single pack keeps its source unless another is given. */
static void relabel(struct nst_pack *p, const struct style_arguments *a)
{
    char *from = source_text(a, nst_pack_text(p, NST_PACK_FROM));

    nst_pack_set_text(p, NST_PACK_FROM, from);
    free(from);
}

enum nst_status style_blend(const struct style_arguments *a, struct nst_err *err)
{
    const struct nst_styles *s = &a->p.styles;
    struct nst_pack *from[NST_STYLES_MAX] = {NULL}, *blended = NULL, *pack;
    enum nst_status st = NST_OK;

    if (a->preview)
        st = nst_protect_input(a->output, a->preview, err);
    for (int i = 0; st == NST_OK && i < s->count; i++)
        st = load_pack(&from[i], i, a, from[0], err);
    if (st == NST_OK && s->count > 1)
        st = blend_packs(&blended, a, from, err);
    else if (st == NST_OK)
        relabel(from[0], a);
    pack = blended ? blended : from[0];
    if (st == NST_OK)
        st = set_texts(pack, a, err);
    /* This replaces the file as a whole, so a single pack may be the output. */
    if (st == NST_OK)
        st = nst_pack_save(pack, a->output, err);
    nst_pack_free(blended);
    for (int i = 0; i < s->count; i++)
        nst_pack_free(from[i]);
    return st;
}
