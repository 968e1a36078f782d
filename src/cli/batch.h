/* SPDX-License-Identifier: MIT */
/*
 * batch.h - the pictures of a run: those named, those in folders and lists, and where
 * the result of each goes.
 */
#ifndef NST_CLI_BATCH_H
#define NST_CLI_BATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "job/options.h"

/* One picture to be made. All owned. */
struct nst_item {
    char *content;
    char *folder; /* under the directory of the results, "" or with a / at its end */
    char *output;
};

struct nst_batch {
    struct nst_item *item;
    size_t items;
    bool directory; /* results go into one, with folders made if need be */
};

/* What is said here and below on failure is one line, as of nst_refuse(). */

/*
 * Add what is called name: a picture ("-": standard input), or the pictures of a
 * folder: all files whose endings nst writes or reads, in the order of their names, and
 * with recursive those of the folders in it.
 */
void nst_batch_add(struct nst_batch *b, const char *name, bool recursive);

/* Add what a file ("-": standard input) names, a line each, or with null ended by zero
 * bytes. */
void nst_batch_add_list(struct nst_batch *b, const char *path, bool null,
                        bool recursive);

/*
 * Say where each result goes: p->output, or in that directory, by p->name. Refuses two
 * that would go to one place, and one that is also read.
 */
void nst_batch_name_outputs(struct nst_batch *b, const struct nst_params *p);

/* Refuses a place that would be written, unless NULL, if something is read from it. */
void nst_batch_spare_inputs(const struct nst_batch *b, const struct nst_params *p,
                            const char *path);

/* Make the folders that the result goes to. NST_ERR_IO. */
enum nst_status nst_batch_make_folder(const struct nst_item *item, struct nst_err *err);

void nst_batch_clear(struct nst_batch *b);

#endif
