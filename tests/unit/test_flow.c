/* SPDX-License-Identifier: MIT */
/* Optical flow of scenes whose motion is known: pans, a zoom, a rotation, an object in
 * front of a background; and files of flow. */
#include "config.h"

#include "unit.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "flow/flow.h"

#define N nst_area(height, width)

static int width = 320, height = 180; /* of the frames */

static struct nst_err err;
static struct nst_threads *threads;

/* A random number, 0 to 1, for a point of a lattice. */
static double lattice(int x, int y, int seed)
{
    uint32_t h = (uint32_t)x * 374761393U + (uint32_t)y * 668265263U +
                 (uint32_t)seed * 2246822519U;

    h = (h ^ (h >> 13)) * 1274126177U;
    h ^= h >> 16;
    return h / 4294967295.0;
}

/* Smooth noise of a wavelength of about 1 (value noise). */
static double noise(double x, double y, int seed)
{
    int ix = (int)floor(x), iy = (int)floor(y);
    double fx = x - ix, fy = y - iy;

    fx = fx * fx * fx * (fx * (6 * fx - 15) + 10);
    fy = fy * fy * fy * (fy * (6 * fy - 15) + 10);
    return (1 - fy) *
               ((1 - fx) * lattice(ix, iy, seed) + fx * lattice(ix + 1, iy, seed)) +
           fy * ((1 - fx) * lattice(ix, iy + 1, seed) +
                 fx * lattice(ix + 1, iy + 1, seed));
}

/* A surface with structures of 3 to 100 pixels, 0 to 1. */
static double texture(double x, double y, int seed)
{
    double sum = 0, weight = 0, size = 100;

    for (int i = 0; i < 6; i++, size /= 2) {
        double amplitude = pow(size, 0.4);

        sum += amplitude * noise(x / size, y / size, seed + i);
        weight += amplitude;
    }
    return sum / weight;
}

/* A motion: the matrix about the centre, then the displacement. */
struct motion {
    double xx, xy, yx, yy, dx, dy;
};

static void move(const struct motion *m, double x, double y, double *tx, double *ty)
{
    double cx = x - width / 2.0, cy = y - height / 2.0;

    *tx = m->xx * cx + m->xy * cy + width / 2.0 + m->dx;
    *ty = m->yx * cx + m->yy * cy + height / 2.0 + m->dy;
}

static void set_pixel(float *rgb, size_t i, double value)
{
    rgb[i] = (float)value;
    rgb[N + i] = (float)(0.2 + 0.6 * value);
    rgb[2 * N + i] = (float)(1 - value);
}

/* Both flows between two frames. */
struct flows {
    float *there, *back;
};

static struct nst_image image_of(const float *rgb)
{
    return (struct nst_image){rgb, height, width};
}

static float *flow_of(struct nst_flow_estimator *e, bool back)
{
    float *flow = malloc(2 * N * sizeof *flow);

    nst_flow_estimate(e, back, flow);
    return flow;
}

static struct flows estimate(const float *from, const float *to, struct nst_threads *on)
{
    struct nst_flow_estimator *e;
    struct flows f;

    assert_int_equal(nst_flow_estimator_new(&e, height, width, on, &err), NST_OK);
    nst_flow_estimator_next(e, image_of(from));
    nst_flow_estimator_next(e, image_of(to));
    f.there = flow_of(e, false);
    f.back = flow_of(e, true);
    nst_flow_estimator_free(e);
    return f;
}

static void free_flows(struct flows f)
{
    free(f.there);
    free(f.back);
}

/* The mean length of the error of the flow from one frame to another, where the motion
 * stays inside. */
static double end_point_error(const struct motion *m)
{
    float *from = malloc(3 * N * sizeof *from), *to = malloc(3 * N * sizeof *to);
    struct flows flow;
    double sum = 0;
    int count = 0;

    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            double tx, ty;

            move(m, x, y, &tx, &ty);
            set_pixel(from, (size_t)(y * width) + (size_t)x, texture(tx, ty, 1));
            set_pixel(to, (size_t)(y * width) + (size_t)x, texture(x, y, 1));
        }
    flow = estimate(from, to, threads);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            size_t i = (size_t)(y * width) + (size_t)x;
            double tx, ty;

            move(m, x, y, &tx, &ty);
            if (tx < 0 || ty < 0 || tx > width - 1 || ty > height - 1)
                continue;
            sum += hypot(flow.there[i] - (tx - x), flow.there[N + i] - (ty - y));
            count++;
        }
    free(from);
    free(to);
    free_flows(flow);
    return sum / count;
}

static void check_error(const char *name, struct motion m)
{
    double error = end_point_error(&m);

    print_message("%s: mean end-point error %.3f pixels\n", name, error);
    assert_true(error <= 0.3);
}

static void pans(void **state)
{
    (void)state;
    check_error("still", (struct motion){1, 0, 0, 1, 0, 0});
    check_error("pan of 0.4 pixels", (struct motion){1, 0, 0, 1, 0.3, -0.26});
    check_error("pan of 4 pixels", (struct motion){1, 0, 0, 1, 3.4, -2.2});
    check_error("pan of 19 pixels", (struct motion){1, 0, 0, 1, 18, 7});
}

static void zooms(void **state)
{
    (void)state;
    check_error("zoom in by 5 %", (struct motion){1.05, 0, 0, 1.05, 0, 0});
    check_error("zoom out by 5 %", (struct motion){0.95, 0, 0, 0.95, 1, 1});
}

/* These are matched at half their size. */
static void large_frames(void **state)
{
    (void)state;
    width = 720;
    height = 640;
    check_error("large: pan of 4 pixels", (struct motion){1, 0, 0, 1, 3.4, -2.2});
    check_error("large: zoom in by 5 %", (struct motion){1.05, 0, 0, 1.05, 0, 0});
    width = 320;
    height = 180;
}

static void rotations(void **state)
{
    double a = 3 * 3.14159265 / 180;

    (void)state;
    check_error("rotation by 3 degrees",
                (struct motion){cos(a), -sin(a), sin(a), cos(a), 0, 0});
}

/* An object that moves by (OBJECT_X, OBJECT_Y) in front of a background that moves by
 * (-2, 1). */
#define OBJECT_X 9
#define OBJECT_Y 4

static bool in_object(int x, int y, int frame)
{
    x -= 110 + frame * OBJECT_X;
    y -= 50 + frame * OBJECT_Y;
    return x >= 0 && y >= 0 && x < 90 && y < 70;
}

static float *scene(int frame)
{
    float *rgb = malloc(3 * N * sizeof *rgb);

    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            set_pixel(rgb, (size_t)(y * width) + (size_t)x,
                      in_object(x, y, frame)
                          ? texture(x - frame * OBJECT_X, y - frame * OBJECT_Y, 50)
                          : texture(x + 2 * frame, y - frame, 1));
    return rgb;
}

static void hidden_parts(void **state)
{
    float *a = scene(0), *b = scene(1), *mask = malloc(N * sizeof *mask);
    struct flows flow = estimate(a, b, threads);
    int right = 0, found = 0, hidden = 0;
    double f1;

    (void)state;
    nst_flow_visible(mask, flow.there, flow.back, height, width);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            int tx = x - 2, ty = y + 1;
            bool truth =
                !in_object(x, y, 0) && (tx < 0 || ty >= height || in_object(tx, ty, 1));
            bool told = mask[(size_t)(y * width) + (size_t)x] == 0;

            hidden += truth;
            found += told;
            right += truth && told;
        }
    f1 = 2.0 * right / (hidden + found);
    print_message("%d pixels are hidden, %d found, %d of them rightly: F1 %.3f\n",
                  hidden, found, right, f1);
    assert_true(f1 >= 0.8);
    free(a);
    free(b);
    free_flows(flow);
    free(mask);
}

static void boundaries(void **state)
{
    float *flow = calloc(2 * N, sizeof *flow), *mask = malloc(N * sizeof *mask);

    (void)state;
    for (size_t i = 0; i < N; i++) {
        mask[i] = 1;
        flow[i] = i % 320 < 100 ? 3 : -3;
    }
    nst_flow_exclude_boundaries(mask, flow, height, width);
    for (size_t i = 0; i < N; i++)
        assert_int_equal(mask[i] == 0, i % 320 == 99 || i % 320 == 100);
    free(flow);
    free(mask);
}

static void set_flow(float *flow, float u, float v)
{
    for (size_t i = 0; i < N; i++) {
        flow[i] = u;
        flow[N + i] = v;
    }
}

/* A polynomial that six points per axis determine. */
static float quintic(double x, double y)
{
    double a = x / width, b = y / height;

    return (float)(0.2 + 0.5 * pow(a, 5) - 0.4 * a * a * b + 0.3 * pow(b, 4));
}

static void warps(void **state)
{
    float *a = malloc(3 * N * sizeof *a), *out = malloc(3 * N * sizeof *out),
          *flow = malloc(2 * N * sizeof *flow);

    (void)state;
    for (size_t i = 0; i < 3 * N; i++)
        a[i] =
            quintic((double)(i % N % (size_t)width), (double)(i % N / (size_t)width));
    set_flow(flow, 2.5F, -1.25F);
    nst_flow_warp(out, (struct nst_image){a, height, width}, flow, threads);
    for (int y = 4; y < height - 3; y++)
        for (int x = 0; x < width - 6; x++)
            assert_float_equal(out[N + (size_t)(y * width) + (size_t)x],
                               quintic(x + 2.5, y - 1.25), 1e-5);
    set_flow(flow, 1e4F, -1e4F); /* outside: the nearest pixel */
    nst_flow_warp(out, (struct nst_image){a, height, width}, flow, threads);
    for (size_t i = 0; i < 3 * N; i++)
        assert_float_equal(out[i], a[width - 1], 1e-6);
    free(a);
    free(out);
    free(flow);
}

/* Mean squared difference between neighbours in a row. */
static double detail(const float *a)
{
    double sum = 0;

    for (size_t i = 1; i < N; i++)
        sum += i % (size_t)width ? (a[i] - a[i - 1]) * (a[i] - a[i - 1]) : 0;
    return sum / (double)N;
}

static void repeated_warps(void **state)
{
    float *a = scene(0), *out = malloc(3 * N * sizeof *out),
          *flow = malloc(2 * N * sizeof *flow);
    double before = detail(a), kept;

    (void)state;
    for (int i = 0; i < 50; i++) {
        float *other = a;

        set_flow(flow, i % 2 ? 0.5F : -0.5F, 0);
        nst_flow_warp(out, (struct nst_image){a, height, width}, flow, threads);
        a = out;
        out = other;
    }
    kept = detail(a) / before;
    print_message("after 50 moves by half a pixel %.3f of the detail is left\n", kept);
    assert_true(kept > 0.5 && kept <= 1);
    free(a);
    free(out);
    free(flow);
}

static void same_for_any_number_of_threads(void **state)
{
    float *a = scene(0), *b = scene(1);
    struct flows one, many = estimate(a, b, threads);
    struct nst_threads *single;

    (void)state;
    assert_int_equal(nst_threads_new(&single, 1, &err), NST_OK);
    one = estimate(a, b, single);
    assert_memory_equal(one.there, many.there, 2 * N * sizeof(float));
    assert_memory_equal(one.back, many.back, 2 * N * sizeof(float));
    nst_threads_free(single);
    free(a);
    free(b);
    free_flows(one);
    free_flows(many);
}

/* The estimator keeps the frame before; odd sides, at half the size. */
static void series_of_frames(void **state)
{
    struct nst_flow_estimator *e;
    float *frame[3], *flow;
    struct flows pair;

    (void)state;
    width = 643;
    height = 641;
    for (int i = 0; i < 3; i++)
        frame[i] = scene(i);
    assert_int_equal(nst_flow_estimator_new(&e, height, width, threads, &err), NST_OK);
    for (int i = 0; i < 3; i++)
        nst_flow_estimator_next(e, image_of(frame[i]));
    pair = estimate(frame[1], frame[2], threads);
    flow = flow_of(e, false);
    assert_memory_equal(flow, pair.there, 2 * N * sizeof *flow);
    free(flow);
    flow = flow_of(e, true);
    assert_memory_equal(flow, pair.back, 2 * N * sizeof *flow);
    free(flow);
    /* back from the last frame is as there from it */
    free_flows(pair);
    pair = estimate(frame[2], frame[1], threads);
    flow = flow_of(e, true);
    assert_memory_equal(flow, pair.there, 2 * N * sizeof *flow);
    free(flow);
    free_flows(pair);
    for (int i = 0; i < 3; i++)
        free(frame[i]);
    nst_flow_estimator_free(e);
    width = 320;
    height = 180;
}

static void smallest_frames(void **state)
{
    float frame[3 * 16 * 17] = {0};
    struct flows flow;

    (void)state;
    width = 16;
    height = 17;
    flow = estimate(frame, frame, threads);
    for (int i = 0; i < 2 * 16 * 17; i++)
        assert_float_equal(flow.there[i], 0, 0);
    free_flows(flow);
    width = 320;
    height = 180;
}

/* As the format is described: 5 x 3 pixels of which u is 0, 1, ... and v is 0.5 less.
 */
static void write_file(const char *path)
{
    float tag = 202021.25F;
    int32_t sides[2] = {5, 3};
    FILE *f = fopen(path, "w");

    assert_int_equal(fwrite(&tag, sizeof tag, 1, f), 1);
    assert_int_equal(fwrite(sides, sizeof *sides, 2, f), 2);
    for (int i = 0; i < 15; i++) {
        float pair[2] = {(float)i, (float)i - 0.5F};

        assert_int_equal(fwrite(pair, sizeof *pair, 2, f), 2);
    }
    assert_int_equal(fclose(f), 0);
}

static void files(void **state)
{
    static const unsigned char one[] = {0x50, 0x49, 0x45, 0x48, 1,    0,   0,
                                        0,    1,    0,    0,    0,    0,   0,
                                        0,    0x40, 0,    0,    0x80, 0xbf};
    char path[] = "/tmp/nst-flow-XXXXXX";
    float *back;
    FILE *f;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    write_file(path);
    assert_int_equal(nst_flow_read(&back, path, 3, 5, &err), NST_OK);
    for (int i = 0; i < 15; i++) {
        assert_float_equal(back[i], i, 0);
        assert_float_equal(back[15 + i], i - 0.5, 0);
    }
    free(back);
    assert_int_equal(nst_flow_read(&back, path, 5, 3, &err), NST_ERR_FORMAT);
    assert_non_null(
        strstr(err.text, "has the flow of 5x3 pixels, but the frame has 3x5"));
    assert_int_equal(truncate(path, 60), 0);
    assert_int_equal(nst_flow_read(&back, path, 3, 5, &err), NST_ERR_FORMAT);
    assert_non_null(strstr(err.text, "is cut short"));
    f = fopen(path, "w"); /* byte by byte */
    assert_int_equal(fwrite(one, 1, sizeof one, f), sizeof one);
    fclose(f);
    assert_int_equal(nst_flow_read(&back, path, 1, 1, &err), NST_OK);
    assert_float_equal(back[0], 2, 0);
    assert_float_equal(back[1], -1, 0);
    free(back);
    assert_int_equal(truncate(path, 3), 0);
    assert_int_equal(nst_flow_read(&back, path, 1, 1, &err), NST_ERR_FORMAT);
    unlink(path);
    assert_int_equal(nst_flow_read(&back, path, 1, 1, &err), NST_ERR_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SAYS("pans are estimated to 0.3 pixels", pans),
        SAYS("zooms are estimated to 0.3 pixels", zooms),
        SAYS("a rotation is estimated to 0.3 pixels", rotations),
        SAYS("large frames are estimated to 0.3 pixels", large_frames),
        SAYS("what the other frame hides is found", hidden_parts),
        SAYS("boundaries of the motion are excluded", boundaries),
        SAYS("an image is displaced by a flow", warps),
        SAYS("an image that is displaced many times keeps its detail", repeated_warps),
        SAYS("the flow does not depend on the number of threads",
             same_for_any_number_of_threads),
        SAYS("a frame is passed once, for the flows from and to it", series_of_frames),
        SAYS("the smallest frames have a flow", smallest_frames),
        SAYS("files of Middlebury are read", files),
    };
    int failed;

    if (nst_threads_new(&threads, 3, &err) != NST_OK)
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    nst_threads_free(threads);
    return failed;
}
