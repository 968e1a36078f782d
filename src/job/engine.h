/* SPDX-License-Identifier: MIT */
/*
 * engine.h - the backend and the networks of a run. Several networks may each serve a
 * range of sizes. An engine serves any number of pictures, one after the other.
 */
#ifndef NST_JOB_ENGINE_H
#define NST_JOB_ENGINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "job/options.h"

struct nst_vgg;

struct nst_engine; /* backend and networks, reusable by any number of jobs */

struct nst_network {
    char *name, *path; /* "vgg19-lite" and the path of its file */
    int max_size;      /* longest side it serves; 0: all (the last) */
    struct nst_vgg *vgg;
};

/* NST_ERR_ARG if p names an unknown device or a precision that the device lacks. */
enum nst_status nst_engine_check(const struct nst_params *p, struct nst_err *err);

/*
 * Open the backend and read the networks that p selects (reads model, layers, pooling,
 * device, precision and threads). Optional networks that are missing are skipped. If a
 * GPU is not available, the CPU is used: see nst_engine_fallback_reason(). *out belongs
 * to the caller: nst_engine_free(). Errors: NST_ERR_IO, NST_ERR_FORMAT (the model
 * file), NST_ERR_ARG, NST_ERR_MEM.
 */
enum nst_status nst_engine_new(struct nst_engine **out, const struct nst_params *p,
                               struct nst_err *err);
void nst_engine_free(struct nst_engine *e);

/*
 * Make another engine that shares the weights of e, for jobs on another thread; e must
 * outlive it. It has as many threads as e; nst_engine_set_threads() divides them. *out
 * belongs to the caller: nst_engine_free(). NST_ERR_MEM.
 */
enum nst_status nst_engine_clone(struct nst_engine **out, struct nst_engine *e,
                                 struct nst_err *err);
/* Number of GPUs requested, if the first of them works; 0 when the CPU is used. */
int nst_engine_gpu_count(const struct nst_engine *e);
/* Make an engine on the k-th of these GPUs (k >= 1) with its own copy of the weights;
 * p: the parameters of first. Otherwise like nst_engine_clone(), which accepts the
 * result as its source. Errors as for nst_engine_new(). */
enum nst_status nst_engine_new_on_gpu(struct nst_engine **out, struct nst_engine *first,
                                      int k, const struct nst_params *p,
                                      struct nst_err *err);
/* Use this many threads, at least one. Safe to call from any thread. */
void nst_engine_set_threads(struct nst_engine *e, int threads);
/* The network for pictures with this longest side, before padding. */
const struct nst_network *nst_engine_network_for(const struct nst_engine *e,
                                                 int longest);
/* The i-th network, smallest sizes first; NULL after the last. */
const struct nst_network *nst_engine_network_at(const struct nst_engine *e, int i);
/* List the networks in the syntax of --model, each described by format(). The result is
 * a new string. */
char *nst_engine_list_networks(const struct nst_engine *e,
                               char *(*format)(const struct nst_network *n));
int nst_engine_threads(const struct nst_engine *e);
/* The backend in use, as in $NST_BACKEND, and its instruction set, as in $NST_CPU, or
 * NULL. The last bits of a result depend on both. */
const char *nst_engine_device(const struct nst_engine *e);
const char *nst_engine_isa(const struct nst_engine *e);
/* Message that says why the CPU is used although a GPU was requested; or NULL. */
const char *nst_engine_fallback_reason(const struct nst_engine *e);

/* Resident memory in bytes without any job, and the limit: max_memory, or resident
 * memory plus four fifths of the memory available at the first call. Engines made from
 * one another share both values. */
size_t nst_engine_resident_memory(const struct nst_engine *e);
size_t nst_engine_memory_limit(struct nst_engine *e);
/* Memory in bytes for all jobs on this engine's GPU; 0 when the CPU is used. */
size_t nst_engine_device_memory(const struct nst_engine *e);
bool nst_engine_same_device(const struct nst_engine *a, const struct nst_engine *b);

#endif
