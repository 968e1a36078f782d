/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/styles.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "model/search.h"
#include "run/adapt.h"

struct nst_styles_shared {
    const struct nst_params *p;
    struct nst_picture_size size; /* of contents and masks */
    pthread_mutex_t lock;
    struct shared_style {
        struct nst_pack *pack;
        struct nst_kept *kept;
        int height, width; /* of the picture, once it is known; else 0 */
    } of[NST_STYLES_MAX];
};

static enum nst_status open_style(struct nst_styles_shared *s, int i,
                                  const struct nst_engine *e, bool several,
                                  struct nst_err *err)
{
    const struct nst_style_option *o = &s->p->styles.of[i];
    struct shared_style *style = &s->of[i];
    char *path = nst_search_pack(o->file);
    const struct nst_network *n;
    enum nst_status st = NST_OK;

    if (path)
        st = nst_pack_load(&style->pack, path, err);
    else if (several && s->p->colour != NST_COLOUR_MATCH) /* the same for each */
        style->kept = nst_kept_new();
    free(path);
    if (st == NST_OK && style->pack && s->p->colour == NST_COLOUR_MATCH)
        return nst_err_set(err, NST_ERR_ARG,
                           "colour: match needs style images, but %s is a style pack",
                           o->file);
    for (int k = 0; style->pack && st == NST_OK && (n = nst_engine_networks(e, k)); k++)
        st = nst_pack_check(style->pack, o->file, n->vgg, n->name, &s->p->style_layers,
                            err);
    return st;
}

enum nst_status nst_styles_shared_new(struct nst_styles_shared **out,
                                      const struct nst_params *p,
                                      const struct nst_engine *e, bool several,
                                      struct nst_err *err)
{
    struct nst_styles_shared *s = nst_xcalloc(1, sizeof *s);
    enum nst_status st = NST_OK;

    s->p = p;
    s->size = nst_size_read(p);
    pthread_mutex_init(&s->lock, NULL);
    for (int i = 0; st == NST_OK && i < p->styles.count; i++)
        st = open_style(s, i, e, several, err);
    if (st != NST_OK) {
        nst_styles_shared_free(s);
        s = NULL;
    }
    *out = s;
    return st;
}

void nst_styles_shared_free(struct nst_styles_shared *s)
{
    if (!s)
        return;
    for (int i = 0; i < s->p->styles.count; i++) {
        nst_pack_free(s->of[i].pack);
        nst_kept_free(s->of[i].kept);
    }
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* A name that is neither file nor pack may be a pack's, mistyped. */
static enum nst_status read_picture(struct nst_picture **out, const char *name,
                                    const struct nst_picture_size *size,
                                    struct nst_err *err)
{
    enum nst_status st;

    if (strcmp(name, "-") != 0 && !strpbrk(name, "/.") && access(name, F_OK) != 0)
        return nst_err_set(err, NST_ERR_IO,
                           "style '%s': no such file or style pack; see nst-style list",
                           name);
    st = nst_picture_load(out, name, size, err);
    nst_picture_flatten(*out, NST_WHITE);
    return st;
}

enum nst_status nst_styles_picture(struct nst_styles_read *s, int i,
                                   struct nst_picture **out, struct nst_err *err)
{
    const struct nst_params *p = s->shared->p;
    struct nst_picture_size size = s->shared->size;
    enum nst_status st = NST_OK;

    size.longest = (int)lround(size.longest * p->style_scale);
    if (!s->of[i].picture)
        st = read_picture(&s->of[i].picture, p->styles.of[i].file, &size, err);
    *out = s->of[i].picture;
    return st;
}

/* Has the size of its picture, from earlier or by reading it. */
static enum nst_status measure(struct nst_styles_read *s, int i, struct nst_err *err)
{
    struct shared_style *shared = &s->shared->of[i];
    struct nst_picture *picture;
    enum nst_status st = NST_OK;

    pthread_mutex_lock(&s->shared->lock);
    if (!shared->height) {
        st = nst_styles_picture(s, i, &picture, err);
        shared->height = st == NST_OK ? picture->height : 0;
        shared->width = st == NST_OK ? picture->width : 0;
    }
    s->of[i].height = shared->height;
    s->of[i].width = shared->width;
    pthread_mutex_unlock(&s->shared->lock);
    return st;
}

static enum nst_status read_one(struct nst_styles_read *s, int i, struct nst_err *err)
{
    const struct nst_style_option *o = &s->shared->p->styles.of[i];
    enum nst_status st = NST_OK;

    s->of[i].pack = s->shared->of[i].pack;
    s->of[i].kept = s->shared->of[i].kept;
    if (!s->of[i].pack)
        st = measure(s, i, err);
    if (st == NST_OK && o->mask)
        st = nst_picture_load(&s->of[i].mask, o->mask, &s->shared->size, err);
    nst_picture_flatten(s->of[i].mask, NST_BLACK);
    return st;
}

enum nst_status nst_styles_read(struct nst_styles_read *s,
                                struct nst_styles_shared *shared, struct nst_err *err)
{
    enum nst_status st = NST_OK;

    *s = (struct nst_styles_read){.shared = shared, .count = shared->p->styles.count};
    for (int i = 0; st == NST_OK && i < s->count; i++)
        st = read_one(s, i, err);
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
    for (int i = 0; i < s->count; i++)
        nst_picture_free(s->of[i].mask);
    s->count = 0;
}

void nst_styles_largest(const struct nst_styles_read *s, int *height, int *width)
{
    *height = *width = 0;
    for (int i = 0; i < s->count; i++)
        if ((size_t)s->of[i].height * (size_t)s->of[i].width >
            (size_t)*height * (size_t)*width) {
            *height = s->of[i].height;
            *width = s->of[i].width;
        }
}

size_t nst_styles_bytes(const struct nst_styles_read *s)
{
    size_t bytes = 0;

    for (int i = 0; i < s->count; i++)
        bytes += 3 * (size_t)s->of[i].height * (size_t)s->of[i].width * sizeof(float) +
                 nst_picture_bytes(s->of[i].mask);
    return bytes;
}
