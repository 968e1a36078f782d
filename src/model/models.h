/* SPDX-License-Identifier: MIT */
/*
 * models.h - the networks that a run names, each for the sizes that it serves: one for
 * all, or a better one for small pictures and a faster one above.
 */
#ifndef NST_MODEL_MODELS_H
#define NST_MODEL_MODELS_H

#include <stdbool.h>

#include "base/err.h"

#define NST_MODELS_MAX 8 /* as many as there may be scales */

struct nst_model {
    char *name;    /* or a file, as nst_find_model() takes it; owned; NULL: the best */
    int max_size;  /* serves longest sides up to that; 0: all (the last) */
    bool optional; /* left out where it cannot be had */
};

/* Smallest sizes first. */
struct nst_models {
    int count;
    struct nst_model model[NST_MODELS_MAX];
};

/*
 * Read MODEL or MODEL:UPTO,...,MODEL, where MODEL is a name or a file, with a ? after
 * it if it is optional, and each UPTO (16 to 65536) is larger than the one before. What
 * is a model as a whole is not taken apart, whatever is in its name. text of NULL is
 * one model, the best that is found. *m is to be freed with nst_models_clear(), after a
 * failure too. NST_ERR_ARG.
 */
enum nst_status nst_models_parse(struct nst_models *m, const char *text,
                                 struct nst_err *err);
void nst_models_clear(struct nst_models *m);

/* The text of them, which the caller frees; NULL if it is one without a name. */
char *nst_models_format(const struct nst_models *m);

/* Which one serves that longest side. */
int nst_models_for_size(const struct nst_models *m, int longest);

/* Leave out optional ones that are not found, all of them if need be. */
void nst_models_drop_missing(struct nst_models *m);

/* Leave out those that are not to be kept: what they served, the next one does, or at
 * the end the one before. Of none that is kept, the best is left. */
void nst_models_filter(struct nst_models *m, const bool keep[NST_MODELS_MAX]);

#endif
