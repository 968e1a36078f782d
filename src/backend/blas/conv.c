/* SPDX-License-Identifier: MIT */
/* conv.c - convolutions and their gradients, by bands of rows. */
#include "config.h"

#include "backend/blas/blas.h"

#include <string.h>

/* A pass over the bands of y, a map or its gradient. */
struct pass {
    const struct nst_blas *blas;
    const struct nst_conv *k;
    const struct nst_tensor *x; /* forward: the input; backward: the gradient by it */
    struct nst_tensor *y;
    bool relu, out_relu;
    enum nst_pooling pooling;
    struct nst_tensor *pooled;
    const struct nst_backward_step *step;
    const float *rgb;
    float *grad;
};

/* A band of rows of a map. pitch and plane are those of its memory. */
struct band {
    int first, rows, width;
    int pitch;
    size_t plane;
};

static struct band band_at(struct nst_shape s, int i)
{
    struct band b = {.first = i * nst_blas_band_rows(s),
                     .rows = nst_blas_band_rows(s),
                     .width = s.w,
                     .pitch = nst_blas_pitch(s),
                     .plane = nst_blas_plane(s)};

    if (b.rows > s.h - b.first)
        b.rows = s.h - b.first;
    return b;
}

/* Values of a band's rows; each row includes the frame on either side. */
static int band_values(const struct band *b)
{
    return b->rows * b->pitch;
}

/* Values that the taps read for a band, and those before its first pixel. */
static size_t padded_values(const struct band *b)
{
    return (size_t)(b->rows + 2) * (size_t)b->pitch + 2;
}

static size_t padded_before(const struct band *b)
{
    return (size_t)b->pitch + 2;
}

/* The last summand is for bands that are copied with what surrounds them. */
size_t nst_blas_conv_scratch(struct nst_shape s)
{
    size_t channels = s.c < 27 ? 27 : (size_t)s.c;

    return 3 * channels * ((size_t)nst_blas_band_rows(s) + 2) *
           (size_t)nst_blas_pitch(s);
}

/* y = W x, and for grad y = W^T x, for some of the 9 taps of a band. x and y are its
 * first pixel; y includes the frame on either side of the rows. */
static void multiply_taps(const struct nst_blas *blas, const struct nst_conv *k,
                          bool grad, int first, int taps, const struct band *b,
                          const float *x, size_t x_plane, float *y, size_t y_plane)
{
    for (int t = first; t < first + taps; t++) {
        int shift = (t / 3 - 1) * b->pitch + t % 3 - 1;

        blas->sgemm(NST_ROW_MAJOR, grad ? NST_TRANS : NST_NO_TRANS, NST_NO_TRANS,
                    grad ? k->cin : k->cout, band_values(b), grad ? k->cout : k->cin, 1,
                    k->weight + (size_t)t * (size_t)k->cout * (size_t)k->cin, k->cin,
                    (grad ? x - shift : x + shift) - 1, (int)x_plane, t > first, y - 1,
                    (int)y_plane);
    }
}

static float relu_if(float x, bool relu)
{
    return relu && !(x > 0) ? 0 : x;
}

/* n values of each channel, through a ReLU if relu. */
static void copy_values(const float *x, size_t plane, bool relu, int channels, size_t n,
                        float *to)
{
    for (int c = 0; c < channels; c++, x += plane, to += n)
#pragma omp simd
        for (size_t i = 0; i < n; i++)
            to[i] = relu_if(x[i], relu);
}

/* Fill the frame of a channel of a band, which is part of a map of height rows. first:
 * the band's first pixel, in memory that includes the rows around the band. */
static void pad_band(const struct band *b, int height, enum nst_padding padding,
                     float *first)
{
    int left = nst_padded_index(-1, b->width, padding);
    int right = nst_padded_index(b->width, b->width, padding);
    float *row = first - b->pitch;

    for (int r = -1; r <= b->rows; r++, row += b->pitch) {
        row[-1] = row[left];
        row[b->width] = row[right];
    }
    for (int r = -1; r <= height; r += height + 1) { /* above and below the map */
        int from = nst_padded_index(r, height, padding);

        if (r >= b->first - 1 && r <= b->first + b->rows)
            memcpy(first - 1 + (r - b->first) * b->pitch,
                   first - 1 + (from - b->first) * b->pitch,
                   (size_t)b->pitch * sizeof *first);
    }
}

/* Add the bias, apply the ReLU, and restore the frame. */
static void finish_band(const struct nst_conv *k, const struct band *b,
                        struct nst_tensor *y, bool relu)
{
    for (int o = 0; o < k->cout; o++)
        for (int r = 0; r < b->rows; r++) {
            float *v = nst_blas_row(y, o, b->first + r);

#pragma omp simd
            for (int j = 0; j < b->width; j++)
                v[j] = relu_if(v[j] + k->bias[o], relu);
            v[-1] = v[b->width] = 0;
        }
}

static void pool_row(const float *a, const float *b, int windows, enum nst_pooling pool,
                     float *to)
{
    for (int j = 0; j < windows; j++, a += 2, b += 2) {
        float v[4] = {relu_if(a[0], true), relu_if(a[1], true), relu_if(b[0], true),
                      relu_if(b[1], true)};
        float top = v[0] > v[1] ? v[0] : v[1], bottom = v[2] > v[3] ? v[2] : v[3];

        to[j] = pool == NST_POOLING_AVG ? (v[0] + v[1] + v[2] + v[3]) / 4
                : top > bottom          ? top
                                        : bottom;
    }
}

static void pool_band(const struct nst_tensor *y, const struct band *b,
                      enum nst_pooling pool, struct nst_tensor *to)
{
    for (int c = 0; c < y->shape.c; c++)
        for (int r = b->first; r + 1 < b->first + b->rows; r += 2)
            pool_row(nst_blas_row(y, c, r), nst_blas_row(y, c, r + 1), b->width / 2,
                     pool, nst_blas_row(to, c, r / 2));
}

static void conv_band(void *ctx, int item, int thread)
{
    const struct pass *p = ctx;
    struct band b = band_at(p->y->shape, item);
    const float *from = nst_blas_row(p->x, 0, b.first);
    size_t plane = b.plane;

    if (p->relu || p->k->padding != NST_PADDING_ZERO) {
        float *copy = p->blas->scratch[thread];

        copy_values(from - padded_before(&b), plane, p->relu, p->k->cin,
                    padded_values(&b), copy);
        plane = padded_values(&b);
        copy += padded_before(&b);
        from = copy;
        for (int c = 0; p->k->padding != NST_PADDING_ZERO && c < p->k->cin; c++)
            pad_band(&b, p->x->shape.h, p->k->padding, copy + c * plane);
    }
    multiply_taps(p->blas, p->k, false, 0, 9, &b, from, plane,
                  nst_blas_row(p->y, 0, b.first), b.plane);
    finish_band(p->k, &b, p->y, p->out_relu);
    if (p->pooled)
        pool_band(p->y, &b, p->pooling, p->pooled);
}

void nst_blas_conv(struct nst_backend *be, const struct nst_conv *k,
                   const struct nst_tensor *x, bool relu, struct nst_tensor *y,
                   bool out_relu, enum nst_pooling pooling, struct nst_tensor *pooled)
{
    struct pass p = {
        (const struct nst_blas *)be, k, x, y, relu, out_relu, pooling, pooled};

    nst_blas_for(be, nst_blas_bands(y->shape), conv_band, &p);
}

/* g += gradient of the losses with respect to F, which is y or relu(y). Two more arrays
 * of the size of g are scratch memory. */
static void add_loss_grad(const struct nst_blas *blas, const struct nst_loss_grad *loss,
                          const struct nst_tensor *y, bool relu, const struct band *b,
                          float *g, float *product, float *copy)
{
    int channels = y->shape.c, n_plane = band_values(b);
    int n = n_plane - 2; /* from the first pixel to the last */
    const float *f = nst_blas_row(y, 0, b->first);
    size_t f_plane = b->plane;

    if (relu && loss->regions) {
        copy_values(f, f_plane, true, channels, (size_t)n_plane, copy);
        f = copy;
        f_plane = (size_t)n_plane;
    }
    for (int i = 0; i < loss->regions; i++) {
        const struct nst_region_grad *region = &loss->region[i];
        const float *mask = nst_const_floats(region->mask);
        const float *offset = nst_const_floats(region->offset);
        bool plain = !mask && !offset; /* the product itself is the gradient */

        blas->sgemm(NST_ROW_MAJOR, NST_NO_TRANS, NST_NO_TRANS, channels, n, channels, 1,
                    nst_const_floats(region->matrix), channels, f, (int)f_plane, plain,
                    plain ? g : product, n_plane);
        for (int c = 0; !plain && c < channels; c++)
            for (int r = 0; r < b->rows; r++)
                for (int j = 0; j < b->width; j++) {
                    size_t at = (size_t)c * n_plane + (size_t)r * b->pitch + j;
                    size_t pixel = (size_t)(b->first + r) * b->width + j;

                    g[at] += (mask ? mask[pixel] : 1) *
                             (product[at] + (offset ? offset[c] : 0));
                }
    }
    for (int c = 0; loss->target && c < channels; c++)
        for (int r = 0; r < b->rows; r++) {
            const float *v = nst_blas_row(y, c, b->first + r);
            const float *target = nst_blas_row(loss->target, c, b->first + r);
            float *to = g + (size_t)c * n_plane + (size_t)r * b->pitch;

#pragma omp simd
            for (int j = 0; j < b->width; j++)
                to[j] += loss->scale * (relu_if(v[j], relu) - target[j]);
        }
}

/* Replace a band of step->y by its gradient. g is that with respect to relu(y), in rows
 * of y's pitch. */
static void finish_grad(const struct nst_blas *blas,
                        const struct nst_backward_step *step, const struct band *b,
                        float *g, float *product, float *copy)
{
    struct nst_tensor *y = step->y;
    size_t n_plane = (size_t)b->rows * b->pitch;

    add_loss_grad(blas, &step->after, y, step->before_relu, b, g, product, copy);
    for (int c = 0; c < y->shape.c; c++)
        for (int r = 0; r < b->rows; r++) {
            const float *v = nst_blas_row(y, c, b->first + r);
            float *to = g + c * n_plane + (size_t)r * b->pitch;

#pragma omp simd
            for (int j = 0; j < b->width; j++)
                to[j] = v[j] > 0 ? to[j] : 0;
        }
    add_loss_grad(blas, &step->before, y, false, b, g, product, copy);
    for (int c = 0; c < y->shape.c; c++)
        for (int r = 0; r < b->rows; r++)
            memcpy(nst_blas_row(y, c, b->first + r),
                   g + c * n_plane + (size_t)r * b->pitch,
                   (size_t)b->width * sizeof *g);
}

/* Pass the gradient of a row of windows to the two rows a, b; the first of equal maxima
 * receives it. */
static void unpool_row(const float *grad, int windows, enum nst_pooling pool,
                       const float *a, const float *b, float *ga, float *gb)
{
    for (int j = 0; j < windows; j++) {
        float v[4] = {relu_if(a[2 * j], true), relu_if(a[2 * j + 1], true),
                      relu_if(b[2 * j], true), relu_if(b[2 * j + 1], true)};
        float *to[4] = {&ga[2 * j], &ga[2 * j + 1], &gb[2 * j], &gb[2 * j + 1]};
        int best = 0;

        for (int i = 1; i < 4; i++)
            best = v[i] > v[best] ? i : best;
        for (int i = 0; i < 4; i++)
            *to[i] = pool == NST_POOLING_AVG ? grad[j] / 4 : i == best ? grad[j] : 0;
    }
}

/* g: gradient of a band from that of its pooled rows. An odd row or column has none. */
static void unpool_band(const struct nst_backward_step *step, const struct band *b,
                        const float *grad, const struct band *pooled, float *g)
{
    size_t n_plane = (size_t)b->rows * b->pitch;

    memset(g, 0, (size_t)step->y->shape.c * n_plane * sizeof *g);
    for (int c = 0; c < step->y->shape.c; c++)
        for (int r = 0; r < pooled->rows; r++) {
            int row = b->first + 2 * r;
            float *to = g + c * n_plane + (size_t)2 * r * b->pitch;

            unpool_row(grad + ((size_t)c * pooled->rows + r) * pooled->pitch,
                       pooled->width, step->pooling, nst_blas_row(step->y, c, row),
                       nst_blas_row(step->y, c, row + 1), to, to + b->pitch);
        }
}

/* Add the gradient of the padding above or below the map, which tap row u alone reads,
 * to the row that it repeats, if that is in the band. g is the band's gradient, frame
 * is scratch memory. */
static void add_frame_row(const struct pass *p, const struct band *b, int u, float *g,
                          float *frame)
{
    int height = p->x->shape.h, outside = u == 0 ? -1 : height;
    int row = nst_padded_index(outside, height, p->k->padding) - b->first;
    struct band line = *b;

    if (row < 0 || row >= b->rows)
        return;
    line.rows = 1;
    multiply_taps(p->blas, p->k, true, 3 * u, 3, &line, nst_blas_row(p->x, 0, outside),
                  b->plane, frame, (size_t)b->pitch);
    for (int c = 0; c < p->k->cin; c++) {
        float *to = g + (size_t)c * band_values(b) + (size_t)row * b->pitch;

#pragma omp simd
        for (int j = -1; j <= b->width; j++)
            to[j] += frame[(size_t)c * b->pitch + j];
    }
}

/* The same for the padding beside the map, which is in g already. */
static void add_frame_columns(const struct pass *p, const struct band *b, float *g)
{
    int left = nst_padded_index(-1, b->width, p->k->padding);
    int right = nst_padded_index(b->width, b->width, p->k->padding);

    for (int r = 0; r < p->k->cin * b->rows; r++, g += b->pitch) {
        g[left] += g[-1];
        g[right] += g[b->width];
    }
}

/* g: gradient of a band of what the convolution read. frame: scratch memory. */
static void input_grad(const struct pass *p, const struct band *b, float *g,
                       float *frame)
{
    multiply_taps(p->blas, p->k, true, 0, 9, b, nst_blas_row(p->x, 0, b->first),
                  b->plane, g, (size_t)band_values(b));
    if (p->k->padding == NST_PADDING_ZERO)
        return;
    add_frame_row(p, b, 0, g, frame);
    add_frame_row(p, b, 2, g, frame);
    add_frame_columns(p, b, g);
}

static void grad_band(void *ctx, int item, int thread)
{
    const struct pass *p = ctx;
    const struct nst_backward_step *step = p->step;
    struct nst_shape s = step->y->shape;
    struct band b = band_at(s, item), read = b;
    size_t n = (size_t)s.c * b.rows * b.pitch;
    float *g = p->blas->scratch[thread] + 1, *product = g + n, *copy = product + n;

    if (step->pooled)
        read = (struct band){b.first / 2, b.rows / 2, p->x->shape.w,
                             nst_blas_pitch(p->x->shape), nst_blas_plane(p->x->shape)};
    if (!p->k) /* the last map */
        memset(g, 0, n * sizeof *g);
    else if (read.rows)
        input_grad(p, &read, step->pooled ? product : g, copy);
    if (step->pooled)
        unpool_band(step, &b, product, &read, g);
    finish_grad(p->blas, step, &b, g, product, copy);
}

void nst_blas_conv_grad(struct nst_backend *be, const struct nst_conv *k,
                        const struct nst_tensor *gy,
                        const struct nst_backward_step *step)
{
    struct pass p = {(const struct nst_blas *)be, k, gy, .step = step};

    nst_blas_for(be, nst_blas_bands(step->y->shape), grad_band, &p);
}

void nst_blas_head_grad(struct nst_backend *be, const struct nst_backward_step *step)
{
    nst_blas_conv_grad(be, NULL, NULL, step);
}

/* im2col of a band of the normalised picture, 27 rows. */
static void copy_columns(const struct nst_conv *k, const float *rgb, struct nst_shape s,
                         const struct band *b, float *to)
{
    const struct nst_normalisation *p = k->picture;

    memset(to, 0, 27 * (size_t)b->rows * b->pitch * sizeof *to);
    for (int i = 0; i < 27; i++)
        for (int r = 0; r < b->rows; r++, to += b->pitch) {
            int c = i / 9, shift = i % 3 - 1, edge = shift < 0 ? 0 : s.w - 1;
            int row = nst_padded_index(b->first + r + i % 9 / 3 - 1, s.h, k->padding);
            int column = nst_padded_index(edge + shift, s.w, k->padding);
            const float *from = rgb + ((size_t)c * s.h + row) * s.w;

            if (row < 0)
                continue;
#pragma omp simd
            for (int j = shift < 0; j < s.w - (shift > 0); j++)
                to[j] = (from[j + shift] - p->mean[c]) / p->deviation[c];
            if (column >= 0)
                to[edge] = (from[column] - p->mean[c]) / p->deviation[c];
        }
}

static void first_conv_band(void *ctx, int item, int thread)
{
    const struct pass *p = ctx;
    struct band b = band_at(p->y->shape, item);
    float *columns = p->blas->scratch[thread];

    copy_columns(p->k, p->rgb, p->y->shape, &b, columns);
    p->blas->sgemm(NST_ROW_MAJOR, NST_NO_TRANS, NST_NO_TRANS, p->k->cout,
                   band_values(&b) - 2, 27, 1, p->k->weight, 27, columns,
                   band_values(&b), 0, nst_blas_row(p->y, 0, b.first), (int)b.plane);
    finish_band(p->k, &b, p->y, p->out_relu);
}

void nst_blas_first_conv(struct nst_backend *be, const struct nst_conv *k,
                         const struct nst_buffer *rgb, struct nst_tensor *y,
                         bool out_relu)
{
    struct pass p = {(const struct nst_blas *)be, k, .y = y, .out_relu = out_relu,
                     .rgb = nst_const_floats(rgb)};

    nst_blas_for(be, nst_blas_bands(y->shape), first_conv_band, &p);
}

/* Add a row of the products of a tap in column v to the pixels that the tap reads. */
static void add_products(const float *from, int v, int width, enum nst_padding padding,
                         float *to)
{
    int edge = v == 0 ? 0 : width - 1, shift = 1 - v;
    int column = nst_padded_index(edge - shift, width, padding);

#pragma omp simd
    for (int j = 0; j < width; j++)
        to[j] += from[j + shift];
    if (shift && column >= 0)
        to[column] += from[edge];
}

/* grad: a band of the three planes, from the products of each tap with the rows of the
 * band and around it. */
static void sum_columns(const struct nst_conv *k, const float *products,
                        struct nst_shape s, const struct band *b, float *grad)
{
    for (int c = 0; c < 3; c++)
        for (int r = b->first; r < b->first + b->rows; r++) {
            float *to = grad + ((size_t)c * s.h + r) * s.w;

            memset(to, 0, (size_t)s.w * sizeof *to);
            for (int t = 0; t < 9; t++) {
                const float *from =
                    products + (9 * c + t) * padded_values(b) + padded_before(b);
                int row[2], rows = nst_padded_readers(r, t / 3, s.h, k->padding, row);

                for (int i = 0; i < rows; i++)
                    add_products(from + (row[i] - b->first) * b->pitch, t % 3, s.w,
                                 k->padding, to);
            }
            for (int j = 0; j < s.w; j++)
                to[j] /= k->picture->deviation[c];
        }
}

static void first_grad_band(void *ctx, int item, int thread)
{
    const struct pass *p = ctx;
    struct band b = band_at(p->x->shape, item);
    float *products = p->blas->scratch[thread];
    int n = (int)padded_values(&b);

    p->blas->sgemm(NST_ROW_MAJOR, NST_TRANS, NST_NO_TRANS, 27, n, p->k->cout, 1,
                   p->k->weight, 27, nst_blas_row(p->x, 0, b.first) - padded_before(&b),
                   (int)b.plane, 0, products, n);
    sum_columns(p->k, products, p->x->shape, &b, p->grad);
}

void nst_blas_first_conv_grad(struct nst_backend *be, const struct nst_conv *k,
                              const struct nst_tensor *gy, struct nst_buffer *rgb)
{
    struct pass p = {(const struct nst_blas *)be, k, gy, .grad = nst_floats(rgb)};

    nst_blas_for(be, nst_blas_bands(gy->shape), first_grad_band, &p);
}
