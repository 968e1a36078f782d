/* SPDX-License-Identifier: MIT */
/*
 * side.h - the pictures of a batch, some side by side: each is made on an engine of its
 * own, and those at work divide the threads among them, so that none idles while there
 * is work. A picture begins once what all at work take stays within the memory allowed;
 * how each is made does not depend on the others.
 */
#ifndef NST_CLI_SIDE_H
#define NST_CLI_SIDE_H

#include "cli/batch.h"

struct nst_sides {
    size_t done, skipped, failed;
    bool stopped; /* before all was done */
};

/* Make them all. begun and stop are as in struct nst_maker; begun is called by any
 * thread. False, with a line on standard error, if nothing can be begun. */
bool nst_sides_run(const struct nst_batch *b, const struct nst_params *p,
                   void (*begun)(void *ctx), bool (*stop)(void *ctx),
                   struct nst_sides *out);

#endif
