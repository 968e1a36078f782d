/* SPDX-License-Identifier: MIT */
/* Feed-forward networks with random weights: the CPU against plain loops, bands within
 * little memory against the whole picture, every size of picture. */
#include "config.h"

#include "unit.h"

#include <math.h>
#include <string.h>

#include "backend/backend.h"
#include "base/alloc.h"
#include "net/net.h"
#include "../tap.h"

static struct nst_err err;
static unsigned state;

static float *random_picture(int height, int width)
{
    size_t n = 3 * nst_area(height, width);
    float *rgb = nst_xcalloc(n, sizeof *rgb);

    for (size_t i = 0; i < n; i++)
        rgb[i] = (tap_random(&state) + 1) / 2;
    return rgb;
}

static struct nst_net_weights random_weights(int width, int blocks)
{
    struct nst_net_weights w;

    assert_int_equal(
        nst_net_weights_new(&w, (struct nst_net_shape){width, blocks}, &err), NST_OK);
    for (size_t i = 0; i < w.count; i++)
        w.values[i] = tap_random(&state) / 8;
    return w;
}

/* A network on a backend of its own. */
struct machine {
    struct nst_backend *be;
    struct nst_net *net;
};

static struct machine start(const char *backend, int threads,
                            const struct nst_net_weights *w)
{
    struct nst_backend_config config = {.threads = threads};
    struct machine m;

    assert_int_equal(nst_backend_open(&m.be, backend, &config, &err), NST_OK);
    assert_int_equal(nst_net_new(&m.net, m.be, w, &err), NST_OK);
    return m;
}

static void stop(struct machine *m)
{
    nst_net_free(m->net);
    m->be->ops->close(m->be);
}

static float *paint(struct machine *m, const float *rgb, int height, int width,
                    size_t limit)
{
    float *out = nst_xcalloc(3 * nst_area(height, width), sizeof *out);
    struct nst_image in = {rgb, height, width};

    assert_int_equal(nst_net_paint(m->net, in, out, limit, &err), NST_OK);
    return out;
}

/* Largest difference, relative to the largest value. */
static double difference(const float *a, const float *b, size_t n)
{
    double worst = 0, most = 0;

    for (size_t i = 0; i < n; i++) {
        worst = fmax(worst, fabs((double)a[i] - b[i]));
        most = fmax(most, fabs(b[i]));
        assert_true(isfinite(a[i]));
    }
    assert_true(most > 0);
    return worst / most;
}

static void cpu_agrees_with_plain_loops(void **unused)
{
    static const int sizes[][2] = {{1, 1}, {1, 9},   {3, 2},   {5, 5},   {6, 7},
                                   {8, 8}, {21, 34}, {40, 17}, {39, 18}, {22, 43}};
    struct nst_net_weights w = random_weights(5, 2);
    struct machine scalar = start("scalar", 1, &w), one = start("cpu", 1, &w),
                   five = start("cpu", 5, &w);

    (void)unused;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int h = sizes[i][0], width = sizes[i][1];
        size_t n = 3 * nst_area(h, width);
        float *rgb = random_picture(h, width), *want = paint(&scalar, rgb, h, width, 0),
              *a = paint(&one, rgb, h, width, 0), *b = paint(&five, rgb, h, width, 0);

        /* instance norm divides a flat picture by its rounding errors */
        if (difference(a, want, n) > 1e-3 && h > 1)
            fail_msg("%d x %d: %g", h, width, difference(a, want, n));
        assert_memory_equal(a, b, n * sizeof *a);
        free(rgb);
        free(want);
        free(a);
        free(b);
    }
    stop(&scalar);
    stop(&one);
    stop(&five);
    nst_net_weights_clear(&w);
}

/* Paint within less and less memory. */
static void check_bands(struct machine *cpu, int height, int width)
{
    size_t n = 3 * nst_area(height, width);
    float *rgb = random_picture(height, width),
          *want = paint(cpu, rgb, height, width, 0);
    size_t whole = nst_net_bytes(cpu->net, height, width, 0), least = whole;

    for (int i = 1; i < 10; i++) {
        size_t limit = whole - whole / 20 * (size_t)i,
               bytes = nst_net_bytes(cpu->net, height, width, limit);
        float *got;

        if (bytes == 0) {
            struct nst_image in = {rgb, height, width};

            got = nst_xcalloc(n, sizeof *got);
            assert_int_equal(nst_net_paint(cpu->net, in, got, limit, &err),
                             NST_ERR_MEM);
            free(got);
            continue;
        }
        assert_true(bytes <= limit);
        least = bytes < least ? bytes : least;
        got = paint(cpu, rgb, height, width, limit);
        if (difference(got, want, n) > 1e-4)
            fail_msg("%d x %d within %zu bytes: %g", height, width, limit,
                     difference(got, want, n));
        free(got);
    }
    if (least >= whole * 7 / 10)
        fail_msg("%d x %d: %zu of %zu bytes", height, width, least, whole);
    free(rgb);
    free(want);
}

static void bands_give_the_whole_picture(void **unused)
{
    struct nst_net_weights w = random_weights(6, 1);
    struct machine cpu = start("cpu", 2, &w);

    (void)unused;
    for (int i = 0; i < 4; i++)
        check_bands(&cpu, 600 + i, 52 + i);
    stop(&cpu);
    nst_net_weights_clear(&w);
}

/* A network holds what the last picture left, of this size or another one; the next one
 * must not see it. */
static void a_picture_leaves_nothing_to_the_next(void **unused)
{
    struct nst_net_weights w = random_weights(4, 1);
    struct machine used = start("cpu", 2, &w), fresh = start("cpu", 2, &w);
    float *first = random_picture(30, 44), *rgb = random_picture(23, 61);
    float *other = random_picture(23, 61), *a, *b;

    (void)unused;
    free(paint(&used, first, 30, 44, 0));
    free(paint(&used, first, 30, 44, 0));
    free(paint(&used, other, 23, 61, 0));
    a = paint(&used, rgb, 23, 61, 0);
    b = paint(&fresh, rgb, 23, 61, 0);
    assert_memory_equal(a, b, 3 * nst_area(23, 61) * sizeof *a);
    free(a);
    free(b);
    free(first);
    free(other);
    free(rgb);
    stop(&used);
    stop(&fresh);
    nst_net_weights_clear(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpu_agrees_with_plain_loops),
        cmocka_unit_test(bands_give_the_whole_picture),
        cmocka_unit_test(a_picture_leaves_nothing_to_the_next),
    };

    state = tap_seed() | 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
