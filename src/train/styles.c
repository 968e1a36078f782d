/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "train/styles.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "image/load.h"
#include "model/paths.h"
#include "style/pack.h"

/* A style, and what it was read into. */
struct loaded_style {
    struct nst_pack *pack;
    struct nst_picture *picture;
};

static void free_styles(struct loaded_style *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        nst_pack_free(s[i].pack);
        nst_picture_free(s[i].picture);
    }
    free(s);
}

static enum nst_status load_style(struct nst_session *session, const char *name,
                                  int longest, struct loaded_style *to,
                                  struct nst_err *err)
{
    char *path = nst_find_pack(name);
    struct nst_picture_size size = {.longest = longest};
    const struct nst_network *network = nst_session_network_at(session, 0);
    struct nst_layers layers;
    enum nst_status st = NST_OK;

    if (path) {
        st = nst_pack_load(&to->pack, path, err);
        if (st == NST_OK)
            st = nst_layers_parse(&layers, NST_TRAIN_STYLE_LAYERS, err);
        if (st == NST_OK)
            st = nst_pack_check(to->pack, name, network->vgg, network->name, &layers,
                                err);
    } else if (!strpbrk(name, "/.") && access(name, F_OK) != 0) {
        st = nst_err_set(err, NST_ERR_ARG,
                         "style '%s': no such file or style pack; see nst-style list",
                         name);
    } else {
        st = nst_picture_load(&to->picture, name, &size, err);
        nst_picture_flatten(to->picture, NST_WHITE);
    }
    free(path);
    return st;
}

/* What the pack of the only style knows of its painting is true of the network, too. */
static void set_texts(struct nst_net_file *f, const struct nst_pack *pack)
{
    static const enum nst_pack_text from[] = {NST_PACK_TITLE, NST_PACK_ARTIST,
                                              NST_PACK_YEAR};
    static const enum nst_net_text to[] = {NST_NET_TITLE, NST_NET_ARTIST, NST_NET_YEAR};

    for (int i = 0; i < 3; i++)
        nst_net_file_set_text(f, to[i], pack ? nst_pack_text(pack, from[i]) : NULL);
}

/* All styles, as they look at a scale. */
static enum nst_status load_styles(const struct nst_train_config *c, int scale,
                                   struct nst_session *session,
                                   struct loaded_style *loaded,
                                   struct nst_train_style *styles, struct nst_err *err)
{
    int longest = (int)c->style_size >> scale;
    enum nst_status st = NST_OK;

    for (int i = 0; st == NST_OK && i < c->style_count; i++) {
        st = load_style(session, c->styles[i], longest, &loaded[i], err);
        styles[i] =
            (struct nst_train_style){.pack = loaded[i].pack, .longest = longest};
        if (loaded[i].picture)
            styles[i].image = nst_picture_image(loaded[i].picture);
    }
    return st;
}

enum nst_status nst_train_styles_loss(struct nst_train_scales **out,
                                      const struct nst_train_config *c,
                                      struct nst_session *session,
                                      struct nst_net_file *file, struct nst_err *err)
{
    size_t n = (size_t)c->style_count;
    struct loaded_style *loaded[NST_TRAIN_SCALES];
    struct nst_train_style *styles[NST_TRAIN_SCALES];
    struct nst_train_weights w = {c->content_weight, c->style_weight, c->tv_weight};
    enum nst_status st = NST_OK;

    for (int k = 0; k < NST_TRAIN_SCALES; k++) {
        loaded[k] = nst_xcalloc(n, sizeof **loaded);
        styles[k] = nst_xcalloc(n, sizeof **styles);
        if (st == NST_OK)
            st = load_styles(c, k, session, loaded[k], styles[k], err);
    }
    if (st == NST_OK)
        st = nst_train_scales_new(out, nst_session_network_at(session, 0)->vgg, styles,
                                  (int)n, (int)c->size, &w, c->detail, err);
    if (st == NST_OK)
        set_texts(file, n == 1 ? loaded[0][0].pack : NULL);
    for (int k = 0; k < NST_TRAIN_SCALES; k++) {
        free_styles(loaded[k], n);
        free(styles[k]);
    }
    return st;
}
