/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "optim/lbfgs_history.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

struct nst_lbfgs_history {
    const struct nst_vector_space *v;
    int m;
    int count, next;            /* number of pairs, and the slot of the next one */
    struct nst_buffer **s, **y; /* m each */
    double *yy;                 /* y.y of each pair */
};

enum nst_status nst_lbfgs_history_new(struct nst_lbfgs_history **out,
                                      const struct nst_vector_space *v, int m,
                                      struct nst_err *err)
{
    struct nst_lbfgs_history *h;
    enum nst_status st = NST_OK;

    *out = NULL;
    if (v->n == 0 || m < 1 || m > NST_MAX_PAIRS)
        return nst_err_set(err, NST_ERR_ARG, "L-BFGS needs variables and pairs");
    h = nst_xcalloc(1, sizeof *h);
    h->v = v;
    h->m = m;
    h->s = nst_xcalloc((size_t)m, sizeof *h->s);
    h->y = nst_xcalloc((size_t)m, sizeof *h->y);
    h->yy = nst_xcalloc((size_t)m, sizeof *h->yy);
    for (int i = 0; i < m && st == NST_OK; i++) {
        st = nst_vector_new(v, &h->s[i], err);
        if (st == NST_OK)
            st = nst_vector_new(v, &h->y[i], err);
    }
    if (st != NST_OK) {
        nst_lbfgs_history_free(h);
        return st;
    }
    *out = h;
    return NST_OK;
}

void nst_lbfgs_history_free(struct nst_lbfgs_history *h)
{
    if (!h)
        return;
    for (int i = 0; i < h->m; i++) {
        nst_vector_free(h->v, h->s[i]);
        nst_vector_free(h->v, h->y[i]);
    }
    free(h->s);
    free(h->y);
    free(h->yy);
    free(h);
}

struct nst_lbfgs_pair nst_lbfgs_history_next(struct nst_lbfgs_history *h)
{
    /* The slot has the oldest pair, which the caller overwrites. */
    if (h->count == h->m)
        h->count--;
    return (struct nst_lbfgs_pair){h->s[h->next], h->y[h->next]};
}

void nst_lbfgs_history_swap_y(struct nst_lbfgs_history *h, struct nst_buffer **other)
{
    struct nst_buffer *y = h->y[h->next];

    h->y[h->next] = *other;
    *other = y;
}

bool nst_lbfgs_history_push(struct nst_lbfgs_history *h, double sy, double yy,
                            double min_sy)
{
    h->yy[h->next] = yy;
    if (!(sy > min_sy))
        return false;
    h->next = (h->next + 1) % h->m;
    h->count++;
    return true;
}

void nst_lbfgs_history_clear(struct nst_lbfgs_history *h)
{
    h->count = 0;
}

struct nst_ring nst_lbfgs_history_ring(const struct nst_lbfgs_history *h)
{
    return (struct nst_ring){h->s, h->y, h->yy, h->m, h->count, h->next};
}

bool nst_lbfgs_history_serialise(struct nst_lbfgs_history *h, nst_serialise_fn *visit,
                                 void *ctx)
{
    int64_t count = h->count;
    struct nst_ring ring;

    if (!visit(ctx, "pairs", NST_I64, &count, 1) || count < 0 || count > h->m)
        return false;
    if (count != h->count) { /* restored: fill the slots from the first */
        h->count = (int)count;
        h->next = h->count % h->m;
    }
    ring = nst_lbfgs_history_ring(h);
    for (int i = h->count - 1; i >= 0; i--) {
        int at = nst_ring_slot(&ring, i);
        char name[32];

        snprintf(name, sizeof name, "pair%d/", h->count - 1 - i);
        memcpy(name + strlen(name), "s", 2);
        if (!nst_vector_serialise(h->v, name, h->s[at], visit, ctx))
            return false;
        name[strlen(name) - 1] = 'y';
        if (!nst_vector_serialise(h->v, name, h->y[at], visit, ctx))
            return false;
        memcpy(name + strlen(name), "y", 2);
        if (!visit(ctx, name, NST_F64, &h->yy[at], 1))
            return false;
    }
    return true;
}
