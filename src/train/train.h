/* SPDX-License-Identifier: MIT */
/*
 * train.h - trains a feed-forward network to paint in the style of pictures or style
 * packs, from a folder of photographs, with checkpoints and previews.
 */
#ifndef NST_TRAIN_TRAIN_H
#define NST_TRAIN_TRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Everything but threads, preview, checkpoint and resume decides the result. */
struct nst_train_config {
    const char *const *styles; /* pictures or style packs, whose mean is the style */
    int style_count;
    const char *photos; /* directory */
    const char *output; /* .nstnet */
    const char
        *from; /* a network to start from, a name or a file; NULL: random weights */
    const char *model;      /* of the features; NULL: vgg19-lite */
    const char *preview;    /* photograph to paint now and then; or NULL */
    const char *checkpoint; /* NULL: output with the suffix .checkpoint */
    bool resume;            /* from the checkpoint */
    int64_t steps;          /* or 0: by minutes */
    double minutes;         /* the first steps tell how many steps that is */
    int64_t size, batch;    /* side of the crops; crops in a step */
    int64_t width;          /* of a new network */
    int64_t style_size;     /* longest side of the style pictures */
    double content_weight, style_weight, tv_weight, stability;
    double detail; /* weight of the full scale in the losses (train/scales.h) */
    double rate;   /* of learning, at its top */
    uint64_t seed;
    int64_t threads; /* 0: one per processor */
};

void nst_train_config_init(struct nst_train_config *c);

/* After a step. Losses are means over the latest steps, without weights. */
struct nst_train_report {
    int64_t step, steps; /* done; in all, 0 while unknown */
    double content_loss, style_loss, tv_loss, stability_loss, total_loss;
    double gradient_norm;
    double seconds;  /* since the training began or was resumed */
    int64_t skipped; /* steps whose gradient was not finite */
};

/* The caller's; ctx is passed on. Only message may be called by another thread. */
struct nst_train_callbacks {
    void (*message)(void *ctx, const char *line);
    void (*report)(void *ctx, const struct nst_train_report *report);
    bool (*stop)(void *ctx); /* true: end after this step */
    void *ctx;
};

/*
 * Train, and write the network. It and the checkpoint are written now and then, and
 * when stop() ends the training, *stopped. At the end the checkpoint is removed. The
 * preview is the file that nst_train_preview_path() names. NST_ERR_ARG, NST_ERR_IO,
 * NST_ERR_FORMAT, NST_ERR_MEM.
 */
enum nst_status nst_train(const struct nst_train_config *c,
                          const struct nst_train_callbacks *callbacks, bool *stopped,
                          struct nst_err *err);

/* The output's name with another suffix; new strings. */
char *nst_train_checkpoint_path(const struct nst_train_config *c);
char *nst_train_preview_path(const struct nst_train_config *c);

#endif
