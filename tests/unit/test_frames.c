/* SPDX-License-Identifier: MIT */
/* Animations that libvips writes, read frame by frame and written again. */
#include "config.h"

#include "unit.h"

#include <math.h>
#include <string.h>
#include <unistd.h>
#include <vips/vips.h>

#include "image/frames.h"
#include "image/metadata.h"
#include "run/pyramid.h"
#include "run/temporal.h"

#define W 32
#define H 20
#define FRAMES 3

static struct nst_err err;
static struct nst_threads *threads;
static const struct nst_picture_size native;
static const int delays[FRAMES] = {50, 70, 200};
static char folder[] = "/tmp/nst-frames-XXXXXX";

static char *in_folder(const char *name)
{
    static char paths[2][128];
    static int next;
    char *path = paths[next++ % 2];

    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

/* Frame t is grey, 60 t + 40, with a white square; the upper left pixel is transparent
 * where there is alpha. */
static VipsImage *roll(int bands)
{
    static unsigned char samples[FRAMES * H * W * 4];
    unsigned char *p = samples;
    VipsImage *image;

    for (int y = 0; y < FRAMES * H; y++)
        for (int x = 0; x < W; x++)
            for (int c = 0; c < bands; c++) {
                bool square = x >= 8 && x < 16 && y % H >= 8 && y % H < 16;

                *p++ = (unsigned char)(c == 3   ? (x + y % H ? 255 : 0)
                                       : square ? 255
                                                : 60 * (y / H) + 40);
            }
    image = vips_image_new_from_memory_copy(samples, (size_t)(FRAMES * H * W * bands),
                                            W, FRAMES * H, bands, VIPS_FORMAT_UCHAR);
    assert_non_null(image);
    image->Type = VIPS_INTERPRETATION_sRGB;
    vips_image_set_int(image, VIPS_META_PAGE_HEIGHT, H);
    vips_image_set_array_int(image, "delay", delays, FRAMES);
    vips_image_set_int(image, "loop", 4);
    return image;
}

static void check_grey(const struct nst_picture *p, int t)
{
    size_t at = (size_t)(p->height - 1) * (size_t)p->width + 20;

    for (size_t k = 0; k < 3; k++)
        assert_true(fabs(p->rgb[k * (size_t)(p->width * p->height) + at] -
                         (60 * t + 40) / 255.0) < 0.02);
}

/* Read from, and write each frame as it is to a file to; what the comment there says.
 */
static char *copy(const char *from, const char *to)
{
    struct nst_output *out;
    struct nst_frame_reader *frames;
    struct nst_picture *p;
    struct nst_frame_writer *film;

    assert_int_equal(nst_frame_reader_open(&frames, from, false, &native, &err),
                     NST_OK);
    assert_int_equal(nst_frame_reader_count(frames), FRAMES);
    assert_int_equal(nst_output_open(&out, to, NULL, &err), NST_OK);
    nst_frame_writer_new(&film, out, frames);
    for (int t = 0; t < FRAMES; t++) {
        assert_int_equal(nst_frame_reader_next(frames, &p, &err), NST_OK);
        assert_non_null(p);
        assert_int_equal(p->width, W);
        assert_int_equal(p->height, H);
        check_grey(p, t);
        assert_int_equal(nst_frame_writer_add(film, p, p->rgb, &err), NST_OK);
        nst_picture_free(p);
    }
    assert_int_equal(nst_frame_reader_next(frames, &p, &err), NST_OK);
    assert_null(p);
    assert_int_not_equal(access(to, F_OK), 0); /* until all of it is there */
    assert_int_equal(nst_frame_writer_finish(film, "{\"nst\":{}}", &err), NST_OK);
    nst_frame_writer_free(film);
    nst_output_free(out);
    nst_frame_reader_free(frames);
    return nst_picture_comment(to);
}

static void check_times(const char *path)
{
    VipsImage *image = vips_image_new_from_file(path, NULL);
    int *delay, n, loop;

    assert_non_null(image);
    assert_int_equal(vips_image_get_n_pages(image), FRAMES);
    assert_int_equal(vips_image_get_array_int(image, "delay", &delay, &n), 0);
    assert_int_equal(n, FRAMES);
    assert_memory_equal(delay, delays, sizeof delays);
    assert_int_equal(vips_image_get_int(image, "loop", &loop), 0);
    assert_int_equal(loop, 4);
    g_object_unref(image);
}

static void an_animation_keeps_frames_and_times(const char *ending, int bands,
                                                bool says)
{
    char from[64], to[64], *comment;
    VipsImage *image = roll(bands);

    snprintf(from, sizeof from, "%s/from%s", folder, ending);
    snprintf(to, sizeof to, "%s/to%s", folder, ending);
    assert_int_equal(vips_image_write_to_file(image, from, NULL), 0);
    g_object_unref(image);
    comment = copy(from, to);
    check_times(to);
    assert_int_equal(comment != NULL, says);
    free(comment);
    free(copy(to, in_folder("again.webp"))); /* what was written can be read */
    unlink(in_folder("again.webp"));
    unlink(from);
    unlink(to);
}

static void gif(void **state)
{
    (void)state;
    an_animation_keeps_frames_and_times(".gif", 3, false);
    an_animation_keeps_frames_and_times(".gif", 4, false);
}

static void webp(void **state)
{
    (void)state;
    an_animation_keeps_frames_and_times(".webp", 3, true);
    an_animation_keeps_frames_and_times(".webp", 4, true);
}

static void one_picture_is_one_frame(void **state)
{
    char *path = in_folder("one.gif");
    struct nst_picture *p, *none;
    struct nst_frame_reader *frames;
    VipsImage *image;

    (void)state;
    assert_int_equal(vips_black(&image, W, H, "bands", 3, NULL), 0);
    assert_int_equal(vips_image_write_to_file(image, path, NULL), 0);
    g_object_unref(image);
    assert_int_equal(nst_frame_reader_open(&frames, path, false, &native, &err),
                     NST_OK);
    assert_int_equal(nst_frame_reader_count(frames), 1);
    assert_int_equal(nst_frame_reader_next(frames, &p, &err), NST_OK);
    assert_int_equal(p->height, H);
    assert_int_equal(nst_frame_reader_next(frames, &none, &err), NST_OK);
    assert_null(none);
    nst_picture_free(p);
    nst_frame_reader_free(frames);
    unlink(path);
}

static void all_frames_together_are_within_max_pixels(void **state)
{
    struct nst_picture_size size = {.max_pixels = 2 * W * H};
    char *path = in_folder("many.gif");
    struct nst_frame_reader *frames;
    VipsImage *image = roll(3);

    (void)state;
    assert_int_equal(vips_image_write_to_file(image, path, NULL), 0);
    g_object_unref(image);
    assert_int_equal(nst_frame_reader_open(&frames, path, false, &size, &err),
                     NST_ERR_FORMAT);
    assert_non_null(strstr(err.text, "too large"));
    unlink(path);
}

static void what_has_changed_is_not_held(void **state)
{
    static float before[3 * H * W], now[3 * H * W];
    float *made = calloc(3 * H * W, sizeof *made);
    struct nst_coherence f = {NULL};
    struct nst_motion none = {NULL};
    size_t corner = 3 * H * W / 3 - 1;

    (void)state;
    for (int i = 0; i < 3 * H * W; i++) {
        before[i] = now[i] = 0.5F;
        made[i] = 0.25F;
    }
    for (int k = 0; k < 3; k++)
        for (int y = 0; y < 6; y++)
            for (int x = 0; x < 6; x++)
                now[(k * H + y) * W + x] = 0.9F;
    assert_int_equal(
        nst_coherence_update(&f, made, before, now, &none, H, W, threads, &err),
        NST_OK);
    assert_true(f.static_mask[0] == 0);
    assert_true(f.static_mask[corner] == 1);
    assert_true(fabs(f.warm_start[0] - 0.65) <
                1e-6); /* the result, and what has changed */
    assert_true(f.warm_start[corner] == 0.25F);
    assert_true(f.held > 0.5 && f.held < 1);
    nst_coherence_clear(&f);
    assert_true(f.held == 0);
}

/* The scene moves by 2 pixels to the right: each pixel of the new frame was 2 pixels to
 * the left. */
/* Steps of a later frame of 360 x 640 pixels, of which that share is held. */
static int64_t later_steps(int64_t iterations, double held)
{
    struct nst_params p = {.iterations = iterations, .scales = {.automatic = true}};

    nst_pyramid_warm_start(&p, 360, 640, held);
    assert_int_equal(p.scales.count, 0);
    assert_false(p.scales.automatic);
    return p.iterations;
}

static void what_is_held_needs_few_steps(void **state)
{
    (void)state;
    /* the scales are 64, 128, 256 and 640 */
    assert_int_equal(later_steps(300, 0), 75);
    assert_int_equal(later_steps(300, 0.1), 75);
    assert_int_equal(later_steps(300, 0.3), 30);
    assert_int_equal(later_steps(300, 1), 30);
    assert_int_equal(later_steps(40, 1), 8);
    assert_int_equal(later_steps(40, 0), 10);
    assert_int_equal(later_steps(12, 1), 3); /* never more than without */
}

static void a_result_follows_the_motion(void **state)
{
    static float before[3 * H * W], now[3 * H * W];
    float *made = calloc(3 * H * W, sizeof *made);
    struct nst_coherence f = {NULL};
    struct nst_motion right = {calloc(2 * H * W, sizeof(float)),
                               calloc(2 * H * W, sizeof(float))};

    (void)state;
    for (int i = 0; i < 3 * H * W; i++) {
        int x = i % W;

        before[i] = (float)(x * 7 % 10) / 20;
        now[i] = (float)((x + 10 - 2) * 7 % 10) / 20;
        made[i] = (float)x / W;
    }
    for (int i = 0; i < H * W; i++) {
        right.forward[i] = 2;
        right.back[i] = -2;
    }
    assert_int_equal(
        nst_coherence_update(&f, made, before, now, &right, H, W, threads, &err),
        NST_OK);
    for (int i = 0; i < 3 * H * W; i++)
        if (i % W >= 2 + 4) {
            assert_float_equal(f.previous[i], (float)(i % W - 2) / W, 1e-6);
            assert_float_equal(f.warm_start[i], f.previous[i], 1e-6);
            assert_float_equal(f.static_mask[i % (H * W)], 1, 1e-6);
        }
    for (int y = 0; y < H; y++) /* these have entered the frame */
        assert_float_equal(f.static_mask[y * W], 0, 1e-6);
    nst_motion_clear(&right);
    nst_coherence_clear(&f);
}

/* Frames with noise, between which a flow of noise was found; and frames between which
 * the scene moves by as little. */
static void noise_moves_nothing_but_a_slow_motion_does(void **state)
{
    static float before[3 * H * W], now[3 * H * W];

    (void)state;
    for (int slow = 0; slow <= 1; slow++) {
        float *made = calloc(3 * H * W, sizeof *made);
        struct nst_coherence f = {NULL};
        struct nst_motion motion = {calloc(2 * H * W, sizeof(float)),
                                    calloc(2 * H * W, sizeof(float))};
        double moved = 0;

        for (int i = 0; i < 3 * H * W; i++) {
            double x = i % W;

            before[i] = (float)(0.5 + 0.2 * sin(x / 1.5));
            now[i] = (float)(slow ? 0.5 + 0.2 * sin((x + 0.3) / 1.5)
                                  : before[i] + 0.01 * (i * 7919 % 13 - 6) / 6);
            made[i] = (float)(i * 31 % 17) / 17;
        }
        for (int i = 0; i < H * W; i++) {
            motion.back[i] = slow ? 0.3F : (float)(i * 101 % 11 - 5) / 15;
            motion.forward[i] = -motion.back[i];
        }
        assert_int_equal(
            nst_coherence_update(&f, made, before, now, &motion, H, W, threads, &err),
            NST_OK);
        for (int i = 0; i < 3 * H * W; i++)
            moved += fabs(f.previous[i] - (float)(i * 31 % 17) / 17) / (3 * H * W);
        assert_true(slow ? moved > 0.05 : moved == 0);
        assert_true(f.static_mask[H / 2 * W + W / 2] > 0.9F);
        nst_motion_clear(&motion);
        nst_coherence_clear(&f);
    }
}

static int set_up(void **state)
{
    (void)state;
    if (nst_threads_new(&threads, 2, &err) != NST_OK)
        return -1;
    return !mkdtemp(folder) || nst_picture_init("test_frames", &err) != NST_OK;
}

static int tear_down(void **state)
{
    (void)state;
    nst_picture_shutdown();
    nst_threads_free(threads);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SAYS("a GIF stays an animation with its times", gif),
        SAYS("a WebP stays an animation with its times", webp),
        SAYS("one picture is one frame", one_picture_is_one_frame),
        SAYS("all frames together are within max pixels",
             all_frames_together_are_within_max_pixels),
        SAYS("what has changed is not held", what_has_changed_is_not_held),
        SAYS("a result follows the motion", a_result_follows_the_motion),
        SAYS("noise moves nothing, but a slow motion does",
             noise_moves_nothing_but_a_slow_motion_does),
        SAYS("what is held needs few steps", what_is_held_needs_few_steps),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("frames", tests, set_up, tear_down);
}
