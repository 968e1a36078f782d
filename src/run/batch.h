/* SPDX-License-Identifier: MIT */
/*
 * batch.h - the pictures of a run: those named, those in folders and lists, and where
 * the result of each goes.
 */
#ifndef NST_RUN_BATCH_H
#define NST_RUN_BATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "job/options.h"

/* One picture to be made, from file to file or from memory to memory. */
struct nst_batch_item {
    char *content;      /* file, or what messages call the pixels; owned */
    char *subdirectory; /* under the directory of the results, "" or with a / at its end
                         */
    char *output;       /* owned; NULL: the result goes to made */
    const float *pixels; /* borrowed; NULL: content is read */
    int height, width;   /* of pixels, and of */
    float *result;       /* the result, borrowed */
};

struct nst_batch {
    struct nst_batch_item *item;
    size_t items;
    bool to_directory; /* results go into one, with folders made if need be */
    const char *excluded_directory; /* a folder that is not looked into below others;
                                     * borrowed, or NULL */
};

/*
 * Add what is called name: a picture ("-": standard input), or the pictures of a
 * folder: all files whose endings nst writes or reads, in the order of their names, and
 * with recursive those of the folders in it, but for b->excluded_directory. One of
 * these that cannot be read is added itself, as a picture that cannot be made.
 * NST_ERR_IO, NST_ERR_ARG (there are none).
 */
enum nst_status nst_batch_add(struct nst_batch *b, const char *name, bool recursive,
                              struct nst_err *err);

/* Add what a file ("-": standard input) names, a line each, or with null ended by zero
 * bytes. NST_ERR_IO, and errors of nst_batch_add(). */
enum nst_status nst_batch_add_list(struct nst_batch *b, const char *path, bool null,
                                   bool recursive, struct nst_err *err);

/*
 * Add a picture in memory, rgb (3 x height x width, sRGB, 0 to 1), which keeps its size
 * whatever p->size says; the result goes to made, as large. Both are borrowed until the
 * run is over. Messages call it name. It leaves no history.
 */
void nst_batch_add_pixels(struct nst_batch *b, const char *name, const float *rgb,
                          int height, int width, float *result);

/*
 * Say where each result that is a file goes, once: p->output, or in that directory, by
 * p->name. NST_ERR_ARG for two that would go to one place, and one that is also read.
 */
enum nst_status nst_batch_name_outputs(struct nst_batch *b, const struct nst_params *p,
                                       struct nst_err *err);

/* NST_ERR_ARG for a place that would be written, unless NULL, if something is read from
 * it. */
enum nst_status nst_batch_protect_inputs(const struct nst_batch *b,
                                         const struct nst_params *p, const char *path,
                                         struct nst_err *err);

/* Make the folders that the result goes to. NST_ERR_IO. */
enum nst_status nst_batch_make_directories(const struct nst_batch_item *item,
                                           struct nst_err *err);

/* Free what *b owns. All zero before the first addition is an empty one. */
void nst_batch_clear(struct nst_batch *b);

#endif
