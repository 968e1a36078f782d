/* SPDX-License-Identifier: MIT */
/*
 * frame_store.h - frames and their results on disk, for --passes: the work file grows
 * by 12 bytes per pixel and frame. It lies in $TMPDIR, otherwise /var/tmp, and has no
 * name, so that nothing is left of it after any end of the run.
 */
#ifndef NST_RUN_FRAME_STORE_H
#define NST_RUN_FRAME_STORE_H

#include "base/err.h"

struct nst_frame_store;

enum nst_frame_kind { NST_FRAME_CONTENT, NST_FRAME_RESULT };

/* Make an empty store for frames of that size. *out belongs to the caller:
 * nst_frame_store_free(). NST_ERR_IO, NST_ERR_MEM. */
enum nst_status nst_frame_store_new(struct nst_frame_store **out, int height, int width,
                                    struct nst_err *err);
void nst_frame_store_free(struct nst_frame_store *s); /* NULL is fine */

/* Store rgb, 3 x height x width from 0 to 1, as frame number frame (from 0), rounded to
 * 16 bits. NST_ERR_IO. */
enum nst_status nst_frame_store_put(struct nst_frame_store *s, int frame,
                                    enum nst_frame_kind kind, const float *rgb,
                                    struct nst_err *err);
/* A frame that was stored. *rgb belongs to the caller: free(). NST_ERR_IO,
 * NST_ERR_MEM. */
enum nst_status nst_frame_store_get(struct nst_frame_store *s, int frame,
                                    enum nst_frame_kind kind, float **rgb,
                                    struct nst_err *err);

#endif
