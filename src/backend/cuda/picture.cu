/* SPDX-License-Identifier: MIT */
/*
 * picture.cu - the first convolution, which reads a picture of three planes, and the
 * way back to it. Next to the others it costs little: so each is the plainest that
 * reads and writes its maps once.
 */
#include "config.h"

#include "backend/cuda/conv.cuh"
#include "backend/cuda/operators.cuh"

#define STRIP 32 /* pixels of a row that a block makes */

/* What the network sees of a picture: (v - mean) / deviation, 0 beyond the border. */
struct picture {
    const float *rgb; /* 3 x h x w */
    int h, w;
    struct nst_normalisation n;
};

template <class T>
__global__ void picture_kernel(struct picture p, const float *weight, const float *bias,
                               int c, bool out_relu, T *y)
{
    __shared__ float seen[3][3][STRIP + 2]; /* rows, colours, columns */
    int strips = (p.w + STRIP - 1) / STRIP;
    int row = (int)blockIdx.x / strips, first = (int)blockIdx.x % strips * STRIP;
    int columns = p.w - first < STRIP ? p.w - first : STRIP;
    float w[27];

    for (int i = (int)threadIdx.x; i < 9 * (STRIP + 2); i += (int)blockDim.x) {
        int k = i % (STRIP + 2), colour = i / (STRIP + 2) % 3,
            tap = i / (STRIP + 2) / 3;
        int r = row + tap - 1, column = first + k - 1;
        bool inside = r >= 0 && r < p.h && column >= 0 && column < p.w;

        seen[tap][colour][k] = inside
                                   ? (p.rgb[((size_t)colour * p.h + r) * p.w + column] -
                                      p.n.mean[colour]) /
                                         p.n.deviation[colour]
                                   : 0;
    }
    __syncthreads();
    for (int k = (int)threadIdx.x; k < c; k += (int)blockDim.x) {
        for (int i = 0; i < 27; i++)
            w[i] = weight[k * 27 + i];
        for (int column = 0; column < columns; column++) {
            float sum = bias[k];

            for (int i = 0; i < 27; i++)
                sum += w[i] * seen[i / 9][i % 3][column + i / 3 % 3];
            put(&y[((size_t)row * p.w + first + column) * c + k],
                out_relu ? relu(sum) : sum);
        }
    }
}

template <class T>
void cuda_conv_picture(struct nst_backend *be, const struct nst_conv *k,
                       const float *rgb, struct nst_tensor *y, bool out_relu)
{
    struct cuda *cu = cuda_of(be);
    struct nst_shape s = y->shape;
    struct picture p = {rgb, s.h, s.w, *k->picture};
    unsigned strips = (unsigned)((s.w + STRIP - 1) / STRIP);

    cuda_wait_aside(cu);
    cuda_launch(cu, picture_kernel<T>, dim3(strips * (unsigned)s.h), 64, 0, p,
                static_cast<const float *>(k->ahead), k->bias, s.c, out_relu,
                values<T>(y));
    cuda_made(cu, y);
}

/*
 * products: rows from top - 1 on of w x PICTURE_ROWS, what each pixel of the map gives
 * to the 3 x 3 pixels it saw; rgb gets the sums, of rows from top on.
 */
__global__ static void gather_kernel(const float *products, int top, int rows,
                                     struct picture p, float scale, float *rgb)
{
    size_t n = (size_t)rows * p.w * 3;

    for (size_t i = cuda_first(); i < n; i += cuda_step()) {
        int column = (int)(i % p.w), colour = (int)(i / p.w / rows);
        int row = top + (int)(i / p.w % rows);
        float sum = 0;

        for (int tap = 0; tap < 9; tap++) {
            int r = row + 1 - tap / 3, k = column + 1 - tap % 3;

            if (r >= 0 && r < p.h && k >= 0 && k < p.w)
                sum += products[((size_t)(r - top + 1) * p.w + k) * PICTURE_ROWS +
                                3 * tap + colour];
        }
        rgb[((size_t)colour * p.h + row) * p.w + column] =
            scale * sum / p.n.deviation[colour];
    }
}

template <class T>
void cuda_conv_picture_grad(struct nst_backend *be, const struct nst_conv *k,
                            const struct nst_tensor *gy, float *rgb)
{
    struct cuda *cu = cuda_of(be);
    struct cuda_room room = cuda_room(cu);
    struct nst_shape s = gy->shape;
    size_t row = (size_t)s.w * PICTURE_ROWS;
    float *products;
    struct picture p = {NULL, s.h, s.w, *k->picture};
    int rows;

    room.end -= 2 * row * sizeof(float); /* a row more on either side */
    rows = cuda_rows(&room, row * sizeof(float), s.h);
    products = cuda_take<float>(&room, row * (rows + 2));
    for (int top = 0; top < s.h; top += rows) {
        int here = top + rows < s.h ? rows : s.h - top;
        int first = top > 0 ? top - 1 : 0,
            end = top + here < s.h ? top + here + 1 : s.h;

        cuda_product<T>(cu, (size_t)(end - first) * s.w, PICTURE_ROWS, s.c, 1,
                        values<T>(gy) + (size_t)first * s.w * s.c,
                        static_cast<const T *>(k->back), 0,
                        products + (size_t)(first - top + 1) * row);
        cuda_launch_over(cu, gather_kernel, (size_t)here * s.w * 3, products, top, here,
                         p, 1 / cu->gradient_scale, rgb);
    }
    if (cu->peak)
        cuda_ok(cu, cudaMemcpyAsync(cu->peak_here, cu->peak, sizeof *cu->peak,
                                    cudaMemcpyDeviceToHost, cu->line.stream));
    cu->unsettled = cu->peak;
}

#define OF(T)                                                                          \
    template void cuda_conv_picture<T>(struct nst_backend *, const struct nst_conv *,  \
                                       const float *, struct nst_tensor *, bool);      \
    template void cuda_conv_picture_grad<T>(struct nst_backend *,                      \
                                            const struct nst_conv *,                   \
                                            const struct nst_tensor *, float *);
OF(float)
OF(__half)
