/* SPDX-License-Identifier: MIT */
/*
 * session.h - the backend and the networks of a run. Several networks may each serve a
 * range of sizes. A session serves any number of pictures, one after the other.
 */
#ifndef NST_SESSION_SESSION_H
#define NST_SESSION_SESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "options/params.h"

struct nst_vgg;

struct nst_session; /* backend and networks, reusable by any number of jobs */

struct nst_network {
    char *name, *path; /* "vgg19-lite" and the path of its file */
    int max_size;      /* longest side it serves; 0: all (the last) */
    struct nst_vgg *vgg;
};

/*
 * Open the backend and read the networks that p selects (reads model, layers, pooling,
 * padding, device, precision and threads). Optional networks that are missing are
 * skipped. If a GPU is not available, the CPU is used: see
 * nst_session_fallback_reason(). *out belongs to the caller: nst_session_free().
 * Errors: NST_ERR_IO, NST_ERR_FORMAT (the model file), NST_ERR_ARG, NST_ERR_MEM.
 */
enum nst_status nst_session_new(struct nst_session **out, const struct nst_params *p,
                                struct nst_err *err);
void nst_session_free(struct nst_session *s);

/* The i-th network, smallest sizes first; NULL after the last. */
const struct nst_network *nst_session_network_at(const struct nst_session *s, int i);
/* List the networks in the syntax of --model, each described by format(). The result is
 * a new string. */
char *nst_session_list_networks(const struct nst_session *s,
                                char *(*format)(const struct nst_network *n));
/* Message that says why the CPU is used although a GPU was requested; or NULL. */
const char *nst_session_fallback_reason(const struct nst_session *s);

/* Not in nst.h. */

/* nst_session_new() without networks, for a run that needs none. */
enum nst_status nst_session_new_bare(struct nst_session **out,
                                     const struct nst_params *p, struct nst_err *err);

/* NST_ERR_ARG if p names an unknown device or a precision that the device lacks. */
enum nst_status nst_session_check(const struct nst_params *p, struct nst_err *err);

/*
 * Make another session that shares the weights of s, for jobs on another thread; s must
 * outlive it. It has as many threads as s; nst_session_set_threads() divides them. *out
 * belongs to the caller: nst_session_free(). NST_ERR_MEM.
 */
enum nst_status nst_session_clone(struct nst_session **out, struct nst_session *s,
                                  struct nst_err *err);
/* Number of GPUs requested, if the first of them works; 0 when the CPU is used. */
int nst_session_gpu_count(const struct nst_session *s);
/* Make a session on the k-th of these GPUs (k >= 1) with its own copy of the weights;
 * p: the parameters of first. Otherwise like nst_session_clone(), which accepts the
 * result as its source. Errors as for nst_session_new(). */
enum nst_status nst_session_new_on_gpu(struct nst_session **out,
                                       struct nst_session *first, int k,
                                       const struct nst_params *p, struct nst_err *err);
/* Use this many threads, at least one. Safe to call from any thread. */
void nst_session_set_threads(struct nst_session *s, int threads);
/* The network for pictures with this longest side. */
const struct nst_network *nst_session_network_for(const struct nst_session *s,
                                                  int longest);

int nst_session_threads(const struct nst_session *s);
struct nst_backend;
/* Borrowed. */
struct nst_backend *nst_session_backend(const struct nst_session *s);
/* The threads themselves, for the thread that runs jobs on s; borrowed. */
struct nst_threads *nst_session_pool(const struct nst_session *s);
/* The backend in use, as in $NST_BACKEND, and its instruction set, as in $NST_CPU, or
 * NULL. The last bits of a result depend on both. */
const char *nst_session_device(const struct nst_session *s);
const char *nst_session_isa(const struct nst_session *s);

/* Resident memory in bytes without any job, and the limit: max_memory, or resident
 * memory plus four fifths of the memory available at the first call. Sessions made from
 * one another share both values. */
size_t nst_session_resident_memory(const struct nst_session *s);
size_t nst_session_memory_limit(struct nst_session *s);
/* Memory in bytes for all jobs on this session's GPU; 0 when the CPU is used. */
size_t nst_session_device_memory(const struct nst_session *s);
bool nst_session_same_device(const struct nst_session *a, const struct nst_session *b);

#endif
