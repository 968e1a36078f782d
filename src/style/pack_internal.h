/* SPDX-License-Identifier: MIT */
/* pack_internal.h - a style pack's structure, private to pack.c and pack_file.c. */
#ifndef NST_STYLE_PACK_INTERNAL_H
#define NST_STYLE_PACK_INTERNAL_H

#include "style/pack.h"

#define NST_PACK_LAYERS 64 /* maximum number */

/* One layer of one network, at some sizes of the style image. */
struct nst_pack_entry {
    struct nst_layer layer;
    int channels;
    uint64_t fingerprint;
    const char *pooling; /* as in struct nst_pack_layer */
    int sizes;
    struct nst_pack_statistics {
        int size;        /* longest side in pixels, ascending */
        float *products; /* C x C, divided by pixels */
        float *means;    /* C */
    } at[NST_PACK_SIZES];
};

struct nst_pack {
    char *text[NST_PACK_TEXTS];
    unsigned char *preview;
    size_t preview_size;
    int entries;
    struct nst_pack_entry entry[NST_PACK_LAYERS];
};

/* Find or add a layer, or a size of a layer. NULL: too many. */
struct nst_pack_entry *nst_pack_ensure_layer(struct nst_pack *p,
                                             const struct nst_layer *t,
                                             uint64_t fingerprint);
struct nst_pack_statistics *nst_pack_ensure_size(struct nst_pack_entry *l, int size);

/* conv1_1, relu1_1 and so on. */
void nst_pack_layer_name(const struct nst_layer *layer, char name[16]);

#endif
