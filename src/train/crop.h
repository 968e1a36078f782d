/* SPDX-License-Identifier: MIT */
/* crop.h - pictures to train on: crops of photographs, changed at random, and synthetic
 * ones, which have what photographs lack: flat areas and smooth gradients. */
#ifndef NST_TRAIN_CROP_H
#define NST_TRAIN_CROP_H

#include "train/random.h"

/* A photograph as bytes, interleaved RGB. */
struct nst_photo {
    int height, width;
    unsigned char *rgb; /* owned */
};

/* A square crop of a random size, from size to the shorter side of the photograph,
 * resized to 3 x size x size: mirrored, with other contrast, brightness or noise. */
void nst_crop_photo(const struct nst_photo *photo, int size, struct nst_random *r,
                    float *rgb);
/* A gradient between two colours, or one colour; perhaps with noise. */
void nst_crop_synthetic(int size, struct nst_random *r, float *rgb);
/* The picture moved down and right, its border repeated, with noise. */
void nst_crop_move(const float *rgb, int size, int down, int right,
                   struct nst_random *r, float *moved);

#endif
