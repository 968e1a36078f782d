/* SPDX-License-Identifier: MIT */
/*
 * conv_grad.cu - backward pass of a convolution: convolve the gradient of its output,
 * add the gradient of the padding to the pixels that stand for it, then apply the
 * backward step to the map that it read (backward.cu). The gradients of several
 * regions, or of one that backward.cu cannot fuse, are first summed in floats.
 */
#include "config.h"

#include "backend/cuda/backward.cuh"
#include "backend/cuda/conv.cuh"
#include "backend/cuda/operators.cuh"

#include <float.h>
#include <math.h>

/*
 * Convert a symmetric c x c matrix to halves, one warp per row. Each row is scaled by
 * the power of two that brings its largest magnitude near 2^10, which leaves products
 * headroom on both sides; scales receives the inverse factors.
 */
__global__ static void matrix_pack_kernel(const float *matrix, int c, __half *out,
                                          float *scales)
{
    int row = (int)(cuda_grid_index() / 32), lane = (int)(threadIdx.x % 32),
        exponent = 10;
    float peak = 0;

    if (row >= c)
        return;
    matrix += (size_t)row * c;
    for (int i = lane; i < c; i += 32)
        peak = fmaxf(peak, fabsf(matrix[i]));
    for (int offset = 16; offset > 0; offset /= 2)
        peak = fmaxf(peak, __shfl_xor_sync(0xffffffffu, peak, offset));
    if (peak > 0 && peak <= FLT_MAX)
        frexpf(peak, &exponent);
    for (int i = lane; i < c; i += 32)
        store(&out[(size_t)row * c + i], ldexpf(matrix[i], 10 - exponent));
    if (lane == 0)
        scales[row] = ldexpf(1, exponent - 10);
}

/* A region's matrix in the type that is multiplied: see struct region. Halves and their
 * scales lie behind the floats that they are made from. */
template <class T> struct packed_matrix {
    const T *matrix;
    const float *scales;
    size_t bytes; /* of all parts */
};

static struct packed_matrix<float> packed_matrix_of(const float *matrix, size_t c,
                                                    float) {
    return {matrix, NULL, c *c * sizeof *matrix};
}

static struct packed_matrix<__half>
packed_matrix_of(const float *matrix, size_t c, __half) {
    const __half *halves = reinterpret_cast<const __half *>(matrix + c * c);
    /* an even number of halves, to align the scales */
    const float *scales = matrix + c * c + (c * c + 1) / 2;

    return {halves, scales, (c * c + (c * c + 1) / 2 + c) * sizeof *matrix};
}

template <class T>
size_t cuda_matrix_bytes(const struct nst_backend *, int channels)
{
    return packed_matrix_of(NULL, (size_t)channels, T()).bytes;
}

template <class T>
void cuda_matrix_pack(struct nst_backend *be, int channels,
                      struct nst_buffer *derivative)
{
    struct cuda *cu = cuda_of(be);
    const float *matrix = buffer_data<float>(derivative);
    struct packed_matrix<T> m = packed_matrix_of(matrix, (size_t)channels, T());

    if constexpr (sizeof(T) == 2) {
        cuda_side_begin(cu, NULL);
        cuda_launch(cu, matrix_pack_kernel, dim3((unsigned)(channels + 3) / 4), 128, 0,
                    matrix, channels, const_cast<__half *>(m.matrix),
                    const_cast<float *>(m.scales));
        cuda_side_end(cu);
    }
}

/* sum (+)= mask[pixel] scale (scales product + offset), for pixels from first on */
template <class T>
__global__ void region_grad_kernel(const float *product, struct region<T> r,
                                   bool accumulate, float *sum, int c, size_t first,
                                   size_t pixels)
{
    for (size_t i = cuda_grid_index(); i < pixels * c; i += cuda_grid_stride()) {
        size_t k = i % c;
        float v = (r.scales ? r.scale * r.scales[k] : 1) * product[i];

        v += r.offset ? r.scale * r.offset[k] : 0;
        v *= r.mask ? r.mask[first + i / c] : 1;
        sum[i] = accumulate ? sum[i] + v : v;
    }
}

/* Scratch for the gradients of losses, of one band of rows. */
template <class T> struct loss_scratch {
    T *rectified; /* the map after its ReLU */
    float *product, *after, *before;
};

/* A region for the kernels; before: its losses are on the map before the ReLU. */
template <class T>
static struct region<T> region_of(const struct cuda *cu,
                                  const struct nst_region_grad *r,
                                  const struct nst_backward_step *step, bool before) {
    struct packed_matrix<T> m =
        packed_matrix_of(buffer_data<float>(r->matrix), (size_t)step->y->shape.c, T());

    return {m.matrix,
            m.scales,
            buffer_data<float>(r->offset),
            cu->base.loss_scale,
            buffer_data<float>(r->mask),
            before,
            step->before_relu && !before};
}

/*
 * Sum in float the gradients of the regions' losses, before or after the ReLU, for
 * pixels of the map from first on. Returns sum; NULL without regions. See
 * nst_region_grad.
 */
template <class T>
static const float *add_region_grads(struct cuda *cu,
                                     const struct nst_backward_step *step, bool before,
                                     size_t first, size_t pixels,
                                     const struct loss_scratch<T> &l, float *sum)
{
    const struct nst_loss_grad *t = before ? &step->before : &step->after;
    int c = step->y->shape.c;
    const T *f = tensor_data<T>(step->y) + first * c;

    for (int i = 0; i < t->regions; i++) {
        struct region<T> r = region_of<T>(cu, &t->region[i], step, before);

        if (r.relu && i == 0) {
            cuda_copy_map(cu, f, true, l.rectified, pixels * c);
            f = l.rectified;
        }
        cuda_gemm<T>(cu, pixels, c, c, 1, f, r.matrix, 0, l.product);
        cuda_launch_1d(cu, region_grad_kernel<T>, pixels * c, l.product, r, i > 0, sum,
                       c, first, pixels);
    }
    return t->regions > 0 ? sum : NULL;
}

template <class T>
static struct loss_grad<T> loss_grad_of(const struct cuda *cu,
                                        const struct nst_loss_grad *t) {
    return {NULL, t->target ? tensor_data<T>(t->target) : NULL,
            t->scale * cu->base.loss_scale};
}

/* Plan of a backward step, which runs in bands of window rows. */
template <class T>
struct grad_plan {
    const struct nst_backward_step *args;
    const struct nst_conv *k;     /* or NULL: no convolution follows */
    struct conv_args<T> conv;     /* convolves the output's gradient */
    struct backward_step<T> step; /* the whole map */
    bool fused;                   /* the only region is multiplied on tensor cores */
    bool split;                   /* fused, in a separate kernel before the step */
    struct loss_scratch<T> losses;
    struct region<T> region;
    T *gx;
    float *region_grad;      /* if split */
    struct cuda_arena arena; /* the rest of the scratch */
};

template <class T>
static struct grad_plan<T> make_grad_plan(const struct cuda *cu,
                                          const struct nst_conv *k,
                                          const struct nst_tensor *gy,
                                          const struct nst_backward_step *step) {
    struct nst_shape s = step->y->shape;
    struct grad_plan<T> p = {
    };

    p.args = step;
    p.k = k;
    if (k)
        p.conv = {tensor_data<T>(gy),
                  static_cast<const T *>(k->w_bwd),
                  k->cout,
                  k->cin,
                  gy->shape.h,
                  gy->shape.w,
                  false,
                  NST_PADDING_ZERO};
    p.step.y = tensor_data<T>(step->y);
    p.step.c = s.c;
    p.step.h = s.h;
    p.step.w = s.w;
    p.step.pooled = step->pooled;
    p.step.average = step->pooling == NST_POOLING_AVG;
    p.step.after = loss_grad_of<T>(cu, &step->after);
    p.step.before = loss_grad_of<T>(cu, &step->before);
    p.step.peak = cu->peak;
    p.fused = step->after.regions + step->before.regions == 1 &&
              cuda_can_fuse_region<T>(cu, s.c);
    p.split = p.fused && cuda_should_split_region<T>(cu, s.c, s.h, s.w);
    return p;
}

/* Allocate n values of each loss buffer. */
template <class T>
static void reserve_loss_scratch(struct grad_plan<T> *p, struct cuda_arena *arena,
                                 size_t n)
{
    p->losses.rectified = cuda_arena_alloc<T>(arena, n);
    p->losses.product = cuda_arena_alloc<float>(arena, n);
    p->losses.after = cuda_arena_alloc<float>(arena, n);
    p->losses.before = cuda_arena_alloc<float>(arena, n);
}

/* Allocate scratch. Returns the number of window rows per band. */
template <class T> static int reserve_scratch(struct cuda *cu, struct grad_plan<T> *p)
{
    size_t c = (size_t)p->step.c, row = 2 * c * p->step.w;
    size_t step = p->step.pooled ? 1 : 2, gx = p->k ? step * p->conv.w * c : 0;
    bool any = p->args->after.regions + p->args->before.regions > 0;
    size_t sums = any && !p->fused ? row : 0, region_grad = p->split ? row : 0;
    int rows;

    p->arena = cuda_arena(cu);
    rows =
        cuda_arena_rows(&p->arena,
                        gx * sizeof(T) + sums * (sizeof(T) + 3 * sizeof(float)) +
                            region_grad * sizeof(float) +
                            (p->k ? step * cuda_im2col_row_bytes(cu, p->conv) : 0) + 1,
                        (p->step.h + 1) / 2);
    p->gx = cuda_arena_alloc<T>(&p->arena, rows * gx);
    p->region_grad = cuda_arena_alloc<float>(&p->arena, rows * region_grad);
    reserve_loss_scratch(p, &p->arena, rows * sums);
    return rows;
}

/*
 * Pixel i, from 0 to 2 w + 2 h - 1, of those that stand for the padding above, below,
 * left and right of a map of h x w pixels. False if another i gives the same pixel.
 */
static __device__ __forceinline__ bool padding_pixel(int i, int h, int w,
                                                     enum nst_padding padding, int *row,
                                                     int *column)
{
    int top = nst_padded_index(-1, h, padding),
        bottom = nst_padded_index(h, h, padding);
    int left = nst_padded_index(-1, w, padding),
        right = nst_padded_index(w, w, padding);

    if (i < 2 * w) {
        *row = i < w ? top : bottom;
        *column = i % w;
        return i < w || bottom != top;
    }
    i -= 2 * w;
    *row = i % h;
    *column = i < h ? left : right;
    return (i < h || right != left) && *row != top && *row != bottom;
}

#define PADDING_CHANNELS 8 /* of a warp */

/* Add the gradient of the padding to rows of gx from top on, one warp per pixel. p has
 * the gradient of the convolution's output. */
template <class T>
__global__ void padding_grad_kernel(struct conv_args<T> p, enum nst_padding padding,
                                    int top, int rows, T *gx)
{
    int i = (int)(cuda_grid_index() / 32), lane = (int)threadIdx.x % 32;
    int first = (int)blockIdx.y * PADDING_CHANNELS, row, column;
    float sum[PADDING_CHANNELS] = {};

    ptx::griddep_wait();
    if (i >= 2 * (p.w + p.h) || !padding_pixel(i, p.h, p.w, padding, &row, &column) ||
        row < top || row >= top + rows)
        return;
    for_padding_readers(
        row, column, p.h, p.w, padding, [&](int tap, int from_row, int from_column) {
            const T *gy = p.x + ((size_t)from_row * p.w + from_column) * p.cin;
            const T *weight = p.weight + ((size_t)first * 9 + 8 - tap) * p.cin;

            for (int o = lane; o < p.cin; o += 32)
#pragma unroll
                for (int k = 0; k < PADDING_CHANNELS; k++)
                    if (first + k < p.cout)
                        sum[k] += to_float(gy[o]) *
                                  to_float(weight[(size_t)9 * k * p.cin + o]);
        });
#pragma unroll
    for (int k = 0; k < PADDING_CHANNELS; k++) {
        T *to = gx + ((size_t)(row - top) * p.w + column) * p.cout + first + k;

        for (int offset = 16; offset > 0; offset /= 2)
            sum[k] += __shfl_xor_sync(0xffffffffu, sum[k], offset);
        if (lane == 0 && first + k < p.cout)
            store(to, to_float(*to) + sum[k]);
    }
}

/* Gradient of what the convolution read, for some rows of windows. */
template <class T>
static void conv_input_grad(struct cuda *cu, const struct grad_plan<T> *p, int top,
                            int rows)
{
    int step = p->step.pooled ? 1 : 2, first = step * top, end = step * (top + rows);
    struct epilogue<T> o = {
        NULL, p->gx, NULL, false, false, first, 0
    };

    o.rows = (end < p->conv.h ? end : p->conv.h) - first;
    if (o.rows <= 0) /* an odd last row, which is not pooled */
        return;
    cuda_convolve(cu, p->conv, o, p->arena);
    if (p->k->padding != NST_PADDING_ZERO) {
        int warps = CUDA_BLOCK / 32, pixels = 2 * (p->conv.w + p->conv.h);
        dim3 blocks((unsigned)(pixels + warps - 1) / warps,
                    (unsigned)(p->conv.cout + PADDING_CHANNELS - 1) / PADDING_CHANNELS);

        cuda_launch_pdl(cu, padding_grad_kernel<T>, blocks, CUDA_BLOCK, 0, p->conv,
                        p->k->padding, first, o.rows, p->gx);
    }
}

/* Turn it into the gradient with respect to y. */
template <class T>
static void backward_rows(struct cuda *cu, const struct grad_plan<T> *p, int top,
                          int rows)
{
    size_t pixels = (size_t)2 * top * p->step.w, first = pixels * p->step.c;
    int rows_left = p->step.h - 2 * top;
    struct backward_step<T> step = p->step;
    struct region<T> r = p->region;

    step.h = 2 * rows < rows_left ? 2 * rows : rows_left;
    step.y += first;
    step.gx = p->k ? p->gx : NULL;
    step.after.target += step.after.target ? first : 0;
    step.before.target += step.before.target ? first : 0;
    if (p->fused) {
        r.mask += r.mask ? pixels : 0;
        if (!p->split) {
            cuda_backward_step_region(cu, step, r);
            return;
        }
        cuda_region_grad(cu, step, r, p->region_grad);
        (r.before ? step.before : step.after).sum = p->region_grad;
        cuda_backward_step(cu, step);
        return;
    }
    step.after.sum =
        add_region_grads(cu, p->args, false, pixels, (size_t)step.h * step.w, p->losses,
                         p->losses.after);
    step.before.sum =
        add_region_grads(cu, p->args, true, pixels, (size_t)step.h * step.w, p->losses,
                         p->losses.before);
    cuda_backward_step(cu, step);
}

template <class T>
void cuda_conv_grad(struct nst_backend *be, const struct nst_conv *k,
                    const struct nst_tensor *gy, const struct nst_backward_step *step)
{
    struct cuda *cu = cuda_of(be);
    struct grad_plan<T> p = make_grad_plan<T>(cu, k, gy, step);
    int rows = reserve_scratch(cu, &p), all = (p.step.h + 1) / 2;
    bool before = step->before.regions > 0;

    cuda_main_wait_side(cu);
    if (p.fused)
        p.region = region_of<T>(cu, before ? step->before.region : step->after.region,
                                step, before);
    for (int top = 0; top < all; top += rows) {
        int band = top + rows < all ? rows : all - top;

        if (k)
            conv_input_grad(cu, &p, top, band);
        backward_rows(cu, &p, top, band);
    }
}

template <class T>
void cuda_head_grad(struct nst_backend *be, const struct nst_backward_step *step)
{
    cuda_conv_grad<T>(be, NULL, NULL, step);
}

#define INSTANTIATE(T)                                                                 \
    template size_t cuda_matrix_bytes<T>(const struct nst_backend *, int);             \
    template void cuda_matrix_pack<T>(struct nst_backend *, int, struct nst_buffer *); \
    template void cuda_conv_grad<T>(struct nst_backend *, const struct nst_conv *,     \
                                    const struct nst_tensor *,                         \
                                    const struct nst_backward_step *);                 \
    template void cuda_head_grad<T>(struct nst_backend *,                              \
                                    const struct nst_backward_step *);
INSTANTIATE(float)
INSTANTIATE(__half)
