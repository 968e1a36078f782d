/* SPDX-License-Identifier: MIT */
/*
 * models.h - the networks of a run, each for a range of picture sizes: one for all
 * sizes, or a better one for small pictures and a faster one above.
 */
#ifndef NST_MODEL_MODELS_H
#define NST_MODEL_MODELS_H

#include <stdbool.h>

#include "base/err.h"

#define NST_MODELS_MAX 8 /* the maximum number of scales */

struct nst_model {
    char *name;    /* name or file for nst_find_model(); owned; NULL: its default */
    int max_size;  /* largest longest side served; 0: no limit (the last) */
    bool optional; /* dropped if not found */
};

/* In ascending order of max_size. */
struct nst_models {
    int count;
    struct nst_model model[NST_MODELS_MAX];
};

/*
 * Read MODEL or MODEL:PIXELS,...,MODEL. MODEL is a name or a file; a trailing ? makes
 * it optional. Each PIXELS (16 to 65536) is larger than the one before. A text that
 * names an existing model is not split. NULL means one model, the best that is found.
 * Free *m with nst_models_clear(), after a failure too. NST_ERR_ARG.
 */
enum nst_status nst_models_parse(struct nst_models *m, const char *text,
                                 struct nst_err *err);
void nst_models_clear(struct nst_models *m);

/* As text, which the caller frees; NULL for a single model without a name. */
char *nst_models_format(const struct nst_models *m);

/* Index of the model for this longest side. */
int nst_models_for_size(const struct nst_models *m, int longest);

/* Drop the optional models that are not found; the next one takes over their
 * sizes. */
void nst_models_drop_missing(struct nst_models *m);

/* Not in nst.h. */

/* Drop the models whose keep is false. The next model takes over their sizes, at the
 * end the previous one. If none is kept, one model without a name is left. */
void nst_models_filter(struct nst_models *m, const bool keep[NST_MODELS_MAX]);

#endif
