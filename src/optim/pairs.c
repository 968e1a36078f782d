/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "optim/pairs.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct nst_pairs {
    const struct nst_vectors *v;
    int m;
    int count, next; /* pairs held, and the slot that the next one goes to */
    float **s, **y;  /* m each */
    double *yy;      /* y.y of each pair */
};

enum nst_status nst_pairs_new(struct nst_pairs **out, const struct nst_vectors *v,
                              int m, struct nst_err *err)
{
    struct nst_pairs *p;
    enum nst_status st = NST_OK;

    *out = NULL;
    if (v->n == 0 || m < 1 || m > NST_PAIRS_MOST)
        return nst_err_set(err, NST_ERR_ARG, "L-BFGS needs variables and pairs");
    p = nst_xcalloc(1, sizeof *p);
    p->v = v;
    p->m = m;
    p->s = nst_xcalloc((size_t)m, sizeof *p->s);
    p->y = nst_xcalloc((size_t)m, sizeof *p->y);
    p->yy = nst_xcalloc((size_t)m, sizeof *p->yy);
    for (int i = 0; i < m && st == NST_OK; i++) {
        st = nst_vector_new(v, &p->s[i], err);
        if (st == NST_OK)
            st = nst_vector_new(v, &p->y[i], err);
    }
    if (st != NST_OK) {
        nst_pairs_free(p);
        return st;
    }
    *out = p;
    return NST_OK;
}

void nst_pairs_free(struct nst_pairs *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->m; i++) {
        nst_vector_free(p->v, p->s[i]);
        nst_vector_free(p->v, p->y[i]);
    }
    free(p->s);
    free(p->y);
    free(p->yy);
    free(p);
}

struct nst_pair nst_pairs_next(struct nst_pairs *p)
{
    /* The slot held the oldest pair, which is overwritten now. */
    if (p->count == p->m)
        p->count--;
    return (struct nst_pair){p->s[p->next], p->y[p->next]};
}

void nst_pairs_swap_y(struct nst_pairs *p, float **other)
{
    float *y = p->y[p->next];

    p->y[p->next] = *other;
    *other = y;
}

bool nst_pairs_push(struct nst_pairs *p, double sy, double yy, double least)
{
    p->yy[p->next] = yy;
    if (!(sy > least))
        return false;
    p->next = (p->next + 1) % p->m;
    p->count++;
    return true;
}

void nst_pairs_clear(struct nst_pairs *p)
{
    p->count = 0;
}

struct nst_ring nst_pairs_ring(const struct nst_pairs *p)
{
    return (struct nst_ring){p->s, p->y, p->yy, p->m, p->count, p->next};
}

bool nst_pairs_state(struct nst_pairs *p, nst_state_visit *visit, void *ctx)
{
    int64_t count = p->count;
    struct nst_ring ring;

    if (!visit(ctx, "pairs", NST_I64, &count, 1) || count < 0 || count > p->m)
        return false;
    if (count != p->count) { /* brought in: the slots are as good as any */
        p->count = (int)count;
        p->next = p->count % p->m;
    }
    ring = nst_pairs_ring(p);
    for (int i = p->count - 1; i >= 0; i--) {
        int at = nst_ring_slot(&ring, i);
        char name[32];

        snprintf(name, sizeof name, "pair%d/", p->count - 1 - i);
        memcpy(name + strlen(name), "s", 2);
        if (!nst_vector_visit(p->v, name, p->s[at], visit, ctx))
            return false;
        name[strlen(name) - 1] = 'y';
        if (!nst_vector_visit(p->v, name, p->y[at], visit, ctx))
            return false;
        memcpy(name + strlen(name), "y", 2);
        if (!visit(ctx, name, NST_F64, &p->yy[at], 1))
            return false;
    }
    return true;
}
