/* SPDX-License-Identifier: MIT */
/*
 * batch.h - the pictures of a run, from the command line, directories and lists, and
 * the path of each result.
 */
#ifndef NST_RUN_BATCH_H
#define NST_RUN_BATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "image/samples.h"
#include "options/params.h"

/* One picture to stylise, from file to file or from memory to memory. */
struct nst_batch_item {
    char *content; /* path, or a name for messages about the samples; owned */
    /* Path below the output directory, "" or ending in /; owned. */
    char *subdirectory;
    bool found;   /* in a directory: the user did not name it */
    char *output; /* owned; NULL: the result goes to result */
    bool named;   /* the output is named after content */
    /* Without data, content is a file; keep is optional. */
    struct nst_samples picture, keep, result;
};

struct nst_batch {
    struct nst_batch_item *item;
    size_t items;
    bool to_directory; /* output is a directory; subdirectories are created */
    /* Directory that recursion skips; borrowed, or NULL. */
    const char *excluded_directory;
    /* Files of directories that are no pictures by their extension, or not regular, and
     * the names of the first ones; owned. */
    size_t left_out;
    char *left_out_names;
};

/*
 * Add name: a picture ("-": standard input) or a directory. A directory adds all
 * regular files with an extension that nst reads or writes, in order of their names,
 * and with recursive also those of its subdirectories, except b->excluded_directory. A
 * subdirectory that cannot be read is added as an item, which fails later. Other
 * files, except hidden ones, are counted as left out. NST_ERR_IO, NST_ERR_ARG (no such
 * directory, or no pictures in it).
 */
enum nst_status nst_batch_add(struct nst_batch *b, const char *name, bool recursive,
                              struct nst_err *err);

/* Add the names in a file ("-": standard input), one per line, or with null terminated
 * by zero bytes. NST_ERR_ARG, NST_ERR_IO, and errors of nst_batch_add(). */
enum nst_status nst_batch_add_list(struct nst_batch *b, const char *path, bool null,
                                   bool recursive, struct nst_err *err);

/*
 * Add a picture in memory. It is stylised as a file with these samples is, at p->size.
 * The colours go to result, which may be the same memory, at the size of result; its
 * alpha stays as it is. keep, unless NULL, is a mask as for --keep-mask: white where
 * the picture stays. The samples are borrowed until the run ends. name is used in
 * messages. No history is written.
 */
void nst_batch_add_samples(struct nst_batch *b, const char *name,
                           const struct nst_samples *picture,
                           const struct nst_samples *keep,
                           const struct nst_samples *result);

/*
 * Set the output path of every item that is a file, once: p->output, or a file named by
 * p->name in that directory. NST_ERR_ARG if two outputs are the same file, or one is
 * also an input.
 */
enum nst_status nst_batch_name_outputs(struct nst_batch *b, const struct nst_params *p,
                                       struct nst_err *err);

/* NST_ERR_ARG if path is also an input. NULL is fine. */
enum nst_status nst_batch_protect_inputs(const struct nst_batch *b,
                                         const struct nst_params *p, const char *path,
                                         struct nst_err *err);

/* Create the directories of the output path. NST_ERR_ARG, NST_ERR_IO. */
enum nst_status nst_batch_make_directories(const struct nst_batch_item *item,
                                           struct nst_err *err);

/* Free what *b owns. An empty batch is all zero. */
void nst_batch_clear(struct nst_batch *b);

/* Not in nst.h. */

/* Fail as nst_output_open() would, with make_directories after
 * nst_batch_make_directories(), but write nothing. */
enum nst_status nst_batch_check_output(const struct nst_batch_item *item,
                                       bool make_directories, const char *format,
                                       struct nst_err *err);

#endif
