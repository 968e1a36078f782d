/* SPDX-License-Identifier: MIT */
/*
 * photos.h - the photographs of a training: a bounded pool of them in memory, as bytes,
 * of which each step takes crops. If there are more than the pool holds, a thread reads
 * the next ones meanwhile, and every few steps one replaces another.
 *
 * The seed and the list of files alone decide which crops a step gets.
 */
#ifndef NST_TRAIN_PHOTOS_H
#define NST_TRAIN_PHOTOS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct nst_photos;

/* Fewer photographs than these are refused, or deserve a warning. */
#define NST_PHOTOS_LEAST 20
#define NST_PHOTOS_FEW 100

struct nst_photos_config {
    const char *directory; /* with all its subdirectories */
    int size;              /* side of a crop */
    uint64_t seed;
    /* Called with a line about a file that cannot be read; any thread. */
    void (*message)(void *ctx, const char *line);
    void *ctx;
};

/* Find the photographs. *out belongs to the caller: nst_photos_free() (NULL is fine).
 * NST_ERR_ARG: no directory, or too few. NST_ERR_IO. */
enum nst_status nst_photos_new(struct nst_photos **out,
                               const struct nst_photos_config *config,
                               struct nst_err *err);
void nst_photos_free(struct nst_photos *p);
size_t nst_photos_count(const struct nst_photos *p);
/* A hash of the files' names. */
uint64_t nst_photos_fingerprint(const struct nst_photos *p);

/* Fill the pool as it is before a step, from 0. NST_ERR_FORMAT: none can be read. */
enum nst_status nst_photos_begin(struct nst_photos *p, int64_t step,
                                 struct nst_err *err);
/* The number-th picture of a step, 3 x size x size, 0 to 1. Steps come in order. */
enum nst_status nst_photos_crop(struct nst_photos *p, int64_t step, int number,
                                float *rgb, struct nst_err *err);

#endif
