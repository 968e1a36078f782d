/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/statistics.h"

#include <stdlib.h>
#include <string.h>

#include "style/tiled_pass.h"

static size_t entries(const struct nst_statistics *s)
{
    return (size_t)s->channels * (size_t)s->channels;
}

/* Allocate an array on the host and, with a backend, its buffer; on a CPU they share
 * memory. */
static enum nst_status alloc_sums(struct nst_statistics *s, size_t n, double **host,
                                  struct nst_buffer **device, struct nst_err *err)
{
    *host = calloc(n, sizeof **host);
    if (!*host)
        return nst_err_set(err, NST_ERR_MEM, "out of memory: %zu doubles", n);
    if (s->be && s->be->device_memory)
        return s->be->ops->buffer_alloc(s->be, device, n * sizeof **host, err);
    if (s->be)
        *device = nst_backend_wrap(s->be, *host);
    return NST_OK;
}

enum nst_status nst_statistics_init(struct nst_statistics *s, struct nst_backend *be,
                                    struct nst_layer layer, int channels,
                                    bool with_sums, struct nst_err *err)
{
    enum nst_status st;

    *s = (struct nst_statistics){.layer = layer, .channels = channels, .be = be};
    st = alloc_sums(s, entries(s), &s->products, &s->device.products, err);
    if (st == NST_OK && with_sums)
        st = alloc_sums(s, (size_t)channels, &s->sums, &s->device.sums, err);
    return st;
}

static void free_sums(const struct nst_statistics *s, double *host,
                      struct nst_buffer *device)
{
    if (s->be && s->be->device_memory)
        s->be->ops->buffer_free(s->be, device);
    free(host);
}

void nst_statistics_clear(struct nst_statistics *s)
{
    free_sums(s, s->products, s->device.products);
    free_sums(s, s->sums, s->device.sums);
    *s = (struct nst_statistics){.channels = 0};
}

void nst_statistics_copy(struct nst_statistics *to, const struct nst_statistics *from)
{
    to->pixels = from->pixels;
    to->area = from->area;
    memcpy(to->products, from->products, entries(to) * sizeof *to->products);
    if (to->sums)
        memcpy(to->sums, from->sums, (size_t)to->channels * sizeof *to->sums);
}

void nst_statistics_reset(struct nst_statistics *s)
{
    s->pixels = 0;
    s->area = 0;
}

void nst_statistics_accumulate(struct nst_statistics *s,
                               const struct nst_activations *acts,
                               struct nst_window window,
                               const struct nst_guidance *guidance)
{
    struct nst_backend *be = nst_activations_backend(acts);
    const struct nst_buffer *mask =
        guidance ? nst_guidance_mask(guidance, s->layer.conv) : NULL;
    bool relu, add = s->area > 0;
    const struct nst_tensor *f = nst_activations_map(acts, &s->layer, &relu);
    double area;

    window = nst_activations_window(acts, s->layer.conv, window);
    area = (double)window.height * window.width;
    s->area += area;
    s->pixels += guidance ? nst_guidance_sum(guidance, s->layer.conv, window) : area;
    be->ops->layer_sums(be, f, relu, window, mask, add, s->device);
}

void nst_statistics_download(struct nst_statistics *s)
{
    const struct nst_backend_ops *ops = s->be->ops;

    ops->buffer_download(s->be, s->products, s->device.products,
                         entries(s) * sizeof *s->products);
    if (s->sums)
        ops->buffer_download(s->be, s->sums, s->device.sums,
                             (size_t)s->channels * sizeof *s->sums);
}

enum nst_status nst_statistics_compute(struct nst_statistics *const s[], int count,
                                       struct nst_vgg *v, struct nst_tiling tiling,
                                       const float *rgb, struct nst_err *err)
{
    struct nst_backend *be = nst_vgg_backend(v);
    size_t n = 3 * (size_t)tiling.height * (size_t)tiling.width;
    struct nst_tiled_pass pass;
    const struct nst_buffer *device_rgb = NULL;
    bool keep[NST_VGG_CONVS] = {false}; /* maps that are read before their ReLU */
    enum nst_status st;

    for (int i = 0; i < count; i++)
        keep[s[i]->layer.conv] |= !s[i]->layer.after_relu;
    st = nst_tiled_pass_init(&pass, v, tiling, keep, false, err);
    if (st == NST_OK)
        st = nst_backend_to_device(be, rgb, n, &device_rgb, err);
    for (int i = 0; i < count; i++)
        nst_statistics_reset(s[i]);
    for (int k = 0; st == NST_OK && k < nst_tiled_pass_count(&pass); k++) {
        nst_tiled_pass_forward(&pass, device_rgb, k);
        for (int i = 0; i < count; i++)
            nst_statistics_accumulate(s[i], pass.acts, pass.tile.inner, NULL);
    }
    for (int i = 0; st == NST_OK && i < count; i++)
        nst_statistics_download(s[i]);
    if (st == NST_OK) /* do not cache or save results of a failed device */
        st = nst_backend_error(be, err);
    nst_backend_release(be, device_rgb);
    nst_tiled_pass_clear(&pass);
    return st;
}
