/* SPDX-License-Identifier: MIT */
/*
 * Trains a small network for some steps and prints the losses of each, for train.py,
 * which does the same with PyTorch from the files that this program leaves in its
 * directory: start.nstnet, and as floats photos.raw, moved.raw and style.raw.
 *
 *   train MODEL STEPS
 */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "backend/backend.h"
#include "model/vgg.h"
#include "net/net.h"
#include "net/net_file.h"
#include "train/random.h"
#include "train/trainer.h"

#define SIZE 64
#define AREA (SIZE * SIZE)
#define PHOTOS 8
#define DOWN 3
#define RIGHT 5
#define DETAIL 0.5
/* The rate rises step by step. Adam's first steps go by the signs of gradients, and
 * some are so small that rounding decides: a high rate would spread that. */
#define RATE 5e-7
#define CONVS 9 /* of the network of the losses */

static void must(enum nst_status st, const struct nst_err *err)
{
    if (st == NST_OK)
        return;
    fprintf(stderr, "%s\n", err->text);
    exit(1);
}

/* Waves in random directions. */
static void draw(float *rgb, uint64_t number)
{
    struct nst_random r = nst_random_stream(1, 2, number);

    for (int c = 0; c < 3; c++) {
        double a = nst_random_between(&r, -0.5, 0.5),
               b = nst_random_between(&r, -0.5, 0.5), f = nst_random_between(&r, 0, 6);

        for (int i = 0; i < AREA; i++)
            rgb[c * AREA + i] =
                (float)(0.5 + 0.3 * sin(a * (i % SIZE) + b * (i / SIZE) + f) +
                        nst_random_between(&r, -0.1, 0.1));
    }
}

/* A picture at half of its side. */
static void reduce(const float *rgb, float *half)
{
    for (int y = 0; y < 3 * SIZE; y += 2)
        for (int x = 0; x < SIZE; x += 2) {
            const float *p = rgb + y * SIZE + x;

            *half++ = (p[0] + p[1] + p[SIZE] + p[SIZE + 1]) / 4;
        }
}

static void write_raw(const char *path, const float *values, size_t n)
{
    FILE *f = fopen(path, "wb");

    if (!f || fwrite(values, sizeof *values, n, f) != n || fclose(f) != 0)
        abort();
}

static void start(struct nst_net_file *file)
{
    struct nst_net_layer layers[NST_NET_MAX_CONVS];
    struct nst_net_shape shape = {8, 2};
    struct nst_err err;
    int count;

    must(nst_net_weights_new(&file->weights, shape, &err), &err);
    count = nst_net_layers(shape, layers, &(size_t){0});
    for (int i = 0; i < count; i++) {
        const struct nst_net_layer *l = &layers[i];
        int side = nst_net_side(l->kind);
        struct nst_random r = nst_random_stream(3, 4, (uint64_t)i);
        double bound =
            (l->kind == NST_NET_TO_PICTURE ? 0.1 : 1) / sqrt(l->cin * side * side);

        for (int k = 0; k < l->cin * l->cout * side * side; k++)
            file->weights.values[l->weight + (size_t)k] =
                (float)nst_random_between(&r, -bound, bound);
        for (int c = 0; c < l->cout; c++)
            file->weights.values[(l->kind == NST_NET_TO_PICTURE ? l->bias : l->scale) +
                                 (size_t)c] = l->kind == NST_NET_TO_PICTURE ? 0.5f : 1;
    }
    must(nst_net_file_save(file, "start.nstnet", false, &err), &err);
}

int main(int argc, char **argv)
{
    static float photos[PHOTOS][3 * AREA], moved[PHOTOS][3 * AREA], style[3 * AREA],
        half[3 * AREA / 4];
    struct nst_trainer_config config = {SIZE, 1, {1, 2, 0.7}, 5};
    struct nst_train_style styles[][1] = {{{.image = {style, SIZE, SIZE}}},
                                          {{.image = {half, SIZE / 2, SIZE / 2}}}};
    struct nst_train_style *const scales[] = {styles[0], styles[1]};
    struct nst_backend_config threads = {.threads = 2};
    struct nst_net_file file = {.text = {NULL}};
    struct nst_backend *be;
    struct nst_weights *w;
    struct nst_vgg *v;
    struct nst_train_scales *loss;
    struct nst_trainer *trainer;
    struct nst_err err;

    if (argc != 3)
        return 2;
    for (uint64_t i = 0; i < PHOTOS; i++) {
        struct nst_random r = nst_random_stream(5, 6, i);

        draw(photos[i], i);
        for (int k = 0; k < 3 * AREA; k++) {
            int row = k % AREA / SIZE, column = k % SIZE;
            int from = k - (row < DOWN ? row : DOWN) * SIZE -
                       (column < RIGHT ? column : RIGHT);

            moved[i][k] = photos[i][from] + (float)(0.02 * nst_random_normal(&r));
        }
    }
    draw(style, 1000);
    reduce(style, half);
    write_raw("photos.raw", photos[0], PHOTOS * 3 * AREA);
    write_raw("moved.raw", moved[0], PHOTOS * 3 * AREA);
    write_raw("style.raw", style, 3 * AREA);
    start(&file);
    must(nst_backend_open(&be, NULL, &threads, &err), &err);
    must(nst_weights_load(&w, argv[1], CONVS, &err), &err);
    must(nst_vgg_new(&v, be, w, NST_POOLING_MAX, NST_PADDING_ZERO, &err), &err);
    must(nst_train_scales_new(&loss, v, scales, 1, SIZE, &config.weights, DETAIL, &err),
         &err);
    must(nst_trainer_new(&trainer, be, loss, &file.weights, &config, &err), &err);
    for (int i = 0; i < atoi(argv[2]); i++) {
        struct nst_train_example e = {photos[i % PHOTOS], moved[i % PHOTOS], DOWN,
                                      RIGHT};
        struct nst_train_step s = nst_trainer_step(trainer, &e, RATE * (i + 1));

        printf("%.9g %.9g %.9g %.9g %.9g %.9g\n", s.losses.content, s.losses.style,
               s.losses.tv, s.stability, s.total, s.gradient_norm);
    }
    nst_trainer_free(trainer);
    nst_train_scales_free(loss);
    nst_vgg_free(v);
    nst_weights_free(w);
    nst_net_file_clear(&file);
    be->ops->close(be);
    return 0;
}
