/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "job/engine.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/cuda/cuda.h"
#include "base/limits.h"
#include "base/mem.h"
#include "model/search.h"
#include "model/vgg.h"

#define MOST_GPUS 16

struct nst_engine {
    struct nst_backend *be;
    struct nst_vgg *v;
    char *model_path, *model_name;
    char *instead;         /* why it is the CPU that works, and not what was asked */
    struct nst_engine *of; /* the first, beside which this one is; or NULL */
    struct nst_engine *shared; /* whose GPU and weights these are; or NULL */
    int gpus, gpu[MOST_GPUS];  /* that were asked for */
    size_t resident;
    _Atomic size_t limit; /* 0: not known yet */
};

/* How many convolutions the layers asked for need. */
static int convs_needed(const struct nst_params *p)
{
    const struct nst_taps *lists[] = {&p->content_layers, &p->style_layers};
    int last = 0;

    for (int k = 0; k < 2; k++)
        for (int i = 0; i < lists[k]->count; i++)
            if (lists[k]->tap[i].conv > last)
                last = lists[k]->tap[i].conv;
    return last + 1;
}

/* The file's name without directory and ending. */
static char *name_of(const char *path)
{
    const char *base = strrchr(path, '/');
    char *name = nst_xstrdup(base ? base + 1 : path), *dot = strrchr(name, '.');

    if (dot && dot != name)
        *dot = 0;
    return name;
}

/* Which GPUs text asks for: cuda, cuda:N, cuda:N,M and so on. How many; 0 if none. */
static int gpus_of(const char *text, int gpu[MOST_GPUS])
{
    int count = 0;

    if (strncmp(text, "cuda", 4) != 0)
        return 0;
    text += 4;
    gpu[0] = 0;
    if (!*text)
        return 1;
    do {
        char *end;
        long n;

        if (*text++ != (count ? ',' : ':') || *text < '0' || *text > '9' ||
            count == MOST_GPUS)
            return 0;
        n = strtol(text, &end, 10);
        if (n >= 1024)
            return 0;
        gpu[count++] = (int)n;
        text = end;
    } while (*text);
    return count;
}

enum nst_status nst_engine_check(const struct nst_params *p, struct nst_err *err)
{
    int gpu[MOST_GPUS];

    if (strcmp(p->device, "cpu") == 0)
        return nst_backend_fp32_only(
            &(struct nst_backend_config){.precision = (enum nst_precision)p->precision},
            err);
    if (strcmp(p->device, "auto") == 0 || gpus_of(p->device, gpu))
        return NST_OK;
    return nst_err_set(err, NST_ERR_ARG,
                       "device '%s': auto, cpu, cuda, cuda:N or, of up to %d GPUs, "
                       "cuda:N,M, as --list-devices numbers them",
                       p->device, MOST_GPUS);
}

/* Open what config says and build the network on it. */
static enum nst_status begin(struct nst_engine *e, const char *name,
                             const struct nst_backend_config *config,
                             const struct nst_params *p, const struct nst_weights *w,
                             struct nst_err *err)
{
    enum nst_status st = nst_backend_open(&e->be, name, config, err);

    if (st == NST_OK)
        st = nst_vgg_new(&e->v, e->be, w, (enum nst_pooling)p->pooling, err);
    if (st != NST_OK && e->be) {
        e->be->ops->close(e->be);
        e->be = NULL;
    }
    return st;
}

/* On the device that p asks for, or on the CPU when that cannot be had. */
static enum nst_status begin_somewhere(struct nst_engine *e, const struct nst_params *p,
                                       const struct nst_weights *w, struct nst_err *err)
{
    struct nst_backend_config config = {.threads = (int)p->threads,
                                        .precision = (enum nst_precision)p->precision};
    const char *name = p->device;
    struct nst_err why;
    enum nst_status st;

    if (strcmp(name, "cpu") == 0)
        return begin(e, name, &config, p, w, err);
    if (strcmp(name, "auto") == 0) {
        if (getenv("NST_BACKEND") || nst_cuda_count(NULL) == 0)
            return begin(e, getenv("NST_BACKEND") ? NULL : "cpu", &config, p, w, err);
    }
    e->gpus = gpus_of(name, e->gpu);
    config.device = e->gpu[0];
    st = begin(e, "cuda", &config, p, w, &why);
    if (st == NST_OK || st == NST_ERR_ARG) {
        if (err && st != NST_OK)
            *err = why;
        return st;
    }
    e->instead = nst_xasprintf("%s: working on the CPU", why.text);
    config.precision = NST_PRECISION_AUTO;
    return begin(e, "cpu", &config, p, w, err);
}

enum nst_status nst_engine_new(struct nst_engine **out, const struct nst_params *p,
                               struct nst_err *err)
{
    struct nst_engine *e = nst_xcalloc(1, sizeof *e);
    struct nst_weights *w = NULL;
    enum nst_status st;

    *out = NULL;
    st = nst_search_model(&e->model_path, p->model, err);
    if (st == NST_OK)
        st = nst_weights_load(&w, e->model_path, convs_needed(p), err);
    if (st == NST_OK)
        st = begin_somewhere(e, p, w, err);
    nst_weights_free(w);
    if (st != NST_OK) {
        nst_engine_free(e);
        return st;
    }
    e->model_name = name_of(e->model_path);
    e->resident = nst_memory_now();
    atomic_init(&e->limit, (size_t)p->max_memory);
    *out = e;
    return NST_OK;
}

static struct nst_engine *first_of(struct nst_engine *e)
{
    return e->of ? e->of : e;
}

/* e works beside another, and all since before it was made is the first one's. */
static void stand_beside(struct nst_engine *e, struct nst_engine *other, size_t before)
{
    size_t after = nst_memory_now();

    e->of = first_of(other);
    e->model_path = nst_xstrdup(other->model_path);
    e->model_name = nst_xstrdup(other->model_name);
    e->of->resident += after > before ? after - before : 0;
}

enum nst_status nst_engine_share(struct nst_engine **out, struct nst_engine *of,
                                 struct nst_err *err)
{
    struct nst_engine *e = nst_xcalloc(1, sizeof *e);
    size_t before = nst_memory_now();
    enum nst_status st = of->be->ops->share(&e->be, of->be, err);

    *out = NULL;
    if (st != NST_OK) {
        free(e);
        return st;
    }
    nst_vgg_share(&e->v, of->v, e->be);
    e->shared = of;
    of->be->memory = e->be->memory; /* what is left now */
    stand_beside(e, of, before);
    *out = e;
    return NST_OK;
}

int nst_engine_gpus(const struct nst_engine *e)
{
    return e->instead ? 0 : e->gpus;
}

enum nst_status nst_engine_on(struct nst_engine **out, struct nst_engine *first, int k,
                              const struct nst_params *p, struct nst_err *err)
{
    struct nst_engine *e = nst_xcalloc(1, sizeof *e);
    struct nst_backend_config config = first->be->config;
    size_t before = nst_memory_now();
    struct nst_weights *w = NULL;
    enum nst_status st = nst_weights_load(&w, first->model_path, convs_needed(p), err);

    *out = NULL;
    config.device = first->gpu[k];
    if (st == NST_OK)
        st = begin(e, "cuda", &config, p, w, err);
    nst_weights_free(w);
    if (st != NST_OK) {
        nst_engine_free(e);
        return st;
    }
    stand_beside(e, first, before);
    *out = e;
    return NST_OK;
}

void nst_engine_free(struct nst_engine *e)
{
    if (!e)
        return;
    nst_vgg_free(e->v);
    if (e->be)
        e->be->ops->close(e->be);
    free(e->model_path);
    free(e->model_name);
    free(e->instead);
    free(e);
}

const char *nst_engine_model_path(const struct nst_engine *e)
{
    return e->model_path;
}

const char *nst_engine_model_name(const struct nst_engine *e)
{
    return e->model_name;
}

const char *nst_engine_device(const struct nst_engine *e)
{
    return e->be->ops->name;
}

const char *nst_engine_instead(const struct nst_engine *e)
{
    return e->instead;
}

const char *nst_engine_instructions(const struct nst_engine *e)
{
    return e->be->instructions;
}

size_t nst_engine_resident(const struct nst_engine *e)
{
    return e->of ? e->of->resident : e->resident;
}

/* Found when a first picture has been read: libraries and threads have taken then what
 * they take of what is available. */
size_t nst_engine_limit(struct nst_engine *e)
{
    struct nst_engine *first = first_of(e);
    size_t unknown = 0, left;

    if (atomic_load(&first->limit))
        return atomic_load(&first->limit);
    left = nst_memory_available();
    atomic_compare_exchange_strong(&first->limit, &unknown,
                                   left == SIZE_MAX ? SIZE_MAX
                                                    : nst_memory_now() + left / 5 * 4);
    return atomic_load(&first->limit);
}

size_t nst_engine_device_memory(const struct nst_engine *e)
{
    return (e->shared ? e->shared : e)->be->memory;
}

bool nst_engine_same_device(const struct nst_engine *a, const struct nst_engine *b)
{
    return a->be->config.device == b->be->config.device;
}

void nst_engine_use(struct nst_engine *e, int threads)
{
    nst_threads_use(e->be->threads, threads);
}

struct nst_vgg *nst_engine_network(const struct nst_engine *e)
{
    return e->v;
}

int nst_engine_threads(const struct nst_engine *e)
{
    return nst_threads_count(e->be->threads);
}
