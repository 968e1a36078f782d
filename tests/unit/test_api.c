/* SPDX-License-Identifier: MIT */
/* The shared library through its public interface: runs in memory, several at once. */
#include "config.h"

#include "unit.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nst.h"

#define H 40
#define W 56
#define N (3 * H * W)
#define STYLE "api-style.ppm"

static float photo[N];

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
    set(p, "iterations", "6");
    set(p, "threads", "2");
    set(p, "history", "none");
    set(p, "size", "native");
}

static void the_header_is_that_of_the_library(void **state)
{
    (void)state;
    assert_string_equal(nst_version(), NST_VERSION);
    assert_string_equal(nst_version(), PACKAGE_VERSION);
}

static int make_pictures(void **state)
{
    FILE *f = fopen(STYLE, "wb");

    (void)state;
    if (!f)
        return -1;
    fprintf(f, "P6\n48 40\n255\n");
    for (int i = 0; i < 3 * 48 * 40; i++)
        fputc(i * i / 7 % 256, f);
    for (int i = 0; i < N; i++)
        photo[i] = (float)(i % 251) / 255;
    return fclose(f);
}

static int remove_pictures(void **state)
{
    (void)state;
    return unlink(STYLE);
}

/* Reports of the latest run. */
struct told {
    char line[512];
    int steps, ended;
    bool stop;
};

static void on_message(void *ctx, const char *line)
{
    struct told *t = ctx;

    snprintf(t->line, sizeof t->line, "%s", line);
}

static bool stop(void *ctx)
{
    const struct told *t = ctx;

    return t->stop && t->steps > 0;
}

static void *picture_started(void *ctx, const struct nst_batch_item *item,
                             int64_t planned)
{
    (void)item;
    assert_int_equal(planned, 6);
    return ctx;
}

static void stepped(void *picture, const struct nst_evaluation *e, int64_t done,
                    int64_t planned)
{
    struct told *t = picture;

    (void)planned;
    assert_true(isfinite(e->total_loss));
    t->steps = (int)done;
}

static void picture_finished(void *picture, const struct nst_job_result *result)
{
    struct told *t = picture;

    assert_non_null(result);
    t->ended++;
}

static struct nst_run_counts run(const struct nst_params *p, struct nst_batch *b,
                                 struct told *t)
{
    struct nst_run_events events = {.ctx = t,
                                    .message = on_message,
                                    .stop = stop,
                                    .picture_started = picture_started,
                                    .stepped = stepped,
                                    .picture_finished = picture_finished};
    struct nst_run_counts counts;
    struct nst_err err;

    if (nst_run(b, p, &events, &counts, &err) != NST_OK)
        fail_msg("%s", err.text);
    nst_batch_clear(b);
    return counts;
}

static struct nst_samples planes(float *rgb)
{
    return (struct nst_samples){.data = rgb,
                                .width = W,
                                .height = H,
                                .channels = 3,
                                .type = NST_SAMPLE_F32,
                                .planar = true};
}

/* Add the photograph, of which only the first rows are used. */
static void add_photo(struct nst_batch *b, const char *name, int rows, float *made)
{
    struct nst_samples picture = planes(photo), result = planes(made);

    picture.height = result.height = rows;
    nst_batch_add_samples(b, name, &picture, NULL, &result);
}

static void stylise(float *made)
{
    struct nst_batch b = {NULL};
    struct told t = {.steps = 0};
    struct nst_params p;

    init(&p);
    add_photo(&b, "pixels", H, made);
    assert_int_equal(run(&p, &b, &t).done, 1);
    assert_int_equal(t.steps, 6);
    assert_int_equal(t.ended, 1);
    nst_params_clear(&p);
}

static void pixels_become_a_picture(void **state)
{
    static float made[N];
    double change = 0;

    (void)state;
    stylise(made);
    for (int i = 0; i < N; i++) {
        assert_true(made[i] >= 0 && made[i] <= 1);
        change += fabs((double)made[i] - photo[i]) / N;
    }
    assert_true(change > 0.01);
}

static void pixels_and_files_become_the_same_picture(void **state)
{
    static float made[N];
    const struct nst_picture_size native = {.max_pixels = 1000000};
    struct nst_batch b = {NULL};
    struct nst_picture *result;
    struct told t = {.steps = 0};
    struct nst_params p;
    struct nst_err err;
    FILE *f = fopen("api-photo.ppm", "wb");

    (void)state;
    fprintf(f, "P6\n%d %d\n255\n", W, H);
    for (int i = 0; i < H * W; i++)
        for (int k = 0; k < 3; k++)
            fputc((int)lround(255 * (double)photo[k * H * W + i]), f);
    fclose(f);
    init(&p);
    set(&p, "output", "api-result.ppm");
    assert_int_equal(nst_batch_add(&b, "api-photo.ppm", false, &err), NST_OK);
    assert_int_equal(nst_batch_name_outputs(&b, &p, &err), NST_OK);
    assert_int_equal(run(&p, &b, &t).done, 1);
    assert_int_equal(nst_picture_load(&result, "api-result.ppm", &native, &err),
                     NST_OK);
    add_photo(memset(&b, 0, sizeof b), "pixels", H, made);
    assert_int_equal(run(&p, &b, &t).done, 1);
    for (int i = 0; i < N; i++)
        assert_true(fabsf(result->rgb[i] - made[i]) < 0.51F / 255);
    nst_picture_free(result);
    nst_params_clear(&p);
    unlink("api-photo.ppm");
    unlink("api-result.ppm");
}

static void *stylise_beside(void *made)
{
    stylise(made);
    return NULL;
}

static void runs_at_once_do_not_disturb_each_other(void **state)
{
    enum { RUNS = 4 };
    static float alone[N], made[RUNS][N];
    pthread_t thread[RUNS];

    (void)state;
    stylise(alone);
    for (int i = 0; i < RUNS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, stylise_beside, made[i]), 0);
    for (int i = 0; i < RUNS; i++) {
        pthread_join(thread[i], NULL);
        assert_memory_equal(made[i], alone, sizeof alone);
    }
}

static void a_run_stops_when_asked(void **state)
{
    static float made[N];
    struct nst_batch b = {NULL};
    struct told t = {.stop = true};
    struct nst_params p;

    (void)state;
    init(&p);
    add_photo(&b, "pixels", H, made);
    assert_true(run(&p, &b, &t).stopped);
    assert_true(t.steps > 0 && t.steps < 6);
    nst_params_clear(&p);
}

static void what_fails_is_told_and_counted(void **state)
{
    static float made[N];
    struct nst_batch b = {NULL};
    struct told t = {.steps = 0};
    struct nst_run_counts counts;
    struct nst_params p;
    struct nst_err err;

    (void)state;
    init(&p);
    add_photo(&b, "sliver", 4, made);
    add_photo(&b, "pixels", H, made);
    counts = run(&p, &b, &t);
    assert_int_equal(counts.failed, 1);
    assert_int_equal(counts.done, 1);
    assert_non_null(strstr(t.line, "sliver"));
    nst_params_clear(&p);

    nst_params_init(&p);
    add_photo(memset(&b, 0, sizeof b), "pixels", H, made);
    assert_int_equal(nst_run(&b, &p, &(struct nst_run_events){NULL}, &counts, &err),
                     NST_ERR_ARG);
    assert_non_null(strstr(err.text, "style"));
    nst_batch_clear(&b);
    nst_params_clear(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SAYS("the header is that of the library", the_header_is_that_of_the_library),
        SAYS("pixels become a picture", pixels_become_a_picture),
        SAYS("pixels and files become the same picture",
             pixels_and_files_become_the_same_picture),
        SAYS("runs at once do not disturb each other",
             runs_at_once_do_not_disturb_each_other),
        SAYS("a run stops when asked", a_run_stops_when_asked),
        SAYS("what fails is told and counted", what_fails_is_told_and_counted),
    };
    struct nst_err err;
    int failed;

    if (nst_picture_init("test_api", &err) != NST_OK)
        return 1;
    failed = cmocka_run_group_tests(tests, make_pictures, remove_pictures);
    nst_picture_shutdown();
    return failed;
}
