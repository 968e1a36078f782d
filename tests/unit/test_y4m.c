/* SPDX-License-Identifier: MIT */
/* Samples of YUV4MPEG2 frames to and from RGB, of every instruction set, against the
 * definition in double precision. */
#include "config.h"

#include "unit.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "image/y4m_colour.h"
#include "kernels/nchw16c.h"
#include "../tap.h"

#define KR 0.299
#define KB 0.114
#define KG 0.587

static unsigned state;

/* Samples of luma 0 and 1, of chroma 0, and from chroma -1/2 to 1/2. */
struct range {
    double black, white, zero, chroma;
};

static struct range range_of(const struct nst_y4m *y)
{
    double one = 1 << (y->bits - 8), max = (1 << y->bits) - 1;

    return y->full ? (struct range){0, max, 128 * one, max}
                   : (struct range){16 * one, 235 * one, 128 * one, 224 * one};
}

static double sample(const struct nst_y4m *y, const unsigned char *plane, int i)
{
    return y->bits > 8 ? plane[2 * i] | plane[2 * i + 1] << 8 : plane[i];
}

/* The value at a place between the samples of a plane of h x w; outside the nearest. */
static double between(const struct nst_y4m *y, const unsigned char *plane, int h, int w,
                      double r, double c)
{
    int top, left, down, right;

    r = fmin(fmax(r, 0), h - 1);
    c = fmin(fmax(c, 0), w - 1);
    top = (int)r;
    left = (int)c;
    down = top < h - 1 ? w : 0;
    right = left < w - 1;
    r -= top;
    c -= left;
    plane += (size_t)(top * w + left) * nst_y4m_sample_bytes(y);
    return (1 - r) * ((1 - c) * sample(y, plane, 0) + c * sample(y, plane, right)) +
           r * ((1 - c) * sample(y, plane, down) + c * sample(y, plane, down + right));
}

/* Blue and red minus luma at a pixel. */
static double chroma_at(const struct nst_y4m *y, const unsigned char *plane, int row,
                        int column, double weight)
{
    struct range g = range_of(y);
    int h = nst_y4m_div_ceil(y->height, y->subsample_y),
        w = nst_y4m_div_ceil(y->width, y->subsample_x);

    return 2 * (1 - weight) / g.chroma *
           (between(y, plane, h, w, (row + 0.5) / y->subsample_y - 0.5,
                    (column + 0.5) / y->subsample_x - 0.5) -
            g.zero);
}

static double pixel(const struct nst_y4m *y, const unsigned char *frame, int row,
                    int column, int channel)
{
    struct range g = range_of(y);
    size_t n = (size_t)y->width * (size_t)y->height;
    const unsigned char *cb = frame + n * nst_y4m_sample_bytes(y),
                        *cr = cb + nst_y4m_chroma_samples(y, y->width, y->height) *
                                       nst_y4m_sample_bytes(y);
    double luma = (sample(y, frame, row * y->width + column) - g.black) /
                  (g.white - g.black),
           blue = 0, red = 0;

    if (y->subsample_x) {
        blue = chroma_at(y, cb, row, column, KB);
        red = chroma_at(y, cr, row, column, KR);
    }
    return fmin(fmax(luma + (channel == 0   ? red
                             : channel == 2 ? blue
                                            : -(KR * red + KB * blue) / KG),
                     0),
                1);
}

/* What a chroma sample (plane 0: blue, 1: red) or a luma sample (-1) is of a picture,
 * before it is rounded. */
static double encoded(const struct nst_y4m *y, const float *rgb, int plane, int row,
                      int column)
{
    struct range g = range_of(y);
    int x = plane < 0 ? 1 : y->subsample_x, by = plane < 0 ? 1 : y->subsample_y, n = 0;
    double luma = 0, value = 0, max = (1 << y->bits) - 1;
    size_t area = (size_t)y->width * (size_t)y->height;

    for (int r = row * by; r < (row + 1) * by && r < y->height; r++)
        for (int c = column * x; c < (column + 1) * x && c < y->width; c++, n++) {
            size_t i = (size_t)r * (size_t)y->width + (size_t)c;

            luma += KR * rgb[i] + KG * rgb[area + i] + KB * rgb[2 * area + i];
            value += rgb[(plane ? 0 : 2) * area + i];
        }
    luma /= n;
    value = (value / n - luma) / (2 * (1 - (plane ? KR : KB)));
    value =
        plane < 0 ? g.black + (g.white - g.black) * luma : g.zero + g.chroma * value;
    return fmin(fmax(value, 0), max);
}

static void check_plane(const struct nst_y4m *y, const float *rgb, int plane,
                        const unsigned char *samples)
{
    int w = plane < 0 ? y->width : nst_y4m_div_ceil(y->width, y->subsample_x),
        h = plane < 0 ? y->height : nst_y4m_div_ceil(y->height, y->subsample_y);

    for (int i = 0; i < h * w; i++) {
        double want = encoded(y, rgb, plane, i / w, i % w);

        /* rounded, and single precision */
        if (fabs(sample(y, samples, i) - want) > 0.5 + 1e-6 * (1 << y->bits))
            fail_msg("%d x %d, plane %d, sample %d, %d bits: %g for %g", y->width,
                     y->height, plane, i, y->bits, sample(y, samples, i), want);
    }
}

static void check_writing(const struct nst_y4m *y, unsigned char *frame)
{
    size_t n = (size_t)y->width * (size_t)y->height;
    size_t plane = nst_y4m_chroma_samples(y, y->width, y->height);
    size_t bytes = nst_y4m_sample_bytes(y);
    float *rgb = nst_xcalloc(3 * n, sizeof *rgb);

    for (size_t i = 0; i < 3 * n; i++)
        rgb[i] = 0.5f + 0.6f * tap_random(&state); /* some beyond 0 and 1 */
    nst_y4m_write_frame(y, (struct nst_image){rgb, y->height, y->width}, frame);
    check_plane(y, rgb, -1, frame);
    for (int k = 0; y->subsample_x && k < 2; k++)
        check_plane(y, rgb, k, frame + (n + (size_t)k * plane) * bytes);
    free(rgb);
}

static void check_reading(const struct nst_y4m *y, unsigned char *frame)
{
    size_t n = (size_t)y->width * (size_t)y->height;
    size_t samples = n + 2 * nst_y4m_chroma_samples(y, y->width, y->height);
    float *rgb = nst_xcalloc(3 * n, sizeof *rgb);

    for (size_t i = 0; i < samples; i++) {
        int v = (int)((tap_random(&state) + 1) / 2 * (float)((1 << y->bits) - 1));

        frame[y->bits > 8 ? 2 * i : i] = (unsigned char)v;
        if (y->bits > 8)
            frame[2 * i + 1] = (unsigned char)(v >> 8);
    }
    nst_y4m_to_rgb(y, frame, rgb);
    for (size_t i = 0; i < 3 * n; i++) {
        int at = (int)(i % n);
        double want = pixel(y, frame, at / y->width, at % y->width, (int)(i / n));

        if (fabs(rgb[i] - want) > 1e-6)
            fail_msg("%d x %d, value %zu, %d bits: %g for %g", y->width, y->height, i,
                     y->bits, rgb[i], want);
    }
    free(rgb);
}

static void every_sampling_is_that_of_the_definition(void **unused)
{
    static const int samplings[][2] = {{2, 2}, {2, 1}, {4, 1}, {1, 1}, {0, 0}};
    static const int bits[] = {8, 10, 12, 16};
    static const int sizes[][2] = {{16, 16}, {17, 33}, {19, 30}, {1, 131}, {24, 71}};

    (void)unused;
    for (int i = 0; i < 5 * 4 * 5 * 2; i++) {
        struct nst_y4m y = {.subsample_x = samplings[i % 5][0],
                            .subsample_y = samplings[i % 5][1],
                            .bits = bits[i / 5 % 4],
                            .height = sizes[i / 20 % 5][0],
                            .width = sizes[i / 20 % 5][1],
                            .full = i / 100};
        size_t size = nst_y4m_frame_bytes(&y, y.width, y.height);
        unsigned char *frame = malloc(size); /* to the byte, for the sanitizer */

        assert_non_null(frame);
        check_writing(&y, frame);
        check_reading(&y, frame);
        free(frame);
    }
}

static void with_every_instruction_set(void **unused)
{
    for (const struct nst_nchw16c_kernels *const *t = nst_nchw16c_available(); *t;
         t++) {
        setenv("NST_CPU", (*t)->name, 1);
        every_sampling_is_that_of_the_definition(unused);
    }
    unsetenv("NST_CPU");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(with_every_instruction_set)};

    state = tap_seed() | 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
