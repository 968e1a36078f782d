/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/kept.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct entry {
    struct nst_kept_size size;
    struct nst_statistics *of; /* of each layer; NULL: nothing is here */
    int count;
};

struct nst_kept {
    pthread_mutex_t lock;
    struct entry entry[NST_KEPT_SIZES];
    int next; /* to be overwritten */
};

struct nst_kept *nst_kept_new(void)
{
    struct nst_kept *k = nst_xcalloc(1, sizeof *k);

    pthread_mutex_init(&k->lock, NULL);
    return k;
}

static void forget(struct entry *e)
{
    for (int i = 0; e->of && i < e->count; i++)
        nst_statistics_clear(&e->of[i]);
    free(e->of);
    e->of = NULL;
}

void nst_kept_free(struct nst_kept *k)
{
    if (!k)
        return;
    for (int i = 0; i < NST_KEPT_SIZES; i++)
        forget(&k->entry[i]);
    pthread_mutex_destroy(&k->lock);
    free(k);
}

static struct entry *find(struct nst_kept *k, struct nst_kept_size size)
{
    for (int i = 0; i < NST_KEPT_SIZES; i++) {
        struct entry *e = &k->entry[i];

        if (e->of && e->size.height == size.height && e->size.width == size.width &&
            e->size.tile == size.tile && e->size.network == size.network)
            return e;
    }
    return NULL;
}

bool nst_kept_has(struct nst_kept *k, struct nst_kept_size size)
{
    bool has;

    pthread_mutex_lock(&k->lock);
    has = find(k, size) != NULL;
    pthread_mutex_unlock(&k->lock);
    return has;
}

static enum nst_status remember(struct nst_kept *k, struct nst_kept_size size,
                                struct nst_statistics *const s[], int count,
                                struct nst_err *err)
{
    struct entry *e = &k->entry[k->next];
    enum nst_status st = NST_OK;

    forget(e);
    *e = (struct entry){size, nst_xcalloc((size_t)count, sizeof *e->of), count};
    for (int i = 0; st == NST_OK && i < count; i++) {
        st = nst_statistics_init(&e->of[i], NULL, s[i]->tap, s[i]->channels,
                                 s[i]->sums != NULL, err);
        if (st == NST_OK)
            nst_statistics_copy(&e->of[i], s[i]);
    }
    if (st != NST_OK)
        forget(e);
    else
        k->next = (k->next + 1) % NST_KEPT_SIZES;
    return st;
}

enum nst_status nst_kept_read(struct nst_kept *k, struct nst_kept_size size,
                              struct nst_statistics *const s[], int count,
                              enum nst_status (*measure)(void *ctx,
                                                         struct nst_err *err),
                              void *ctx, struct nst_err *err)
{
    enum nst_status st = NST_OK;
    struct entry *e;

    pthread_mutex_lock(&k->lock);
    e = find(k, size);
    for (int i = 0; e && i < count; i++)
        nst_statistics_copy(s[i], &e->of[i]);
    if (!e)
        st = measure(ctx, err);
    if (!e && st == NST_OK)
        st = remember(k, size, s, count, err);
    pthread_mutex_unlock(&k->lock);
    return st;
}
