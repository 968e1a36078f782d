/* SPDX-License-Identifier: MIT */
/* Pictures in the memory of a program: the same results as from files, at every
 * precision; masks, previews and estimates. */
#include "config.h"

#include "unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nst.h"

/* wider than the small copy of a picture */
#define H 60
#define W 300
#define N (H * W)
#define STYLE "samples-style.ppm"
#define PHOTO "samples-photo.pam"
#define MASK "samples-mask.pgm"
#define RESULT "samples-result.pam"

static uint8_t photo[4 * N], mask[N];

static void write_file(const char *name, const char *header, const void *bytes,
                       size_t size)
{
    FILE *f = fopen(name, "wb");

    assert_non_null(f);
    fputs(header, f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static int make_pictures(void **state)
{
    static uint8_t style[3 * 48 * 40];
    char header[128];

    (void)state;
    for (size_t i = 0; i < sizeof style; i++)
        style[i] = (uint8_t)(i * i / 7);
    write_file(STYLE, "P6\n48 40\n255\n", style, sizeof style);
    for (int i = 0; i < N; i++) {
        int x = i % W, y = i / W;

        mask[i] = (uint8_t)(x < 100 ? 255 : x < 180 ? 255 - (x - 100) * 3 : 0);
        for (int c = 0; c < 3; c++)
            photo[4 * i + c] = (uint8_t)(127 + 120 * sin(x * (c + 2) / 17.0 + y / 5.0));
        photo[4 * i + 3] = (uint8_t)(y < 30 ? 255 : x % 256);
    }
    snprintf(header, sizeof header, "P5\n%d %d\n255\n", W, H);
    write_file(MASK, header, mask, sizeof mask);
    return 0;
}

static int remove_pictures(void **state)
{
    (void)state;
    unlink(PHOTO);
    unlink(MASK);
    return unlink(STYLE);
}

static void set(struct nst_params *p, const char *name, const char *value)
{
    struct nst_err err;

    if (nst_params_set(p, name, value, &err) != NST_OK)
        fail_msg("%s", err.text);
}

static void init(struct nst_params *p)
{
    nst_params_init(p);
    set(p, "model", MODEL);
    set(p, "style", STYLE);
    set(p, "size", "native");
}

/* What a run has told. */
struct told {
    char line[512];
    int previews, widest;
    float last[3 * N];
    struct nst_estimate estimate;
};

static void on_message(void *ctx, const char *line)
{
    struct told *t = ctx;

    snprintf(t->line, sizeof t->line, "%s", line);
}

static void *picture_started(void *ctx, const struct nst_batch_item *item,
                             int64_t planned)
{
    (void)item;
    (void)planned;
    return ctx;
}

static void previewed(void *picture, struct nst_image image)
{
    struct told *t = picture;

    assert_true(image.width >= t->widest);
    assert_true(image.width <= W && image.height <= H);
    t->widest = image.width;
    t->previews++;
    if (image.width == W)
        memcpy(t->last, image.rgb, sizeof t->last);
}

static void estimated(void *ctx, const struct nst_batch_item *item,
                      const struct nst_estimate *estimate)
{
    struct told *t = ctx;

    (void)item;
    t->estimate = *estimate;
}

static struct nst_run_counts run(const struct nst_params *p, struct nst_batch *b,
                                 struct told *t, bool previews)
{
    struct nst_run_events events = {.ctx = t,
                                    .message = on_message,
                                    .picture_started = picture_started,
                                    .previewed = previews ? previewed : NULL,
                                    .estimated = estimated};
    struct nst_run_counts counts;
    struct nst_err err;

    memset(t, 0, sizeof *t);
    if (nst_run(b, p, &events, &counts, &err) != NST_OK)
        fail_msg("%s", err.text);
    nst_batch_clear(b);
    memset(b, 0, sizeof *b);
    return counts;
}

static void run_well(const struct nst_params *p, struct nst_batch *b)
{
    static struct told t;

    if (run(p, b, &t, false).done != 1)
        fail_msg("%s", t.line);
}

/* The result of nst from a file with these channels of the photograph. */
static struct nst_picture *made_from_file(struct nst_params *p, int channels)
{
    static uint8_t bytes[4 * N];
    const struct nst_picture_size native = {.max_pixels = 1000000};
    struct nst_batch b = {NULL};
    struct nst_picture *result;
    struct nst_err err;
    char header[160];

    for (int i = 0; i < N; i++)
        memcpy(bytes + channels * i, photo + 4 * i, (size_t)channels);
    snprintf(header, sizeof header,
             "P7\nWIDTH %d\nHEIGHT %d\nDEPTH %d\nMAXVAL 255\nTUPLTYPE %s\nENDHDR\n", W,
             H, channels, channels == 4 ? "RGB_ALPHA" : "RGB");
    write_file(PHOTO, header, bytes, (size_t)channels * N);
    set(p, "output", RESULT);
    set(p, "history", "none");
    assert_int_equal(nst_batch_add(&b, PHOTO, false, &err), NST_OK);
    assert_int_equal(nst_batch_name_outputs(&b, p, &err), NST_OK);
    run_well(p, &b);
    if (nst_picture_load(&result, RESULT, &native, &err) != NST_OK)
        fail_msg("%s", err.text);
    unlink(RESULT);
    return result;
}

/* Samples as a program has them: of a format, owned. */
static struct nst_samples samples(int channels, enum nst_sample_type type, bool planar,
                                  bool linear)
{
    static const size_t size[] = {1, 2, 4};
    struct nst_samples s = {.width = W,
                            .height = H,
                            .channels = channels,
                            .type = type,
                            .planar = planar,
                            .linear = linear};

    s.data = calloc((size_t)channels * N, size[type]);
    assert_non_null(s.data);
    return s;
}

static size_t offset(const struct nst_samples *s, int pixel, int channel)
{
    return s->planar ? (size_t)channel * N + (size_t)pixel
                     : (size_t)pixel * (size_t)s->channels + (size_t)channel;
}

static double decode(double v)
{
    return v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4);
}

static double encode(double v)
{
    return v <= 0.0031308 ? v * 12.92 : 1.055 * pow(v, 1 / 2.4) - 0.055;
}

/* A sample as sRGB, 0 to 1. */
static double get(const struct nst_samples *s, int pixel, int channel)
{
    size_t at = offset(s, pixel, channel);
    double v = s->type == NST_SAMPLE_U8    ? ((const uint8_t *)s->data)[at] / 255.0
               : s->type == NST_SAMPLE_U16 ? ((const uint16_t *)s->data)[at] / 65535.0
                                           : (double)((const float *)s->data)[at];

    return s->linear && channel < 3 ? encode(v) : v;
}

static void fill(const struct nst_samples *s)
{
    for (int i = 0; i < N; i++)
        for (int c = 0; c < s->channels; c++) {
            double v = photo[4 * i + c] / 255.0;
            size_t at = offset(s, i, c);

            if (s->linear && c < 3)
                v = decode(v);
            if (s->type == NST_SAMPLE_U8)
                ((uint8_t *)s->data)[at] = (uint8_t)lround(v * 255);
            else if (s->type == NST_SAMPLE_U16)
                ((uint16_t *)s->data)[at] = (uint16_t)lround(v * 65535);
            else
                ((float *)s->data)[at] = (float)v;
        }
}

/* Stylise the photograph in this format, in place. */
static struct nst_samples made(const struct nst_params *p, int channels,
                               enum nst_sample_type type, bool planar, bool linear)
{
    struct nst_samples s = samples(channels, type, planar, linear);
    struct nst_batch b = {NULL};

    fill(&s);
    nst_batch_add_samples(&b, "samples", &s, NULL, &s);
    run_well(p, &b);
    return s;
}

/* The largest difference to the picture, in levels of 255; alpha must be that of the
 * photograph. */
static double difference(const struct nst_samples *s, const struct nst_picture *p)
{
    double most = 0;

    for (int i = 0; i < N; i++) {
        for (int c = 0; c < 3; c++)
            most = fmax(most,
                        fabs(get(s, i, c) - (double)p->rgb[(size_t)c * N + i]) * 255);
        if (s->channels == 4)
            assert_int_equal(lround(get(s, i, 3) * 255), photo[4 * i + 3]);
    }
    return most;
}

static void samples_of_8_bits_give_the_pixels_of_a_file(void **state)
{
    (void)state;
    for (int channels = 3; channels <= 4; channels++)
        for (int planar = 0; planar < 2; planar++) {
            struct nst_params p;
            struct nst_samples s;
            struct nst_picture *file;

            init(&p);
            set(&p, "iterations", "3");
            set(&p, "colour", planar ? "content" : "style");
            file = made_from_file(&p, channels);
            s = made(&p, channels, NST_SAMPLE_U8, planar, false);
            assert_true(difference(&s, file) < 1e-4);
            free(s.data);
            nst_picture_free(file);
            nst_params_clear(&p);
        }
}

/* A last bit of the photograph may change a pixel of the result by more than one level,
 * so the run is one of few steps. */
static void other_precisions_give_nearly_the_same(void **state)
{
    struct nst_params p;
    struct nst_picture *file;

    (void)state;
    init(&p);
    set(&p, "iterations", "2");
    file = made_from_file(&p, 4);
    for (int kind = 0; kind < 4; kind++) {
        static const struct {
            enum nst_sample_type type;
            bool linear;
            double most;
        } kinds[] = {{NST_SAMPLE_U16, false, 0.6},
                     {NST_SAMPLE_F32, false, 0.6},
                     {NST_SAMPLE_U16, true, 1.5},
                     {NST_SAMPLE_F32, true, 1.5}};
        struct nst_samples s =
            made(&p, 4, kinds[kind].type, kind & 1, kinds[kind].linear);

        if (difference(&s, file) > kinds[kind].most)
            fail_msg("kind %d: %f levels", kind, difference(&s, file));
        free(s.data);
    }
    nst_picture_free(file);
    nst_params_clear(&p);
}

static void a_mask_in_memory_is_that_of_a_file(void **state)
{
    struct nst_samples s = samples(3, NST_SAMPLE_U8, false, false),
                       keep = {.data = mask, .width = W, .height = H, .channels = 1};
    struct nst_batch b = {NULL};
    struct nst_params p;
    struct nst_picture *file;

    (void)state;
    init(&p);
    set(&p, "iterations", "3");
    set(&p, "keep-mask", MASK);
    file = made_from_file(&p, 3);
    nst_params_clear(&p);

    init(&p);
    set(&p, "iterations", "3");
    fill(&s);
    nst_batch_add_samples(&b, "samples", &s, &keep, &s);
    run_well(&p, &b);
    assert_true(difference(&s, file) < 1e-4);
    for (int i = 0; i < N; i++)
        if (mask[i] == 255)
            assert_int_equal(((uint8_t *)s.data)[3 * i], photo[4 * i]);
    free(s.data);
    nst_picture_free(file);
    nst_params_clear(&p);
}

static void the_work_has_its_size_and_the_result_its_own(void **state)
{
    struct nst_samples s = samples(3, NST_SAMPLE_F32, true, false);
    struct nst_picture *file;
    struct nst_batch b = {NULL};
    struct nst_params p;
    struct nst_err err;
    float *enlarged;

    (void)state;
    init(&p);
    set(&p, "size", "128");
    set(&p, "iterations", "2");
    file = made_from_file(&p, 3);
    assert_int_equal(file->width, 128);
    assert_int_equal(nst_pixels_resize(&enlarged, nst_picture_image(file), H, W, &err),
                     NST_OK);
    fill(&s);
    nst_batch_add_samples(&b, "samples", &s, NULL, &s);
    run_well(&p, &b);
    for (int i = 0; i < 3 * N; i++) /* the file has 8 bits, and Lanczos overshoots */
        assert_true(fabsf(((float *)s.data)[i] - enlarged[i]) < 1.5F / 255);
    free(enlarged);
    free(s.data);
    nst_picture_free(file);
    nst_params_clear(&p);
}

static void previews_grow_and_end_with_the_result(void **state)
{
    static struct told t;

    (void)state;
    for (int content = 0; content < 2; content++) {
        struct nst_samples s = samples(3, NST_SAMPLE_F32, true, false);
        struct nst_batch b = {NULL};
        struct nst_params p;

        init(&p);
        set(&p, "iterations", "6");
        set(&p, "save-every", "2");
        set(&p, "colour", content ? "content" : "style");
        fill(&s);
        nst_batch_add_samples(&b, "samples", &s, NULL, &s);
        assert_int_equal(run(&p, &b, &t, true).done, 1);
        assert_true(t.previews > 3); /* also between the ends of the scales */
        assert_int_equal(t.widest, W);
        assert_memory_equal(t.last, s.data, sizeof t.last);
        free(s.data);
        nst_params_clear(&p);
    }
}

static void an_estimate_needs_no_run(void **state)
{
    static struct told t;
    struct nst_samples s = samples(4, NST_SAMPLE_U8, false, false);
    struct nst_batch b = {NULL};
    struct nst_params p;

    (void)state;
    init(&p);
    set(&p, "dry-run", "true");
    fill(&s);
    nst_batch_add_samples(&b, "samples", &s, NULL, &s);
    run(&p, &b, &t, true);
    assert_int_equal(t.previews, 0);
    assert_int_equal(t.estimate.width, W);
    assert_int_equal(t.estimate.height, H);
    assert_true(t.estimate.seconds > 0 && t.estimate.memory > 1 << 20);
    for (int i = 0; i < 4 * N; i++)
        assert_int_equal(((uint8_t *)s.data)[i], photo[i]);
    free(s.data);
    nst_params_clear(&p);
}

static void wrong_samples_are_refused(void **state)
{
    static struct told t;
    struct nst_samples s = samples(4, NST_SAMPLE_U8, false, false), two = s, bad = s;
    struct nst_batch b = {NULL};
    struct nst_params p;

    (void)state;
    two.channels = 2;
    bad.type = (enum nst_sample_type)7;
    init(&p);
    set(&p, "iterations", "1");
    nst_batch_add_samples(&b, "two", &two, NULL, &s);
    assert_int_equal(run(&p, &b, &t, false).status, NST_ERR_ARG);
    assert_string_equal(t.line, "two: 2 channels; a picture has 3 (RGB) or 4 (RGBA)");
    nst_batch_add_samples(&b, "mask", &s, &s, &s);
    assert_int_equal(run(&p, &b, &t, false).status, NST_ERR_ARG);
    assert_string_equal(t.line, "keep: 4 channels; a mask has 1");
    nst_batch_add_samples(&b, "bad", &bad, NULL, &s);
    assert_int_equal(run(&p, &b, &t, false).status, NST_ERR_ARG);
    assert_non_null(strstr(t.line, "7 is not a type of samples"));
    free(s.data);
    nst_params_clear(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SAYS("samples of 8 bits give the pixels of a file",
             samples_of_8_bits_give_the_pixels_of_a_file),
        SAYS("other precisions give nearly the same",
             other_precisions_give_nearly_the_same),
        SAYS("a mask in memory is that of a file", a_mask_in_memory_is_that_of_a_file),
        SAYS("the work has its size, and the result its own",
             the_work_has_its_size_and_the_result_its_own),
        SAYS("previews grow and end with the result",
             previews_grow_and_end_with_the_result),
        SAYS("an estimate needs no run", an_estimate_needs_no_run),
        SAYS("wrong samples are refused", wrong_samples_are_refused),
    };
    struct nst_err err;
    int failed;

    if (nst_picture_init("test_samples", &err) != NST_OK)
        return 1;
    failed = cmocka_run_group_tests(tests, make_pictures, remove_pictures);
    nst_picture_shutdown();
    return failed;
}
