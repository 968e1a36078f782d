/* SPDX-License-Identifier: MIT */
/*
 * example.c - libnst in your own program: stylises one picture and prints its SSIM to
 * the photograph. Ctrl-C saves the current image.
 *
 *   cc -o example example.c $(pkg-config --cflags --libs nst)
 *   ./example photo.jpg van-gogh result.png
 */
#include <nst.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

static bool stop(void *ctx)
{
    (void)ctx;
    return interrupted;
}

static void on_message(void *ctx, const char *line)
{
    (void)ctx;
    fprintf(stderr, "example: %s\n", line);
}

static void *picture_started(void *ctx, const struct nst_batch_item *item,
                             int64_t planned)
{
    (void)planned;
    printf("%s\n", item->content);
    return ctx; /* passed to stepped() */
}

static void stepped(void *picture, const struct nst_evaluation *e, int64_t done,
                    int64_t planned)
{
    (void)picture;
    if (done % 10 == 0 || done == planned)
        printf("%lld of %lld, loss %.4g\n", (long long)done, (long long)planned,
               e->total_loss);
}

/* nst_params_set() takes every option of nst(1) by its name. */
static enum nst_status choose(struct nst_params *p, const char *style,
                              const char *result, struct nst_err *err)
{
    enum nst_status st = nst_params_set(p, "style", style, err);

    if (st == NST_OK)
        st = nst_params_set(p, "output", result, err);
    if (st == NST_OK)
        st = nst_params_set(p, "size", "256", err);
    if (st == NST_OK)
        st = nst_params_set(p, "iterations", "40", err);
    return st;
}

static enum nst_status stylise(const struct nst_params *p, const char *content,
                               struct nst_err *err)
{
    const struct nst_run_events events = {.stop = stop,
                                          .message = on_message,
                                          .picture_started = picture_started,
                                          .stepped = stepped};
    struct nst_batch batch = {NULL};
    struct nst_run_counts made = {0};
    enum nst_status st = nst_batch_add(&batch, content, false, err);

    if (st == NST_OK)
        st = nst_batch_name_outputs(&batch, p, err);
    if (st == NST_OK)
        st = nst_run(&batch, p, &events, &made, err);
    nst_batch_clear(&batch);
    if (st == NST_OK && made.failed) /* on_message() got the reason */
        st = nst_err_set(err, NST_ERR_IO, "%s: not made", content);
    return st;
}

static enum nst_status compare(const char *content, const char *result,
                               struct nst_err *err)
{
    const struct nst_picture_size native = {.max_pixels = 100000000};
    struct nst_picture *a = NULL, *b = NULL;
    float *resized = NULL;
    double ssim;
    enum nst_status st = nst_picture_load(&a, content, &native, err);

    if (st == NST_OK)
        st = nst_picture_load(&b, result, &native, err);
    if (st == NST_OK)
        st =
            nst_pixels_resize(&resized, nst_picture_image(a), b->height, b->width, err);
    if (st == NST_OK)
        st = nst_ssim(&ssim, (struct nst_image){resized, b->height, b->width},
                      nst_picture_image(b), err);
    if (st == NST_OK)
        printf("SSIM to the photograph: %.3f\n", ssim);
    free(resized);
    nst_picture_free(a);
    nst_picture_free(b);
    return st;
}

int main(int argc, char **argv)
{
    struct nst_params params;
    struct nst_err err;
    enum nst_status st;

    if (argc != 4) {
        fputs("usage: example CONTENT STYLE RESULT\n", stderr);
        return 2;
    }
    signal(SIGINT, on_interrupt);
    nst_params_init(&params);
    st = nst_picture_init(argv[0], &err);
    if (st == NST_OK)
        st = choose(&params, argv[2], argv[3], &err);
    if (st == NST_OK)
        st = stylise(&params, argv[1], &err);
    if (st == NST_OK)
        st = compare(argv[1], argv[3], &err);
    if (st != NST_OK)
        fprintf(stderr, "example: %s\n", err.text);
    nst_params_clear(&params);
    nst_picture_shutdown();
    return st == NST_OK ? 0 : 1;
}
