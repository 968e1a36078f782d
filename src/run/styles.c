/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/styles.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/memory.h"
#include "image/load.h"
#include "model/paths.h"
#include "net/net_file.h"

/* Reading this much is never refused: the plan of the run decides. */
#define SMALL_READ_BYTES ((size_t)32 << 20)

struct nst_styles_shared {
    const struct nst_params *p;
    struct nst_picture_size size; /* of contents and masks */
    struct nst_net_file net;
    bool is_net;
    pthread_mutex_t lock;
    struct shared_style {
        struct nst_pack *pack;
        struct nst_statistics_cache *cache;
        int height, width; /* of the picture; 0 until known */
    } item[NST_STYLES_MAX];
};

bool nst_params_need_pixels(const struct nst_params *p)
{
    return p->adaptive == NST_ADAPTIVE_PARAMETERS || p->adaptive == NST_ADAPTIVE_BOTH;
}

struct nst_picture_size nst_params_load_size(const struct nst_params *p,
                                             struct nst_session *session)
{
    size_t resident = nst_session_resident_memory(session),
           limit = (size_t)p->max_memory;
    size_t left = nst_memory_available() / 5 * 4;

    if (limit)
        left = limit > resident ? limit - resident : 0;
    if (left < SMALL_READ_BYTES)
        left = SMALL_READ_BYTES;
    return (struct nst_picture_size){.longest = (int)p->size,
                                     .square = p->square,
                                     .max_pixels = p->max_pixels,
                                     .max_bytes = left,
                                     .header_only =
                                         p->dry_run && !nst_params_need_pixels(p)};
}

static enum nst_status open_shared_style(struct nst_styles_shared *s, int i,
                                         const struct nst_session *session,
                                         bool several, struct nst_err *err)
{
    const struct nst_style_option *o = &s->p->styles.item[i];
    struct shared_style *style = &s->item[i];
    char *path = nst_find_pack(o->file);
    const struct nst_network *n;
    enum nst_status st = NST_OK;

    if (path)
        st = nst_pack_load(&style->pack, path, err);
    else if (several && s->p->colour != NST_COLOUR_MATCH) /* the same for each */
        style->cache = nst_statistics_cache_new();
    free(path);
    if (st == NST_OK && style->pack && s->p->colour == NST_COLOUR_MATCH)
        return nst_err_set(err, NST_ERR_ARG,
                           "colour: match needs style images, but %s is a style pack",
                           o->file);
    for (int k = 0;
         style->pack && st == NST_OK && (n = nst_session_network_at(session, k)); k++)
        st = nst_pack_check(style->pack, o->file, n->vgg, n->name, &s->p->style_layers,
                            err);
    return st;
}

/* Load the style if it is a feed-forward network. */
static enum nst_status open_net(struct nst_styles_shared *s, struct nst_err *err)
{
    char *path = nst_find_net(s->p->styles.item[0].file);
    enum nst_status st = NST_OK;

    s->is_net = path != NULL;
    if (path)
        st = nst_net_file_load(&s->net, path, err);
    free(path);
    return st;
}

const struct nst_net_file *nst_styles_shared_net(const struct nst_styles_shared *s)
{
    return s->is_net ? &s->net : NULL;
}

enum nst_status nst_styles_shared_new(struct nst_styles_shared **out,
                                      const struct nst_params *p,
                                      struct nst_session *session, bool several,
                                      struct nst_err *err)
{
    struct nst_styles_shared *s = nst_xcalloc(1, sizeof *s);
    enum nst_status st;

    s->p = p;
    s->size = nst_params_load_size(p, session);
    pthread_mutex_init(&s->lock, NULL);
    st = open_net(s, err);
    for (int i = 0; st == NST_OK && !s->is_net && i < p->styles.count; i++)
        st = open_shared_style(s, i, session, several, err);
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
        nst_pack_free(s->item[i].pack);
        nst_statistics_cache_free(s->item[i].cache);
    }
    nst_net_file_clear(&s->net);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* A name that is neither a file nor a pack is probably a mistyped pack. */
static enum nst_status load_picture(struct nst_picture **out, const char *name,
                                    const struct nst_picture_size *size,
                                    struct nst_err *err)
{
    enum nst_status st;

    if (strcmp(name, "-") != 0 && !strpbrk(name, "/.") && access(name, F_OK) != 0)
        return nst_err_set(err, NST_ERR_ARG,
                           "style '%s': no such file, style pack or network; see "
                           "nst-style list",
                           name);
    st = nst_picture_load(out, name, size, err);
    nst_picture_flatten(*out, NST_WHITE);
    return st;
}

enum nst_status nst_style_set_picture(struct nst_style_set *s, int i,
                                      struct nst_picture **out, struct nst_err *err)
{
    const struct nst_params *p = s->shared->p;
    struct nst_picture_size size = s->shared->size;
    enum nst_status st = NST_OK;

    size.longest = (int)lround(size.longest * p->style_scale);
    if (!s->item[i].picture)
        st = load_picture(&s->item[i].picture, p->styles.item[i].file, &size, err);
    *out = s->item[i].picture;
    return st;
}

/* Get the size of the i-th picture, loading it the first time. */
static enum nst_status read_size(struct nst_style_set *s, int i, struct nst_err *err)
{
    struct shared_style *shared = &s->shared->item[i];
    struct nst_picture *picture;
    enum nst_status st = NST_OK;

    pthread_mutex_lock(&s->shared->lock);
    if (!shared->height) {
        st = nst_style_set_picture(s, i, &picture, err);
        shared->height = st == NST_OK ? picture->height : 0;
        shared->width = st == NST_OK ? picture->width : 0;
    }
    s->item[i].height = shared->height;
    s->item[i].width = shared->width;
    pthread_mutex_unlock(&s->shared->lock);
    return st;
}

static enum nst_status load_style(struct nst_style_set *s, int i, struct nst_err *err)
{
    const struct nst_style_option *o = &s->shared->p->styles.item[i];
    enum nst_status st = NST_OK;

    s->item[i].pack = s->shared->item[i].pack;
    s->item[i].cache = s->shared->item[i].cache;
    if (!s->item[i].pack && !s->shared->is_net)
        st = read_size(s, i, err);
    if (st == NST_OK && o->mask)
        st = nst_picture_load(&s->item[i].mask, o->mask, &s->shared->size, err);
    nst_picture_flatten(s->item[i].mask, NST_BLACK);
    return st;
}

enum nst_status nst_style_set_load(struct nst_style_set *s,
                                   struct nst_styles_shared *shared,
                                   struct nst_err *err)
{
    enum nst_status st = NST_OK;

    *s = (struct nst_style_set){.shared = shared, .count = shared->p->styles.count};
    for (int i = 0; st == NST_OK && i < s->count; i++)
        st = load_style(s, i, err);
    return st;
}

void nst_style_set_drop_pictures(struct nst_style_set *s)
{
    for (int i = 0; i < s->count; i++) {
        nst_picture_free(s->item[i].picture);
        s->item[i].picture = NULL;
    }
}

void nst_style_set_clear(struct nst_style_set *s)
{
    nst_style_set_drop_pictures(s);
    for (int i = 0; i < s->count; i++)
        nst_picture_free(s->item[i].mask);
    s->count = 0;
}

struct nst_size nst_style_set_largest(const struct nst_style_set *s)
{
    struct nst_size largest = {0, 0};

    for (int i = 0; i < s->count; i++)
        if (nst_area(s->item[i].height, s->item[i].width) >
            nst_area(largest.height, largest.width))
            largest = (struct nst_size){s->item[i].height, s->item[i].width};
    return largest;
}

size_t nst_style_set_bytes(const struct nst_style_set *s)
{
    size_t bytes = 0;

    for (int i = 0; i < s->count; i++)
        bytes +=
            3 * (size_t)s->item[i].height * (size_t)s->item[i].width * sizeof(float) +
            nst_picture_bytes(s->item[i].mask);
    return bytes;
}
