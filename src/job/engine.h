/* SPDX-License-Identifier: MIT */
/*
 * engine.h - the network on a device, or several, each for some sizes, which any number
 * of pictures are made with.
 */
#ifndef NST_JOB_ENGINE_H
#define NST_JOB_ENGINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "job/options.h"

struct nst_vgg; /* the network itself */

struct nst_engine; /* backend and networks, ready for any number of jobs */

struct nst_network {
    char *name, *path; /* "vgg19-lite", and where it was read from */
    int max_size;      /* serves longest sides up to that; 0: all (the last) */
    struct nst_vgg *vgg;
};

/* NST_ERR_ARG if p asks for a device of no such name, or for a precision that it does
 * not have. */
enum nst_status nst_engine_check(const struct nst_params *p, struct nst_err *err);

/*
 * Open the backend and read all networks that p asks for (model, layers, pooling,
 * device, precision, threads are looked at), but for optional ones that are not found.
 * A GPU that cannot be had is no error: nst_engine_fallback_reason(). *out belongs to
 * the caller: nst_engine_free(). Errors: NST_ERR_IO, NST_ERR_FORMAT (the model file),
 * NST_ERR_ARG, NST_ERR_MEM.
 */
enum nst_status nst_engine_new(struct nst_engine **out, const struct nst_params *p,
                               struct nst_err *err);
void nst_engine_free(struct nst_engine *e);

/*
 * Another engine for the same networks, for jobs beside those of e on another thread; e
 * lives longer. It has as many threads, which nst_engine_set_threads() divides among
 * them. *out belongs to the caller: nst_engine_free(). NST_ERR_MEM.
 */
enum nst_status nst_engine_clone(struct nst_engine **out, struct nst_engine *e,
                                 struct nst_err *err);
/* How many GPUs were asked for and the first of them works; 0: the CPU does. */
int nst_engine_gpu_count(const struct nst_engine *e);
/* An engine on the k-th of them (from 1), with weights of its own; p is what first was
 * made with. Else as nst_engine_clone(), which takes it, too. Errors as of
 * nst_engine_new(). */
enum nst_status nst_engine_new_on_gpu(struct nst_engine **out, struct nst_engine *first,
                                      int k, const struct nst_params *p,
                                      struct nst_err *err);
/* Work on so many threads, at least one. Called by any thread. */
void nst_engine_set_threads(struct nst_engine *e, int threads);
/* The network for pictures of that longest side, before they are extended. */
const struct nst_network *nst_engine_network_for(const struct nst_engine *e,
                                                 int longest);
/* The i-th, that for the smallest sizes first; NULL after the last. */
const struct nst_network *nst_engine_network_at(const struct nst_engine *e, int i);
/* A text of each, which text_of makes, as --model lists networks: a new string. */
char *nst_engine_list_networks(const struct nst_engine *e,
                               char *(*format)(const struct nst_network *n));
int nst_engine_threads(const struct nst_engine *e);
/* What it computes on, as $NST_BACKEND, and by which instructions, as $NST_CPU, or
 * NULL: the last bits depend on them. */
const char *nst_engine_device(const struct nst_engine *e);
const char *nst_engine_isa(const struct nst_engine *e);
/* A line to be told: why it is the CPU that works when a GPU was asked for. Or NULL. */
const char *nst_engine_fallback_reason(const struct nst_engine *e);

/* Resident memory in bytes with no job at hand, and what may be resident: max_memory,
 * or four fifths of what is available beside when this is first asked. The same for an
 * engine and those that it is shared to. */
size_t nst_engine_resident_memory(const struct nst_engine *e);
size_t nst_engine_memory_limit(struct nst_engine *e);
/* And what all on the same GPU may take of its own; 0: the CPU works. */
size_t nst_engine_device_memory(const struct nst_engine *e);
bool nst_engine_same_device(const struct nst_engine *a, const struct nst_engine *b);

#endif
