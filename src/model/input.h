/* SPDX-License-Identifier: MIT */
/*
 * input.h - the pictures that a network expects. PyTorch's networks take RGB from 0 to
 * 1, less ImageNet's mean and divided by its deviation, and so does nst. Caffe's,
 * whose weights have the same names and shapes, take BGR from 0 to 255, less the mean.
 */
#ifndef NST_MODEL_INPUT_H
#define NST_MODEL_INPUT_H

#include "model/weights.h"

enum nst_input { NST_INPUT_RGB, NST_INPUT_BGR255, NST_INPUT_RGB255 };

/* The pictures that w expects, by its first convolution, unless its file says it. */
enum nst_input nst_input_guess(const struct nst_weights *w);
const char *nst_input_text(enum nst_input input); /* for a message */
/* Rewrite the first convolution of a network that expects pictures of this kind: of
 * nst's it makes the same features, but for rounding. */
void nst_input_convert(struct nst_weights *w, enum nst_input from);

/* Not in nst.h. */

#include "backend/backend.h"

extern const struct nst_normalisation nst_input_imagenet; /* nst's own */

#endif
