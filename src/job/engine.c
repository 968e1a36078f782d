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
#include "model/models.h"
#include "model/search.h"
#include "model/vgg.h"

#define MOST_GPUS 16

struct nst_engine {
    struct nst_backend *be;
    struct nst_network network[NST_MODELS_MAX];
    int networks;
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
                       "device: '%s' is not auto, cpu, cuda, cuda:N or cuda:N,M,... "
                       "(up to %d GPUs; see --list-devices)",
                       p->device, MOST_GPUS);
}

/* Find the networks that p asks for. */
static enum nst_status find_networks(struct nst_engine *e, const struct nst_params *p,
                                     struct nst_err *err)
{
    struct nst_models models;
    enum nst_status st = nst_models_parse(&models, p->model, err);

    if (st == NST_OK)
        nst_models_leave_missing(&models);
    for (int i = 0; st == NST_OK && i < models.count; i++) {
        struct nst_network *n = &e->network[i];

        st = nst_search_model(&n->path, models.of[i].name, err);
        if (st != NST_OK)
            break;
        n->name = nst_search_name(n->path);
        n->upto = models.of[i].upto;
        e->networks++;
    }
    nst_models_clear(&models);
    return st;
}

/* Does the i-th have its weights of an earlier one, the same file? */
static const struct nst_network *same_file(const struct nst_engine *e, int i)
{
    for (int k = 0; k < i; k++)
        if (strcmp(e->network[k].path, e->network[i].path) == 0)
            return &e->network[k];
    return NULL;
}

static void free_networks(struct nst_engine *e)
{
    for (int i = e->networks; i-- > 0;) {
        if (!same_file(e, i))
            nst_vgg_free(e->network[i].vgg);
        e->network[i].vgg = NULL;
    }
}

/* Read the networks and build them on the backend. */
static enum nst_status load_networks(struct nst_engine *e, const struct nst_params *p,
                                     struct nst_err *err)
{
    enum nst_status st = NST_OK;

    for (int i = 0; st == NST_OK && i < e->networks; i++) {
        const struct nst_network *same = same_file(e, i);
        struct nst_network *n = &e->network[i];
        struct nst_weights *w = NULL;

        if (!same)
            st = nst_weights_load(&w, n->path, convs_needed(p), err);
        if (!same && st == NST_OK)
            st = nst_vgg_new(&n->vgg, e->be, w, (enum nst_pooling)p->pooling, err);
        if (same)
            n->vgg = same->vgg;
        nst_weights_free(w);
    }
    return st;
}

/* Open what config says and load the networks on it. */
static enum nst_status begin(struct nst_engine *e, const char *name,
                             const struct nst_backend_config *config,
                             const struct nst_params *p, struct nst_err *err)
{
    enum nst_status st = nst_backend_open(&e->be, name, config, err);

    if (st == NST_OK)
        st = load_networks(e, p, err);
    if (st != NST_OK && e->be) {
        free_networks(e);
        e->be->ops->close(e->be);
        e->be = NULL;
    }
    return st;
}

/* On the device that p asks for, or on the CPU when that cannot be had. */
static enum nst_status begin_somewhere(struct nst_engine *e, const struct nst_params *p,
                                       struct nst_err *err)
{
    struct nst_backend_config config = {.threads = (int)p->threads,
                                        .precision = (enum nst_precision)p->precision};
    const char *name = p->device;
    struct nst_err why;
    enum nst_status st;

    if (strcmp(name, "cpu") == 0)
        return begin(e, name, &config, p, err);
    if (strcmp(name, "auto") == 0) {
        if (getenv("NST_BACKEND") || nst_cuda_count(NULL) == 0)
            return begin(e, getenv("NST_BACKEND") ? NULL : "cpu", &config, p, err);
    }
    e->gpus = gpus_of(name, e->gpu);
    config.device = e->gpu[0];
    st = begin(e, "cuda", &config, p, &why);
    if (st == NST_OK || st == NST_ERR_ARG) {
        if (err && st != NST_OK)
            *err = why;
        return st;
    }
    e->instead = nst_xasprintf("%s; using the CPU", why.text);
    config.precision = NST_PRECISION_AUTO;
    return begin(e, "cpu", &config, p, err);
}

enum nst_status nst_engine_new(struct nst_engine **out, const struct nst_params *p,
                               struct nst_err *err)
{
    struct nst_engine *e = nst_xcalloc(1, sizeof *e);
    enum nst_status st = find_networks(e, p, err);

    *out = NULL;
    if (st == NST_OK)
        st = begin_somewhere(e, p, err);
    if (st != NST_OK) {
        nst_engine_free(e);
        return st;
    }
    e->resident = nst_memory_now();
    atomic_init(&e->limit, (size_t)p->max_memory);
    *out = e;
    return NST_OK;
}

static struct nst_engine *first_of(struct nst_engine *e)
{
    return e->of ? e->of : e;
}

/* e has the networks that another has, but not their weights. */
static void name_networks(struct nst_engine *e, const struct nst_engine *other)
{
    e->networks = other->networks;
    for (int i = 0; i < e->networks; i++)
        e->network[i] =
            (struct nst_network){.name = nst_xstrdup(other->network[i].name),
                                 .path = nst_xstrdup(other->network[i].path),
                                 .upto = other->network[i].upto};
}

/* e works beside another, and all since before it was made is the first one's. */
static void stand_beside(struct nst_engine *e, struct nst_engine *other, size_t before)
{
    size_t after = nst_memory_now();

    e->of = first_of(other);
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
    name_networks(e, of);
    for (int i = 0; i < e->networks; i++) {
        const struct nst_network *same = same_file(e, i);

        if (same)
            e->network[i].vgg = same->vgg;
        else
            nst_vgg_share(&e->network[i].vgg, of->network[i].vgg, e->be);
    }
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
    enum nst_status st;

    *out = NULL;
    config.device = first->gpu[k];
    name_networks(e, first);
    st = begin(e, "cuda", &config, p, err);
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
    free_networks(e);
    if (e->be)
        e->be->ops->close(e->be);
    for (int i = 0; i < e->networks; i++) {
        free(e->network[i].name);
        free(e->network[i].path);
    }
    free(e->instead);
    free(e);
}

const struct nst_network *nst_engine_networks(const struct nst_engine *e, int i)
{
    return i < e->networks ? &e->network[i] : NULL;
}

char *nst_engine_list(const struct nst_engine *e,
                      char *(*text_of)(const struct nst_network *n))
{
    char *all = nst_xstrdup("");

    for (int i = 0; i < e->networks; i++) {
        const struct nst_network *n = &e->network[i];
        char *one = text_of(n);
        char *longer = n->upto ? nst_xasprintf("%s%s:%d,", all, one, n->upto)
                               : nst_xasprintf("%s%s", all, one);

        free(one);
        free(all);
        all = longer;
    }
    return all;
}

const struct nst_network *nst_engine_network(const struct nst_engine *e, int longest)
{
    int i = 0;

    while (i < e->networks - 1 && longest > e->network[i].upto)
        i++;
    return &e->network[i];
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

int nst_engine_threads(const struct nst_engine *e)
{
    return nst_threads_count(e->be->threads);
}
