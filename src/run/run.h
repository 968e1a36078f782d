/* SPDX-License-Identifier: MIT */
/*
 * run.h - runs a batch: stylises its pictures, several in parallel, and reports
 * progress.
 *
 * Prints nothing and never ends the program. Uses the calling thread and threads of its
 * own, which end before it returns. Several runs may be active at once.
 */
#ifndef NST_RUN_RUN_H
#define NST_RUN_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/image.h"
#include "optim/evaluation.h"
#include "options/params.h"
#include "run/batch.h"

/* Estimate of a run on one picture (--dry-run). */
struct nst_estimate {
    int height, width; /* of the result */
    bool feed_forward; /* a network paints in one pass: one scale, one step */
    int scales, longest[NST_LIST_MAX];
    int64_t iterations[NST_LIST_MAX], evaluations; /* steps per scale; total */
    const char *network[NST_LIST_MAX];             /* per scale; borrowed */
    int tile, tile_rows, tile_columns;             /* 0, 1, 1: in one piece */
    bool recompute_content;
    int curvature_pairs;
    size_t memory, limit;               /* bytes: peak of the process, and the limit */
    size_t device_memory, device_limit; /* the same for GPU memory; 0 without a GPU */
    double seconds;
};

enum nst_outcome {
    NST_OUTCOME_DONE,
    NST_OUTCOME_STOPPED,   /* stopped early, with the result so far */
    NST_OUTCOME_CANCELLED, /* stopped; nothing is written */
    NST_OUTCOME_SKIPPED,   /* the result is up to date (--skip-done) */
    NST_OUTCOME_FAILED,
    NST_OUTCOME_FATAL, /* failed, as all other pictures would */
};

/* Callbacks of a run; each may be NULL. Those marked * may be called from any of its
 * threads, also concurrently. */
struct nst_run_events {
    void *ctx;
    /* The network is loaded; parallel pictures will be processed at a time. */
    void (*ready)(void *ctx, int parallel);
    /* * Asked before each step; true saves the current images and ends the run. */
    bool (*stop)(void *ctx);
    /* * A message: an error, or information within p.quiet and p.verbose. */
    void (*message)(void *ctx, const char *line);
    /* * With p.dry_run: the estimate, instead of a run on the picture. */
    void (*estimated)(void *ctx, const struct nst_batch_item *item,
                      const struct nst_estimate *estimate);
    /* * A picture starts; planned steps follow, or 0 for a stream, whose length is
     * unknown. stepped() and picture_finished() get the returned pointer. */
    void *(*picture_started)(void *ctx, const struct nst_batch_item *item,
                             int64_t planned);
    /* * The picture was scaled down. */
    void (*picture_downscaled)(void *ctx, const struct nst_batch_item *item,
                               int from_height, int from_width, int height, int width);
    /* * Setup is done; from now on there is a result to save. */
    void (*optimisation_started)(void *ctx, const struct nst_batch_item *item);
    /* * After each step: e is the iterate; done of planned steps are complete, of all
     * frames of a film. planned: as for picture_started(). */
    void (*stepped)(void *picture, const struct nst_evaluation *e, int64_t done,
                    int64_t planned);
    /* * The picture so far, every p.save_every steps and at the end of each scale: at
     * the size of the scale, in the colours of the result. image is valid during the
     * call. */
    void (*previewed)(void *picture, struct nst_image image);
    /* * The picture is finished and written; result is NULL if it failed. */
    void (*picture_finished)(void *picture, const struct nst_job_result *result);
    /* * One more picture is processed, successfully or not. */
    void (*picture_done)(void *ctx, const struct nst_batch_item *item,
                         enum nst_outcome outcome);
};

struct nst_run_counts {
    size_t done, skipped, failed, interrupted; /* interrupted: with a result so far */
    bool stopped;                              /* before all pictures were done */
    /* NST_OK if none failed. NST_ERR_ARG if what the user wrote must change: else any
     * failed for another reason. */
    enum nst_status status;
};

/* Count the outcome of a picture. */
void nst_run_count(struct nst_run_counts *counts, enum nst_outcome outcome);

/* A layer of a run that one of its networks lacks. */
struct nst_missing_layer {
    bool is_style;          /* of p->style_layers, else of p->content_layers */
    struct nst_layer layer; /* as p lists it */
    char *network;          /* its name; owned by the caller */
    int convs;              /* that the network has */
};

/* True if a network that a run by p uses at p->size, which must be set, lacks a layer.
 * Reads headers only. What else prevents the run, it will tell itself. */
bool nst_run_lacks_layer(const struct nst_params *p, struct nst_missing_layer *out);

/* Refuse combinations of options that are invalid: NST_ERR_ARG. */
enum nst_status nst_run_check(const struct nst_params *p, struct nst_err *err);

/*
 * Process all pictures of b. A picture that fails is reported and counted; the others
 * continue. *p and *b are borrowed for the call. NST_ERR_ARG as for nst_run_check(),
 * and other errors if the run cannot start: no network, or a style that does not fit
 * it.
 */
enum nst_status nst_run(const struct nst_batch *b, const struct nst_params *p,
                        const struct nst_run_events *events, struct nst_run_counts *out,
                        struct nst_err *err);

#endif
