/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "backend/host.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

enum nst_status nst_host_buffer_alloc(struct nst_backend *be, struct nst_buffer **out,
                                      size_t bytes, struct nst_err *err)
{
    float *floats;
    enum nst_status st = nst_floats_new(
        &floats, (bytes + sizeof *floats - 1) / sizeof *floats, 1, 1, err);

    (void)be;
    *out = (struct nst_buffer *)floats;
    return st;
}

void nst_host_buffer_free(struct nst_backend *be, struct nst_buffer *buffer)
{
    (void)be;
    free(buffer);
}

static void copy_bytes(void *to, const void *from, size_t bytes)
{
    if (to != from)
        memcpy(to, from, bytes);
}

void nst_host_buffer_upload(struct nst_backend *be, struct nst_buffer *to,
                            const void *from, size_t bytes)
{
    (void)be;
    copy_bytes(to, from, bytes);
}

void nst_host_buffer_download(struct nst_backend *be, void *to,
                              const struct nst_buffer *from, size_t bytes)
{
    (void)be;
    copy_bytes(to, from, bytes);
}

void nst_host_buffer_copy(struct nst_backend *be, struct nst_buffer *to,
                          const struct nst_buffer *from, size_t bytes)
{
    (void)be;
    copy_bytes(to, from, bytes);
}

void nst_host_copy_window(struct nst_backend *be, const struct nst_buffer *from,
                          struct nst_image_size size, struct nst_window window,
                          struct nst_buffer *to, struct nst_image_size to_size,
                          int to_top, int to_left)
{
    const float *planes = nst_const_floats(from);
    float *to_planes = nst_floats(to);

    (void)be;
    for (int k = 0; k < 3; k++)
        for (int r = 0; r < window.height; r++) {
            size_t from_row =
                (size_t)k * (size_t)size.height + (size_t)(window.top + r);
            size_t to_row = (size_t)k * (size_t)to_size.height + (size_t)(to_top + r);

            memcpy(to_planes + to_row * (size_t)to_size.width + to_left,
                   planes + from_row * (size_t)size.width + window.left,
                   (size_t)window.width * sizeof *planes);
        }
}

enum nst_status nst_host_tensor_new(struct nst_tensor **out, struct nst_shape shape,
                                    int planes, size_t floats, struct nst_err *err)
{
    float *data;
    enum nst_status st = nst_floats_new(&data, planes, floats, 1, err);

    *out = NULL;
    if (st != NST_OK)
        return st;
    *out = nst_xcalloc(1, sizeof **out);
    (*out)->shape = shape;
    (*out)->data = (struct nst_buffer *)data;
    return NST_OK;
}

void nst_host_tensor_free(struct nst_backend *be, struct nst_tensor *t)
{
    (void)be;
    if (!t)
        return;
    free(t->data);
    free(t);
}

void nst_host_graph_replay(struct nst_backend *be, struct nst_graph **graph,
                           void (*work)(void *ctx), void *ctx)
{
    (void)be;
    (void)graph;
    work(ctx);
}

void nst_host_graph_free(struct nst_backend *be, struct nst_graph *graph)
{
    (void)be;
    (void)graph;
}
