/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "session/session.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/cuda/cuda.h"
#include "base/alloc.h"
#include "base/memory.h"
#include "model/input.h"
#include "model/models.h"
#include "model/paths.h"
#include "model/vgg.h"

#define MAX_GPUS 16

struct nst_session {
    struct nst_backend *be;
    struct nst_network network[NST_MODELS_MAX];
    int networks;
    char *fallback_reason;       /* why the CPU replaces a GPU; or NULL */
    struct nst_session *primary; /* the first session of the run; NULL for that one */
    struct nst_session *cloned_from; /* owner of the GPU and weights; or NULL */
    int gpus, gpu[MAX_GPUS];         /* that were requested */
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

enum nst_status nst_session_check(const struct nst_params *p, struct nst_err *err)
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

static enum nst_status find_networks(struct nst_session *s, const struct nst_params *p,
                                     struct nst_err *err)
{
    struct nst_models models;
    enum nst_status st = nst_models_parse(&models, p->model, err);

    if (st == NST_OK)
        nst_models_drop_missing(&models);
    for (int i = 0; st == NST_OK && i < models.count; i++) {
        struct nst_network *n = &s->network[i];

        st = nst_find_model(&n->path, models.model[i].name, err);
        if (st != NST_OK)
            break;
        n->name = nst_model_name(n->path);
        n->max_size = models.model[i].max_size;
        s->networks++;
    }
    nst_models_clear(&models);
    return st;
}

/* An earlier network with the same file, whose weights the i-th shares; or NULL. */
static const struct nst_network *find_same_file(const struct nst_session *s, int i)
{
    for (int k = 0; k < i; k++)
        if (strcmp(s->network[k].path, s->network[i].path) == 0)
            return &s->network[k];
    return NULL;
}

static void free_networks(struct nst_session *s)
{
    for (int i = s->networks; i-- > 0;) {
        if (!find_same_file(s, i))
            nst_vgg_free(s->network[i].vgg);
        s->network[i].vgg = NULL;
    }
}

static enum nst_status require_rgb(const struct nst_weights *w, const char *path,
                                   struct nst_err *err)
{
    enum nst_input input = nst_input_guess(w);

    if (input == NST_INPUT_RGB)
        return NST_OK;
    return nst_err_set(err, NST_ERR_FORMAT,
                       "%s: expects pictures in %s; make a network for nst of it with "
                       "nst-model convert FILE -o NAME.safetensors",
                       path, nst_input_text(input));
}

/* Read the networks and build them on the backend. */
static enum nst_status load_networks(struct nst_session *s, const struct nst_params *p,
                                     struct nst_err *err)
{
    enum nst_status st = NST_OK;

    for (int i = 0; st == NST_OK && i < s->networks; i++) {
        const struct nst_network *same = find_same_file(s, i);
        struct nst_network *n = &s->network[i];
        struct nst_weights *w = NULL;

        if (!same)
            st = nst_weights_load(&w, n->path, convs_needed(p), err);
        if (!same && st == NST_OK)
            st = require_rgb(w, n->path, err);
        if (!same && st == NST_OK)
            st = nst_vgg_new(&n->vgg, s->be, w, (enum nst_pooling)p->pooling,
                             (enum nst_padding)p->padding, err);
        if (same)
            n->vgg = same->vgg;
        nst_weights_free(w);
    }
    return st;
}

/* Open the backend called name and load the networks on it. */
static enum nst_status open_backend(struct nst_session *s, const char *name,
                                    const struct nst_backend_config *config,
                                    const struct nst_params *p, struct nst_err *err)
{
    enum nst_status st = nst_backend_open(&s->be, name, config, err);

    if (st == NST_OK)
        st = load_networks(s, p, err);
    if (st != NST_OK && s->be) {
        free_networks(s);
        s->be->ops->close(s->be);
        s->be = NULL;
    }
    return st;
}

/* Open the device that p selects, or the CPU if it is not available. */
static enum nst_status open_with_fallback(struct nst_session *s,
                                          const struct nst_params *p,
                                          struct nst_err *err)
{
    struct nst_backend_config config = {.threads = (int)p->threads,
                                        .precision = (enum nst_precision)p->precision};
    const char *name = p->device;
    struct nst_err why;
    enum nst_status st;

    if (strcmp(name, "cpu") == 0)
        return open_backend(s, name, &config, p, err);
    if (strcmp(name, "auto") == 0) {
        if (getenv("NST_BACKEND") || nst_cuda_device_count(NULL) == 0)
            return open_backend(s, getenv("NST_BACKEND") ? NULL : "cpu", &config, p,
                                err);
    }
    s->gpus = parse_gpus(name, s->gpu);
    config.device = s->gpu[0];
    st = open_backend(s, "cuda", &config, p, &why);
    if (st == NST_OK || st == NST_ERR_ARG) {
        if (err && st != NST_OK)
            *err = why;
        return st;
    }
    s->fallback_reason = nst_xasprintf("%s; using the CPU", why.text);
    config.precision = NST_PRECISION_AUTO;
    return open_backend(s, "cpu", &config, p, err);
}

/* A size whose maps take the same weights as those of larger ones. */
#define LARGE 4096

static size_t plan_scale(const struct nst_session *s, int side)
{
    return nst_vgg_plan_weights(nst_session_network_for(s, side)->vgg, side, side);
}

/* Bytes of weights that a run by p allocates later, if its pictures are square. */
static size_t later_weights(const struct nst_session *s, const struct nst_params *p)
{
    int last = p->size ? (int)p->size : LARGE;
    int64_t first = p->scales.first ? p->scales.first : 64;
    size_t bytes = plan_scale(s, last);

    for (int64_t side = first; p->scales.automatic && side < last; side *= 2)
        bytes += plan_scale(s, (int)side);
    for (int i = 0; i < p->scales.count; i++)
        bytes += plan_scale(s, (int)p->scales.value[i]);
    return bytes;
}

static enum nst_status open_session(struct nst_session **out,
                                    const struct nst_params *p, bool bare,
                                    struct nst_err *err)
{
    struct nst_session *s = nst_xcalloc(1, sizeof *s);
    enum nst_status st = bare ? NST_OK : find_networks(s, p, err);

    *out = NULL;
    if (st == NST_OK)
        st = open_with_fallback(s, p, err);
    if (st != NST_OK) {
        nst_session_free(s);
        return st;
    }
    s->resident = nst_memory_resident() + (bare ? 0 : later_weights(s, p));
    atomic_init(&s->limit, (size_t)p->max_memory);
    *out = s;
    return NST_OK;
}

enum nst_status nst_session_new(struct nst_session **out, const struct nst_params *p,
                                struct nst_err *err)
{
    return open_session(out, p, false, err);
}

enum nst_status nst_session_new_bare(struct nst_session **out,
                                     const struct nst_params *p, struct nst_err *err)
{
    return open_session(out, p, true, err);
}

static struct nst_session *primary_of(struct nst_session *s)
{
    return s->primary ? s->primary : s;
}

/* Copy the list of networks without their weights. */
static void copy_network_names(struct nst_session *s, const struct nst_session *other)
{
    s->networks = other->networks;
    for (int i = 0; i < s->networks; i++)
        s->network[i] =
            (struct nst_network){.name = nst_xstrdup(other->network[i].name),
                                 .path = nst_xstrdup(other->network[i].path),
                                 .max_size = other->network[i].max_size};
}

/* Count all memory allocated since before as resident memory of the first session. */
static void attach_to_primary(struct nst_session *s, struct nst_session *other,
                              size_t before)
{
    size_t after = nst_memory_resident();

    s->primary = primary_of(other);
    s->primary->resident += after > before ? after - before : 0;
}

enum nst_status nst_session_clone(struct nst_session **out, struct nst_session *source,
                                  struct nst_err *err)
{
    struct nst_session *s = nst_xcalloc(1, sizeof *s);
    size_t before = nst_memory_resident();
    enum nst_status st = source->be->ops->clone(&s->be, source->be, err);

    *out = NULL;
    if (st != NST_OK) {
        free(s);
        return st;
    }
    copy_network_names(s, source);
    for (int i = 0; i < s->networks; i++) {
        const struct nst_network *same = find_same_file(s, i);

        if (same)
            s->network[i].vgg = same->vgg;
        else
            nst_vgg_clone(&s->network[i].vgg, source->network[i].vgg, s->be);
    }
    s->cloned_from = source;
    source->be->device_memory = s->be->device_memory; /* what is left now */
    attach_to_primary(s, source, before);
    *out = s;
    return NST_OK;
}

int nst_session_gpu_count(const struct nst_session *s)
{
    return s->fallback_reason ? 0 : s->gpus;
}

enum nst_status nst_session_new_on_gpu(struct nst_session **out,
                                       struct nst_session *first, int k,
                                       const struct nst_params *p, struct nst_err *err)
{
    struct nst_session *s = nst_xcalloc(1, sizeof *s);
    struct nst_backend_config config = first->be->config;
    size_t before = nst_memory_resident();
    enum nst_status st;

    *out = NULL;
    config.device = first->gpu[k];
    copy_network_names(s, first);
    st = open_backend(s, "cuda", &config, p, err);
    if (st != NST_OK) {
        nst_session_free(s);
        return st;
    }
    attach_to_primary(s, first, before);
    *out = s;
    return NST_OK;
}

void nst_session_free(struct nst_session *s)
{
    if (!s)
        return;
    free_networks(s);
    if (s->be)
        s->be->ops->close(s->be);
    for (int i = 0; i < s->networks; i++) {
        free(s->network[i].name);
        free(s->network[i].path);
    }
    free(s->fallback_reason);
    free(s);
}

const struct nst_network *nst_session_network_at(const struct nst_session *s, int i)
{
    return i < s->networks ? &s->network[i] : NULL;
}

char *nst_session_list_networks(const struct nst_session *s,
                                char *(*format)(const struct nst_network *n))
{
    char *all = nst_xstrdup("");

    for (int i = 0; i < s->networks; i++) {
        const struct nst_network *n = &s->network[i];
        char *one = format(n);
        char *longer = n->max_size ? nst_xasprintf("%s%s:%d,", all, one, n->max_size)
                                   : nst_xasprintf("%s%s", all, one);

        free(one);
        free(all);
        all = longer;
    }
    return all;
}

const struct nst_network *nst_session_network_for(const struct nst_session *s,
                                                  int longest)
{
    int i = 0;

    while (i < s->networks - 1 && longest > s->network[i].max_size)
        i++;
    return &s->network[i];
}

const char *nst_session_device(const struct nst_session *s)
{
    return s->be->ops->name;
}

const char *nst_session_fallback_reason(const struct nst_session *s)
{
    return s->fallback_reason;
}

const char *nst_session_isa(const struct nst_session *s)
{
    return s->be->isa;
}

size_t nst_session_resident_memory(const struct nst_session *s)
{
    return s->primary ? s->primary->resident : s->resident;
}

/* Determined after the first picture is loaded: libraries and threads have taken their
 * share of the available memory by then. */
size_t nst_session_memory_limit(struct nst_session *s)
{
    struct nst_session *first = primary_of(s);
    size_t unknown = 0, left;

    if (atomic_load(&first->limit))
        return atomic_load(&first->limit);
    left = nst_memory_available();
    atomic_compare_exchange_strong(
        &first->limit, &unknown,
        left == SIZE_MAX ? SIZE_MAX : nst_memory_resident() + left / 5 * 4);
    return atomic_load(&first->limit);
}

size_t nst_session_device_memory(const struct nst_session *s)
{
    return (s->cloned_from ? s->cloned_from : s)->be->device_memory;
}

bool nst_session_same_device(const struct nst_session *a, const struct nst_session *b)
{
    return a->be->config.device == b->be->config.device;
}

void nst_session_set_threads(struct nst_session *s, int threads)
{
    nst_threads_set_active(s->be->threads, threads);
}

int nst_session_threads(const struct nst_session *s)
{
    return nst_threads_count(s->be->threads);
}

struct nst_backend *nst_session_backend(const struct nst_session *s)
{
    return s->be;
}

struct nst_threads *nst_session_pool(const struct nst_session *s)
{
    return s->be->threads;
}
