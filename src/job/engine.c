/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "job/engine.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/cuda/cuda.h"
#include "base/alloc.h"
#include "base/memory.h"
#include "model/models.h"
#include "model/paths.h"
#include "model/vgg.h"

#define MAX_GPUS 16

struct nst_engine {
    struct nst_backend *be;
    struct nst_network network[NST_MODELS_MAX];
    int networks;
    char *fallback_reason;          /* why the CPU replaces a GPU; or NULL */
    struct nst_engine *primary;     /* the first engine of the run; NULL for that one */
    struct nst_engine *cloned_from; /* owner of the GPU and weights; or NULL */
    int gpus, gpu[MAX_GPUS];        /* that were requested */
    size_t resident;
    _Atomic size_t limit; /* 0: not determined yet */
};

/* Number of convolutions that the requested layers need. */
static int convs_needed(const struct nst_params *p)
{
    const struct nst_layers *lists[] = {&p->content_layers, &p->style_layers};
    int last = 0;

    for (int k = 0; k < 2; k++)
        for (int i = 0; i < lists[k]->count; i++)
            if (lists[k]->layer[i].conv > last)
                last = lists[k]->layer[i].conv;
    return last + 1;
}

/* Parse cuda, cuda:N, cuda:N,M and so on. Returns the number of GPUs; 0 if invalid. */
static int parse_gpus(const char *text, int gpu[MAX_GPUS])
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
            count == MAX_GPUS)
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
    int gpu[MAX_GPUS];

    if (strcmp(p->device, "cpu") == 0)
        return nst_backend_require_fp32(
            &(struct nst_backend_config){.precision = (enum nst_precision)p->precision},
            err);
    if (strcmp(p->device, "auto") == 0 || parse_gpus(p->device, gpu))
        return NST_OK;
    return nst_err_set(err, NST_ERR_ARG,
                       "device: '%s' is not auto, cpu, cuda, cuda:N or cuda:N,M,... "
                       "(up to %d GPUs; see --list-devices)",
                       p->device, MAX_GPUS);
}

static enum nst_status find_networks(struct nst_engine *e, const struct nst_params *p,
                                     struct nst_err *err)
{
    struct nst_models models;
    enum nst_status st = nst_models_parse(&models, p->model, err);

    if (st == NST_OK)
        nst_models_drop_missing(&models);
    for (int i = 0; st == NST_OK && i < models.count; i++) {
        struct nst_network *n = &e->network[i];

        st = nst_find_model(&n->path, models.model[i].name, err);
        if (st != NST_OK)
            break;
        n->name = nst_model_name(n->path);
        n->max_size = models.model[i].max_size;
        e->networks++;
    }
    nst_models_clear(&models);
    return st;
}

/* An earlier network with the same file, whose weights the i-th shares; or NULL. */
static const struct nst_network *find_same_file(const struct nst_engine *e, int i)
{
    for (int k = 0; k < i; k++)
        if (strcmp(e->network[k].path, e->network[i].path) == 0)
            return &e->network[k];
    return NULL;
}

static void free_networks(struct nst_engine *e)
{
    for (int i = e->networks; i-- > 0;) {
        if (!find_same_file(e, i))
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
        const struct nst_network *same = find_same_file(e, i);
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

/* Open the backend called name and load the networks on it. */
static enum nst_status open_backend(struct nst_engine *e, const char *name,
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

/* Open the device that p selects, or the CPU if it is not available. */
static enum nst_status open_with_fallback(struct nst_engine *e,
                                          const struct nst_params *p,
                                          struct nst_err *err)
{
    struct nst_backend_config config = {.threads = (int)p->threads,
                                        .precision = (enum nst_precision)p->precision};
    const char *name = p->device;
    struct nst_err why;
    enum nst_status st;

    if (strcmp(name, "cpu") == 0)
        return open_backend(e, name, &config, p, err);
    if (strcmp(name, "auto") == 0) {
        if (getenv("NST_BACKEND") || nst_cuda_device_count(NULL) == 0)
            return open_backend(e, getenv("NST_BACKEND") ? NULL : "cpu", &config, p,
                                err);
    }
    e->gpus = parse_gpus(name, e->gpu);
    config.device = e->gpu[0];
    st = open_backend(e, "cuda", &config, p, &why);
    if (st == NST_OK || st == NST_ERR_ARG) {
        if (err && st != NST_OK)
            *err = why;
        return st;
    }
    e->fallback_reason = nst_xasprintf("%s; using the CPU", why.text);
    config.precision = NST_PRECISION_AUTO;
    return open_backend(e, "cpu", &config, p, err);
}

enum nst_status nst_engine_new(struct nst_engine **out, const struct nst_params *p,
                               struct nst_err *err)
{
    struct nst_engine *e = nst_xcalloc(1, sizeof *e);
    enum nst_status st = find_networks(e, p, err);

    *out = NULL;
    if (st == NST_OK)
        st = open_with_fallback(e, p, err);
    if (st != NST_OK) {
        nst_engine_free(e);
        return st;
    }
    e->resident = nst_memory_resident();
    atomic_init(&e->limit, (size_t)p->max_memory);
    *out = e;
    return NST_OK;
}

static struct nst_engine *primary_of(struct nst_engine *e)
{
    return e->primary ? e->primary : e;
}

/* Copy the list of networks without their weights. */
static void copy_network_names(struct nst_engine *e, const struct nst_engine *other)
{
    e->networks = other->networks;
    for (int i = 0; i < e->networks; i++)
        e->network[i] =
            (struct nst_network){.name = nst_xstrdup(other->network[i].name),
                                 .path = nst_xstrdup(other->network[i].path),
                                 .max_size = other->network[i].max_size};
}

/* Count all memory allocated since before as resident memory of the first engine. */
static void attach_to_primary(struct nst_engine *e, struct nst_engine *other,
                              size_t before)
{
    size_t after = nst_memory_resident();

    e->primary = primary_of(other);
    e->primary->resident += after > before ? after - before : 0;
}

enum nst_status nst_engine_clone(struct nst_engine **out, struct nst_engine *source,
                                 struct nst_err *err)
{
    struct nst_engine *e = nst_xcalloc(1, sizeof *e);
    size_t before = nst_memory_resident();
    enum nst_status st = source->be->ops->clone(&e->be, source->be, err);

    *out = NULL;
    if (st != NST_OK) {
        free(e);
        return st;
    }
    copy_network_names(e, source);
    for (int i = 0; i < e->networks; i++) {
        const struct nst_network *same = find_same_file(e, i);

        if (same)
            e->network[i].vgg = same->vgg;
        else
            nst_vgg_clone(&e->network[i].vgg, source->network[i].vgg, e->be);
    }
    e->cloned_from = source;
    source->be->device_memory = e->be->device_memory; /* what is left now */
    attach_to_primary(e, source, before);
    *out = e;
    return NST_OK;
}

int nst_engine_gpu_count(const struct nst_engine *e)
{
    return e->fallback_reason ? 0 : e->gpus;
}

enum nst_status nst_engine_new_on_gpu(struct nst_engine **out, struct nst_engine *first,
                                      int k, const struct nst_params *p,
                                      struct nst_err *err)
{
    struct nst_engine *e = nst_xcalloc(1, sizeof *e);
    struct nst_backend_config config = first->be->config;
    size_t before = nst_memory_resident();
    enum nst_status st;

    *out = NULL;
    config.device = first->gpu[k];
    copy_network_names(e, first);
    st = open_backend(e, "cuda", &config, p, err);
    if (st != NST_OK) {
        nst_engine_free(e);
        return st;
    }
    attach_to_primary(e, first, before);
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
    free(e->fallback_reason);
    free(e);
}

const struct nst_network *nst_engine_network_at(const struct nst_engine *e, int i)
{
    return i < e->networks ? &e->network[i] : NULL;
}

char *nst_engine_list_networks(const struct nst_engine *e,
                               char *(*format)(const struct nst_network *n))
{
    char *all = nst_xstrdup("");

    for (int i = 0; i < e->networks; i++) {
        const struct nst_network *n = &e->network[i];
        char *one = format(n);
        char *longer = n->max_size ? nst_xasprintf("%s%s:%d,", all, one, n->max_size)
                                   : nst_xasprintf("%s%s", all, one);

        free(one);
        free(all);
        all = longer;
    }
    return all;
}

const struct nst_network *nst_engine_network_for(const struct nst_engine *e,
                                                 int longest)
{
    int i = 0;

    while (i < e->networks - 1 && longest > e->network[i].max_size)
        i++;
    return &e->network[i];
}

const char *nst_engine_device(const struct nst_engine *e)
{
    return e->be->ops->name;
}

const char *nst_engine_fallback_reason(const struct nst_engine *e)
{
    return e->fallback_reason;
}

const char *nst_engine_isa(const struct nst_engine *e)
{
    return e->be->isa;
}

size_t nst_engine_resident_memory(const struct nst_engine *e)
{
    return e->primary ? e->primary->resident : e->resident;
}

/* Determined after the first picture is loaded: libraries and threads have taken their
 * share of the available memory by then. */
size_t nst_engine_memory_limit(struct nst_engine *e)
{
    struct nst_engine *first = primary_of(e);
    size_t unknown = 0, left;

    if (atomic_load(&first->limit))
        return atomic_load(&first->limit);
    left = nst_memory_available();
    atomic_compare_exchange_strong(
        &first->limit, &unknown,
        left == SIZE_MAX ? SIZE_MAX : nst_memory_resident() + left / 5 * 4);
    return atomic_load(&first->limit);
}

size_t nst_engine_device_memory(const struct nst_engine *e)
{
    return (e->cloned_from ? e->cloned_from : e)->be->device_memory;
}

bool nst_engine_same_device(const struct nst_engine *a, const struct nst_engine *b)
{
    return a->be->config.device == b->be->config.device;
}

void nst_engine_set_threads(struct nst_engine *e, int threads)
{
    nst_threads_set_active(e->be->threads, threads);
}

int nst_engine_threads(const struct nst_engine *e)
{
    return nst_threads_count(e->be->threads);
}
