/* SPDX-License-Identifier: MIT */
/*
 * gram.cu - Gram matrices: F'F over the pixels of a map, F being pixels x channels, row
 * by row. On tensor cores a block makes a tile of channels by channels over a part of
 * the pixels; elsewhere, and with a guide, cuBLAS makes the matrices of parts laid out.
 * The parts are then added up in double.
 */
#include "config.h"

#include "backend/cuda/operators.cuh"
#include "backend/cuda/sums.cuh"
#include "backend/cuda/words.cuh"

#define STAGES 4

extern __shared__ __align__(16) unsigned char nst_dynamic_shared[];

/* Tiles of S x S channels, and WR x WN warps. */
template <int S, int WR, int WN> struct square {
    static constexpr int side = S, warps_across = WN, threads = 32 * WR * WN;
    static constexpr int m = S / WR / 16; /* sixteens of channels down a warp's part */
    static constexpr int n = S / WN / 8;  /* eights across it: even */
};
using small = square<64, 2, 2>;
using large = square<128, 2, 4>;

/* How pixels lie in a stage: 8 KiB of values, of the channels of one side of a tile.
 * Rows are apart so that no two lanes that read at once meet in a bank: 8 rows of 16
 * bytes of fp16, and 4 rows of 8 floats. */
template <class T, class L> struct slice {
    static constexpr int wide = L::side * (int)sizeof(T); /* bytes of a pixel */
    static constexpr int pixels = 8192 / wide;
    static constexpr int pitch = wide + (sizeof(T) == 2 ? 16 : 32);
    static constexpr int bytes = pixels * pitch;
    static_assert(SUM_RUN % pixels == 0);
};

/* Tiles of the upper triangle, one after the other, column by column. */
static __host__ __device__ int tiles_of(int c, int side)
{
    int n = (c + side - 1) / side;

    return n * (n + 1) / 2;
}

struct place {
    int down, across; /* first channels of a tile */
};

static __device__ struct place place_of(int tile, int side)
{
    int column = 0;

    while (tile > column)
        tile -= ++column;
    return {tile * side, column * side};
}

/* Begin to copy a slice of pixels from first on, and of channels. */
template <class T, class L>
static __device__ __forceinline__ void fetch(const struct cut<T> &k, int first, int end,
                                             int channel, unsigned char *to)
{
    using S = slice<T, L>;
    constexpr int chunks = S::wide / 16;

#pragma unroll
    for (int i = (int)threadIdx.x; i < S::pixels * chunks; i += L::threads) {
        int pixel = first + i / chunks,
            of = channel + i % chunks * (16 / (int)sizeof(T));
        bool inside = pixel < end && of < k.c;
        size_t at = inside ? pixel_of(k, pixel) * k.c + of : 0;

        ptx::cp_async16(to + i / chunks * S::pitch + i % chunks * 16, k.f + at, inside);
    }
}

/* The fragments of 16 channels by 32 bytes of pixels (16 of fp16, 8 of TF32) that begin
 * at from: as the left factor, and, of twice 8 channels, as the right one. */
template <int Pitch>
static __device__ __forceinline__ void read_left(unsigned a[4],
                                                 const unsigned char *from,
                                                 const __half *)
{
    int lane = (int)threadIdx.x % 32;

    ptx::ldmatrix_x4_trans(a, from + (lane % 8 + lane / 16 * 8) * Pitch +
                                  lane / 8 % 2 * 16);
}
template <int Pitch>
static __device__ __forceinline__ void read_right(unsigned b[4],
                                                  const unsigned char *from,
                                                  const __half *)
{
    int lane = (int)threadIdx.x % 32;

    ptx::ldmatrix_x4_trans(b, from + lane % 16 * Pitch + lane / 16 * 16);
}

template <int Pitch>
static __device__ __forceinline__ unsigned read_float(const unsigned char *from, int i,
                                                      int j)
{
    int lane = (int)threadIdx.x % 32;

    return *reinterpret_cast<const unsigned *>(from + (lane % 4 + 4 * i) * Pitch +
                                               (lane / 4 + 8 * j) * sizeof(float));
}
template <int Pitch>
static __device__ __forceinline__ void read_left(unsigned a[4],
                                                 const unsigned char *from,
                                                 const float *)
{
#pragma unroll
    for (int i = 0; i < 4; i++)
        a[i] = read_float<Pitch>(from, i / 2, i % 2);
}
template <int Pitch>
static __device__ __forceinline__ void read_right(unsigned b[4],
                                                  const unsigned char *from,
                                                  const float *)
{
#pragma unroll
    for (int i = 0; i < 4; i++)
        b[i] = read_float<Pitch>(from, i % 2, i / 2);
}

/* Add the products of a slice to a warp's part of the tile. */
template <class T, class L>
static __device__ __forceinline__ void multiply_slice(const unsigned char *left,
                                                      const unsigned char *right,
                                                      unsigned floor,
                                                      float d[L::m][L::n][4])
{
    using S = slice<T, L>;
    const T *kind = nullptr;
    int warp = (int)threadIdx.x / 32;

    left += warp / L::warps_across * L::m * 16 * (int)sizeof(T);
    right += warp % L::warps_across * L::n * 8 * (int)sizeof(T);
#pragma unroll
    for (int pixel = 0; pixel < S::pixels; pixel += 32 / (int)sizeof(T)) {
        unsigned a[L::m][4], b[L::n][2];

#pragma unroll
        for (int m = 0; m < L::m; m++) {
            read_left<S::pitch>(a[m], left + pixel * S::pitch + m * 16 * (int)sizeof(T),
                                kind);
            for (int i = 0; i < 4; i++)
                a[m][i] = word_nearest(word_above(a[m][i], floor, kind), kind);
        }
#pragma unroll
        for (int n = 0; n < L::n; n += 2) {
            unsigned both[4];

            read_right<S::pitch>(
                both, right + pixel * S::pitch + n * 8 * (int)sizeof(T), kind);
            for (int i = 0; i < 4; i++)
                b[n + i / 2][i % 2] =
                    word_nearest(word_above(both[i], floor, kind), kind);
        }
#pragma unroll
        for (int m = 0; m < L::m; m++)
#pragma unroll
            for (int n = 0; n < L::n; n++)
                word_multiply(d[m][n], a[m], b[n], kind);
    }
}

/* total += d, which is 0 then */
template <class L>
static __device__ __forceinline__ void fold(float total[L::m][L::n][4],
                                            float d[L::m][L::n][4])
{
#pragma unroll
    for (int i = 0; i < L::m * L::n * 4; i++) {
        total[i / 4 / L::n][i / 4 % L::n][i % 4] +=
            d[i / 4 / L::n][i / 4 % L::n][i % 4];
        d[i / 4 / L::n][i / 4 % L::n][i % 4] = 0;
    }
}

/* A warp's part of a tile of the sums over pixels from first to end. */
template <class T, class L>
static __device__ __forceinline__ void product(const struct cut<T> &k,
                                               const struct place &at, int first,
                                               int end, float total[L::m][L::n][4])
{
    using S = slice<T, L>;
    bool diagonal = at.down == at.across; /* both factors are one */
    int stage = tiles_of(k.c, L::side) > 1 ? 2 * S::bytes : S::bytes;
    int slices = (end - first + S::pixels - 1) / S::pixels;
    unsigned floor = word_floor(k.clip, static_cast<const T *>(nullptr));
    float d[L::m][L::n][4] = {};
    auto begin = [&](int s) {
        unsigned char *to = nst_dynamic_shared + s % STAGES * stage;

        if (s < slices) {
            fetch<T, L>(k, first + s * S::pixels, end, at.down, to);
            if (!diagonal)
                fetch<T, L>(k, first + s * S::pixels, end, at.across, to + S::bytes);
        }
        ptx::cp_async_commit();
    };

    for (int s = 0; s < STAGES - 1; s++)
        begin(s);
    for (int s = 0; s < slices; s++) {
        const unsigned char *from = nst_dynamic_shared + s % STAGES * stage;

        ptx::cp_async_wait<STAGES - 2>();
        __syncthreads(); /* all copies of s are there, and all are done with s - 1 */
        begin(s + STAGES - 1);
        multiply_slice<T, L>(from, diagonal ? from : from + S::bytes, floor, d);
        if ((s + 1) % (SUM_RUN / S::pixels) == 0)
            fold<L>(total, d);
    }
    fold<L>(total, d);
}

/* out: tiles of each part of length pixels of n, one after the other */
template <class T, class L>
__global__ void __launch_bounds__(L::threads)
    gram_kernel(struct cut<T> k, int n, int length, float *out)
{
    int tiles = tiles_of(k.c, L::side);
    int part = (int)blockIdx.x / tiles, first = part * length;
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    struct place at = place_of((int)blockIdx.x % tiles, L::side);
    float total[L::m][L::n][4] = {};

    product<T, L>(k, at, first, n - first < length ? n : first + length, total);
    out += (size_t)blockIdx.x * L::side * L::side +
           (warp / L::warps_across * L::m * 16 + lane / 4) * L::side +
           warp % L::warps_across * L::n * 8 + lane % 4 * 2;
#pragma unroll
    for (int m = 0; m < L::m; m++)
#pragma unroll
        for (int j = 0; j < L::n; j++)
#pragma unroll
            for (int i = 0; i < 4; i += 2)
                *reinterpret_cast<float2 *>(out + (m * 16 + i / 2 * 8) * L::side +
                                            j * 8) =
                    make_float2(total[m][j][i], total[m][j][i + 1]);
}

/* Value i of all tiles goes to its place in c x c, and to what mirrors it. */
struct add_mirrored {
    int c, side;
    bool add;

    __device__ void operator()(double *sums, int i, double v) const
    {
        struct place at = place_of(i / (side * side), side);
        int row = at.down + i / side % side, column = at.across + i % side;

        if (row >= c || column >= c)
            return;
        v = add ? sums[row * c + column] + v : v;
        sums[row * c + column] = v;
        if (at.down != at.across)
            sums[column * c + row] = v;
    }
};

/* Parts of the pixels: enough to keep 132 processors busy, though not fewer pixels than
 * cost more than they sum; and no more than there is room for. */
#define BLOCKS 256
#define LEAST 256

template <class T, class L>
static void tiled_gram(struct cuda *cu, const struct cut<T> &k, bool add, double *sums)
{
    struct cuda_room room = cuda_room(cu);
    int n = k.window.height * k.window.width, tiles = tiles_of(k.c, L::side);
    int values = tiles * L::side * L::side;
    size_t fit = (size_t)(room.end - room.at) / (values * sizeof(float));
    int most = tiles < BLOCKS ? BLOCKS / tiles : 1, parts = (n + LEAST - 1) / LEAST;
    int length, shared = STAGES * slice<T, L>::bytes * (tiles > 1 ? 2 : 1);

    most = fit < (size_t)most ? (fit > 0 ? (int)fit : 1) : most;
    parts = parts < most ? parts : most;
    length = ((n + parts - 1) / parts + 63) / 64 * 64; /* whole slices */
    parts = (n + length - 1) / length;
    cuda_ok(cu,
            cudaFuncSetAttribute(gram_kernel<T, L>,
                                 cudaFuncAttributeMaxDynamicSharedMemorySize, shared));
    cuda_launch(cu, gram_kernel<T, L>, dim3((unsigned)(parts * tiles)), L::threads,
                (size_t)shared, k, n, length, reinterpret_cast<float *>(room.at));
    add_parts(cu, reinterpret_cast<const float *>(room.at), parts, values, sums,
              add_mirrored{k.c, L::side, add});
}

/* n pixels from first on, laid out one after the other, and the same times the guide.
 */
template <class T>
__global__ void cut_kernel(struct cut<T> k, int first, int n, T *out, T *guided)
{
    for (size_t i = cuda_first(); i < (size_t)n * k.c; i += cuda_step()) {
        size_t at = pixel_of(k, first + (int)(i / k.c));
        float v = value(k.f[at * k.c + i % k.c]);

        v = k.clip ? relu(v) : v;
        put(&out[i], v);
        if (k.guide)
            put(&guided[i], v * k.guide[at]);
    }
}

/* The matrices of n pixels of c values, of which b are as a, times their guide: of each
 * run, and of the rest. Returns how many. */
template <class T>
static int squares(struct cuda *cu, int c, int n, const T *a, const T *b, float *out)
{
    int whole = n / SUM_RUN, rest = n % SUM_RUN;

    if (whole > 0)
        cuda_squares(cu, c, SUM_RUN, whole, a, b, out);
    if (rest > 0)
        cuda_squares(cu, c, rest, 1, a + (size_t)whole * SUM_RUN * c,
                     b + (size_t)whole * SUM_RUN * c, out + (size_t)whole * c * c);
    return whole + (rest > 0);
}

template <class T>
static void laid_out_gram(struct cuda *cu, const struct cut<T> &k, bool add,
                          double *sums)
{
    struct cuda_room room = cuda_room(cu);
    int c = k.c, width = k.window.width, height = k.window.height, values = c * c;
    bool laid = width == k.w && !k.clip && !k.guide; /* it lies there as wanted */
    size_t pixel =
        (laid ? 0 : 2 * c * sizeof(T)) + ((size_t)values * sizeof(float) / SUM_RUN + 1);
    T *a, *b;
    float *parts;
    int rows;

    room.end -= values * sizeof(float); /* the last run may be a short one */
    rows = cuda_rows(&room, width * pixel, height);
    a = cuda_take<T>(&room, laid ? 0 : (size_t)rows * width * c);
    b = k.guide ? cuda_take<T>(&room, (size_t)rows * width * c) : a;
    parts = reinterpret_cast<float *>(room.at);
    for (int top = 0; top < height; top += rows) {
        int first = top * width,
            n = (top + rows < height ? rows : height - top) * width;
        const T *from = k.f + (size_t)(k.window.top + top) * k.w * c;

        if (!laid)
            cuda_launch_over(cu, cut_kernel<T>, (size_t)n * c, k, first, n, a, b);
        add_parts(cu, parts,
                  squares<T>(cu, c, n, laid ? from : a, laid ? from : b, parts), values,
                  sums, add_in_order{add || top > 0});
    }
}

/* Large tiles read less, small ones are more: so many pixels times large tiles are
 * enough for large ones. The tests have few. */
#ifndef GRAM_LARGE
#define GRAM_LARGE (128 * 1024)
#endif

template <class T>
void cuda_gram(struct nst_backend *be, const struct nst_tensor *f, bool clip,
               struct nst_window window, const float *guide, bool add, double *sums)
{
    struct cuda *cu = cuda_of(be);
    struct cut<T> k = cut_of<T>(f, clip, window, guide);
    long n = (long)window.height * window.width;

    if (!cuda_implicit(cu, k.c) || guide) {
        laid_out_gram(cu, k, add, sums);
        cuda_hold_aside(cu);
        return;
    }
    cuda_go_aside(cu, f);
    if (k.c > small::side && n * tiles_of(k.c, large::side) >= GRAM_LARGE)
        tiled_gram<T, large>(cu, k, add, sums);
    else
        tiled_gram<T, small>(cu, k, add, sums);
    cuda_come_back(cu);
}

#define OF(T)                                                                          \
    template void cuda_gram<T>(struct nst_backend *, const struct nst_tensor *, bool,  \
                               struct nst_window, const float *, bool, double *);
OF(float)
OF(__half)
