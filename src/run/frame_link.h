/* SPDX-License-Identifier: MIT */
/*
 * frame_link.h - what a frame of a film that is a series of files (--frames) leaves to
 * the next one.
 */
#ifndef NST_RUN_FRAME_LINK_H
#define NST_RUN_FRAME_LINK_H

#include "image/picture.h"
#include "run/batch.h"
#include "run/motion.h"

/* Zeros before the first frame. */
struct nst_frame_link {
    int number; /* of the current frame, from 1 on: its place in the batch */
    int before; /* number of the frame before; 0: there is none */
    int height, width;
    int loaded;               /* number of the frame of content and result; 0: none */
    float *content, *result;  /* of the frame before: 3 x height x width, owned */
    float *first;             /* content of the first frame, owned; or NULL */
    struct nst_motion motion; /* up to the frame before */
    bool has_params;
    struct nst_params params; /* those of the first frame; borrows */
    /* Results that were there already (--skip-done): of the frame before, if it is not
     * loaded yet, and of the first frame, for first. Borrowed, or NULL. */
    const struct nst_batch_item *skipped, *first_skipped;
};

/* The current frame, item, is done already; the next one follows its result. */
void nst_frame_link_skip(struct nst_frame_link *l, const struct nst_batch_item *item);

/*
 * Get ready for the current frame, content: load the result that it follows, if that
 * was skipped. If it cannot be read, the frame follows the one before it, if any.
 * size: how frames are loaded. with_first: l->first is needed. NST_ERR_FORMAT if the
 * frames differ in size; errors of nst_picture_load().
 */
enum nst_status nst_frame_link_open(struct nst_frame_link *l,
                                    const struct nst_picture *content,
                                    const char *label,
                                    const struct nst_picture_size *size,
                                    bool with_first, struct nst_err *err);

/* The current frame is done: take over what the next one needs. content and result are
 * set to NULL, and motion to zeros. */
void nst_frame_link_pass(struct nst_frame_link *l, const struct nst_params *params,
                         struct nst_picture *content, float **result,
                         struct nst_motion *motion, bool with_first);

/* Memory in bytes that is kept from frame to frame, without the motion. */
size_t nst_frame_link_bytes(int height, int width, bool with_first);

void nst_frame_link_clear(struct nst_frame_link *l);

#endif
