/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "cli/styles.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "model/search.h"

enum nst_status nst_styles_choose_model(struct nst_params *p, struct nst_err *err)
{
    enum nst_status st = NST_OK;

    for (int i = 0; st == NST_OK && !p->model && i < p->styles.count; i++) {
        char *path = nst_search_pack(p->styles.of[i].file);
        struct nst_pack *pack;

        if (!path)
            continue;
        st = nst_pack_load(&pack, path, err);
        free(path);
        if (st != NST_OK)
            return st;
        st = nst_params_set(p, "model", nst_pack_model(pack), err);
        nst_pack_free(pack);
    }
    return st;
}

/* A name that is neither file nor pack may be a pack's, mistyped. */
static enum nst_status read_picture(struct nst_picture **out, const char *name,
                                    const struct nst_picture_size *size,
                                    struct nst_err *err)
{
    if (strcmp(name, "-") != 0 && !strpbrk(name, "/.") && access(name, F_OK) != 0)
        return nst_err_set(err, NST_ERR_IO,
                           "style '%s': no such file, and no style pack has this name "
                           "(nst-style list)",
                           name);
    return nst_picture_load(out, name, size, err);
}

static enum nst_status read_one(struct nst_styles_read *s, int i,
                                const struct nst_params *p,
                                const struct nst_picture_size *size,
                                struct nst_err *err)
{
    const struct nst_style_option *o = &p->styles.of[i];
    struct nst_picture_size own = *size;
    char *path = nst_search_pack(o->file);
    enum nst_status st;

    own.longest = (int)lround(own.longest * p->style_scale);
    if (path)
        st = nst_pack_load(&s->of[i].pack, path, err);
    else
        st = read_picture(&s->of[i].picture, o->file, &own, err);
    free(path);
    if (st == NST_OK && s->of[i].pack && p->colour == NST_COLOUR_MATCH)
        st = nst_err_set(err, NST_ERR_ARG,
                         "colour: match recolours style pictures, and %s is a style "
                         "pack, which has no colours to change",
                         o->file);
    if (st == NST_OK && o->mask)
        st = nst_picture_load(&s->of[i].mask, o->mask, size, err);
    return st;
}

enum nst_status nst_styles_read(struct nst_styles_read *s, const struct nst_params *p,
                                const struct nst_picture_size *size,
                                struct nst_err *err)
{
    enum nst_status st = NST_OK;

    *s = (struct nst_styles_read){.count = p->styles.count};
    for (int i = 0; st == NST_OK && i < s->count; i++)
        st = read_one(s, i, p, size, err);
    return st;
}

void nst_styles_drop_pictures(struct nst_styles_read *s)
{
    for (int i = 0; i < s->count; i++) {
        nst_picture_free(s->of[i].picture);
        s->of[i].picture = NULL;
    }
}

void nst_styles_clear(struct nst_styles_read *s)
{
    nst_styles_drop_pictures(s);
    for (int i = 0; i < s->count; i++) {
        nst_pack_free(s->of[i].pack);
        nst_picture_free(s->of[i].mask);
    }
    s->count = 0;
}

enum nst_status nst_styles_check(const struct nst_styles_read *s,
                                 const struct nst_params *p, const struct nst_engine *e,
                                 struct nst_err *err)
{
    enum nst_status st = NST_OK;

    for (int i = 0; st == NST_OK && i < s->count; i++)
        if (s->of[i].pack)
            st = nst_pack_check(s->of[i].pack, p->styles.of[i].file,
                                nst_engine_network(e), &p->style_layers, err);
    return st;
}

void nst_styles_largest(const struct nst_styles_read *s, int *height, int *width)
{
    *height = *width = 0;
    for (int i = 0; i < s->count; i++) {
        const struct nst_picture *p = s->of[i].picture;

        if (p &&
            (size_t)p->height * (size_t)p->width > (size_t)*height * (size_t)*width) {
            *height = p->height;
            *width = p->width;
        }
    }
}
