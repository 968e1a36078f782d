/* SPDX-License-Identifier: MIT */
/*
 * bench - what the engine does in a second, as JSON lines.
 *
 *   bench operators [SIZE]                     each layer's operators by themselves
 *   bench evaluations STACK SIZE [MODEL]       whole evaluations, and the optimiser
 *   bench run STACK SIZE [MODEL]               300 steps, and what comes before them
 *   bench scales STACK [MODEL]                 evaluations at 64 to 512 pixels in turn,
 *                                              with and without padding and moments
 *
 * STACK is tutorial or gatys. $THREADS says how many threads (default: all), $DEVICE
 * cpu (the default) or cuda, $PRECISION which of a GPU's. A machine that throttles
 * makes any time meaningless, so each sample on a CPU lies between two runs of a
 * multiply-add loop, the ceiling, and is dropped if the machine was then a tenth slower
 * than at its best. Rates are effective: those of the direct convolution's arithmetic.
 */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backend/backend.h"
#include "backend/cuda/cuda.h"
#include "base/alloc.h"
#include "base/memory.h"
#include "kernels/nchw16c.h"
#include "model/paths.h"
#include "model/vgg.h"
#include "optim/lbfgs.h"
#include "optim/vector.h"
#include "style/objective.h"

#define SAMPLES 15
#define PAIRS 20
#define STEPS 300
#define ROUNDS_OF_SCALES 25

static struct nst_backend *be;
static struct nst_err err;

static void must(enum nst_status st)
{
    if (st == NST_OK)
        return;
    fprintf(stderr, "bench: %s\n", err.text);
    exit(1);
}

static double seconds_of(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double now(void)
{
    return seconds_of(CLOCK_MONOTONIC);
}

/* CPU time of all threads. */
static double cpu_now(void)
{
    return seconds_of(CLOCK_PROCESS_CPUTIME_ID);
}

#define ROUNDS 2000000
#define CHAINS 12 /* independent sums: more than it takes to fill two pipelines */

#define FMA_LOOP(name, floats, attribute)                                              \
    attribute static void name(void *ctx, int item, int thread)                        \
    {                                                                                  \
        typedef float vec __attribute__((vector_size(4 * floats)));                    \
        vec sum[CHAINS], x = (vec){0} + 0.999f, y = (vec){0} + 1e-3f;                  \
                                                                                       \
        (void)item, (void)thread;                                                      \
        for (int i = 0; i < CHAINS; i++)                                               \
            sum[i] = y * (float)i;                                                     \
        for (int k = 0; k < ROUNDS; k++)                                               \
            _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) sum[i] =         \
                sum[i] * x + y;                                                        \
        for (int i = 1; i < CHAINS; i++)                                               \
            sum[0] += sum[i];                                                          \
        ((volatile float *)ctx)[0] = sum[0][0];                                        \
    }

#ifdef __x86_64__
FMA_LOOP(fma_16, 16, __attribute__((target("avx512f"))))
FMA_LOOP(fma_8, 8, __attribute__((target("avx2,fma"))))
#endif
FMA_LOOP(fma_4, 4, )

/* GFLOP/s of multiply-adds in registers, on all threads. */
static double ceiling(void)
{
    const char *set = nst_nchw16c_choose()->name;
    int threads = nst_threads_count(be->threads), floats = 4;
    nst_work_fn *loop = fma_4;
    volatile float sink;
    double begin;

#ifdef __x86_64__
    if (strcmp(set, "avx512") == 0)
        loop = fma_16, floats = 16;
    if (strcmp(set, "avx2") == 0)
        loop = fma_8, floats = 8;
#endif
    (void)set;
    if (be->device_memory) /* a GPU: the processors' speed says nothing of it */
        return 1;
    begin = now();
    nst_threads_run(be->threads, threads, loop, (void *)&sink);
    return 2e-9 * ROUNDS * CHAINS * floats * threads / (now() - begin);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Seconds of some calls of work, without those when the machine was slow. */
struct times {
    int count, dropped;
    double best, median, ceiling;
};

static struct times measure(void (*work)(void *), void *ctx)
{
    double seconds[SAMPLES], around[SAMPLES], before;
    struct times t = {0};

    work(ctx);
    before = ceiling();
    for (int i = 0; i < SAMPLES; i++) {
        double begin = now(), after;

        work(ctx);
        seconds[i] = now() - begin;
        after = ceiling();
        around[i] = before < after ? before : after;
        t.ceiling = fmax(t.ceiling, fmax(before, after));
        before = after;
    }
    for (int i = 0; i < SAMPLES; i++)
        if (around[i] >= 0.9 * t.ceiling)
            seconds[t.count++] = seconds[i];
        else
            t.dropped++;
    if (!t.count) /* nothing but slow ones: say what there is */
        t.count = SAMPLES;
    qsort(seconds, (size_t)t.count, sizeof *seconds, ascending);
    t.best = seconds[0];
    t.median = seconds[t.count / 2];
    return t;
}

/* One layer's tensors and weights. */
struct layer {
    struct nst_conv *conv;
    struct nst_tensor *x, *y;
    struct nst_buffer *picture, *sums;
    bool first;
};

/* Wait for a device. */
static void finish(void)
{
    be->ops->buffer_download(be, NULL, NULL, 0);
}

/* Numbers that hold n floats of the host. */
static struct nst_buffer *buffer(const float *host, size_t n)
{
    struct nst_buffer *there;

    must(be->ops->buffer_alloc(be, &there, n * sizeof *host, &err));
    be->ops->buffer_upload(be, there, host, n * sizeof *host);
    return there;
}

static void forward(void *ctx)
{
    struct layer *l = ctx;

    if (l->first)
        be->ops->first_conv(be, l->conv, l->picture, l->y, true);
    else
        be->ops->conv(be, l->conv, l->x, false, l->y, true, NST_POOLING_MAX, NULL);
    finish();
}

static void backward(void *ctx)
{
    struct layer *l = ctx;
    struct nst_backward_step joint = {.y = l->x};

    if (l->first)
        be->ops->first_conv_grad(be, l->conv, l->y, l->picture);
    else
        be->ops->conv_grad(be, l->conv, l->y, &joint);
    finish();
}

static void gram(void *ctx)
{
    struct layer *l = ctx;

    be->ops->layer_sums(be, l->y, false, nst_window_full(l->y->shape), NULL, false,
                        (struct nst_layer_sums){l->sums, NULL});
    finish();
}

/* Whose arithmetic it is: the processors' instruction set, or "cuda". */
static const char *instructions(void)
{
    return be->device_memory ? be->ops->name : nst_nchw16c_choose()->name;
}

static void say(const char *operator, const struct nst_tensor * y, int cin, double flop,
                void (*work)(void *), struct layer *l)
{
    struct times t = measure(work, l);
    double rate = 1e-9 * flop / t.median;

    printf("{\"operator\":\"%s\",\"channels\":[%d,%d],\"size\":%d,\"set\":\"%s\","
           "\"precision\":\"%s\",\"ms\":%.3f,\"gflops\":%.0f,\"percent_of_ceiling\":%."
           "0f,\"ceiling\":%.0f,"
           "\"threads\":%d}\n",
           operator, cin, y->shape.c, y->shape.h, instructions(),
           nst_precision_name(be->config.precision), 1e3 * t.median, rate,
           100 * rate / t.ceiling, t.ceiling, nst_threads_count(be->threads));
    fflush(stdout);
}

static void bench_layer(int cin, int cout, int size)
{
    static const struct nst_normalisation same = {{0, 0, 0}, {1, 1, 1}};
    struct nst_shape in = {cin, size, size}, out = {cout, size, size};
    struct layer l = {.first = cin == 3};
    double flop = 18.0 * cin * cout * size * size;
    float *weight, *bias, *values;

    must(nst_floats_new(&weight, (size_t)cin, (size_t)cout, 9, &err));
    must(nst_floats_new(&bias, (size_t)cout, 1, 1, &err));
    must(nst_floats_new(&values, (size_t)cin, (size_t)size, (size_t)size, &err));
    for (size_t i = 0; i < (size_t)cin * (size_t)cout * 9; i++)
        weight[i] = (float)(i * 2654435761u >> 8 & 255) / 128 - 1;
    for (size_t i = 0; i < nst_shape_count(in); i++)
        values[i] = (float)(i * 2654435761u >> 9 & 255) / 128 - 1;
    must(be->ops->conv_new(be, &l.conv,
                           &(struct nst_filters){weight, bias, cin, cout,
                                                 NST_PADDING_ZERO,
                                                 l.first ? &same : NULL},
                           &err));
    must(nst_backend_conv_prepare(be, l.conv, size, size, &err));
    must(be->ops->tensor_new(be, &l.x, in, &err));
    must(be->ops->tensor_new(be, &l.y, out, &err));
    be->ops->tensor_upload(be, values, l.x);
    l.picture = buffer(values, nst_shape_count(in));
    must(be->ops->buffer_alloc(be, &l.sums,
                               (size_t)cout * (size_t)cout * sizeof(double), &err));
    say("conv", l.y, cin, flop, forward, &l);
    say("conv_grad", l.y, cin, flop, backward, &l);
    say("gram", l.y, cin, (double)cout * cout * size * size, gram, &l);
    be->ops->conv_free(be, l.conv);
    be->ops->tensor_free(be, l.x);
    be->ops->tensor_free(be, l.y);
    be->ops->buffer_free(be, l.picture);
    be->ops->buffer_free(be, l.sums);
    free(values);
    free(weight);
    free(bias);
}

static void bench_operators(int size)
{
    static const int layer[][3] = {{3, 64, 1},    {64, 64, 1},   {64, 128, 2},
                                   {128, 128, 2}, {128, 256, 4}, {256, 256, 4},
                                   {256, 512, 8}, {512, 512, 8}, {512, 512, 16}};

    for (size_t i = 0; i < sizeof layer / sizeof *layer; i++)
        bench_layer(layer[i][0], layer[i][1], size / layer[i][2]);
}

struct evaluation {
    struct nst_objective *o;
    size_t n;
    struct nst_buffer *x, *grad;
    float *photograph;
    double seconds; /* spent in evaluations */
    int count;
};

static void evaluate(void *ctx)
{
    struct evaluation *e = ctx;
    struct nst_losses losses;

    nst_objective_evaluate(e->o, e->x, &losses, e->grad);
}

static bool function(void *ctx, const struct nst_buffer *x, const struct nst_buffer *d,
                     double *f, struct nst_buffer *g, struct nst_measures *m)
{
    struct evaluation *e = ctx;
    struct nst_losses losses;
    double begin = now();

    nst_objective_evaluate(e->o, x, &losses, g);
    e->seconds += now() - begin;
    e->count++;
    *f = losses.total;
    *m = be->ops->vectors->measure(be, e->n, g, d);
    return true;
}

/* Seconds that L-BFGS takes between evaluations once it has all its pairs. */
static double optimiser(struct evaluation *e, size_t n)
{
    struct nst_lbfgs *l;
    double begin = 0;

    must(nst_lbfgs_new(&l, n, PAIRS, (struct nst_box){0, 1}, be, &err));
    for (int i = 0; i < PAIRS + 12; i++) {
        if (i == PAIRS + 2) {
            begin = now();
            e->seconds = 0;
            e->count = 0;
        }
        nst_lbfgs_step(l, function, e, e->x);
    }
    begin = (now() - begin - e->seconds) / e->count;
    nst_lbfgs_free(l);
    return begin;
}

static struct nst_vgg *network(const char *model, int convs, enum nst_padding padding)
{
    struct nst_weights *w;
    struct nst_vgg *v;
    char *path;

    must(nst_find_model(&path, model, &err));
    must(nst_weights_load(&w, path, convs, &err));
    must(nst_vgg_new(&v, be, w, NST_POOLING_MAX, padding, &err));
    nst_weights_free(w);
    free(path);
    return v;
}

/* Evaluations of a smooth picture of size x size in the style of a rough one. */
static void begin(struct evaluation *e, struct nst_vgg *v, bool gatys, int size,
                  double moments)
{
    struct nst_layers content, style;
    struct nst_objective_config config = {.content_layers = &content,
                                          .style_layers = &style,
                                          .content_weight = 1,
                                          .style_weight = 7000,
                                          .moment_weight = moments,
                                          .strength = 1};
    size_t n = 3 * (size_t)size * (size_t)size;
    struct nst_vector_space vectors = {be, n};
    float *painting;

    *e = (struct evaluation){.n = n};
    must(nst_layers_parse(&content, gatys ? "relu4_2" : "conv_4", &err));
    must(nst_layers_parse(&style,
                          gatys ? "relu1_1,relu2_1,relu3_1,relu4_1,relu5_1"
                                : "conv_1,conv_2,conv_3,conv_4,conv_5",
                          &err));
    must(nst_vector_new(&vectors, &e->x, &err));
    must(nst_vector_new(&vectors, &e->grad, &err));
    must(nst_floats_new(&e->photograph, n, 1, 1, &err));
    must(nst_floats_new(&painting, n, 1, 1, &err));
    for (size_t i = 0; i < n; i++) {
        e->photograph[i] = 0.5f + 0.4f * (float)sin((double)i * 0.013);
        painting[i] = (float)(i * 2654435761u >> 8 & 255) / 255;
    }
    be->ops->buffer_upload(be, e->x, e->photograph, n * sizeof *e->photograph);
    must(nst_objective_new(
        &e->o, v, &config, (struct nst_image){e->photograph, size, size},
        &(struct nst_style){
            &(struct nst_style_image){{painting, size, size}, .weight = 1}, 1},
        &err));
    free(painting);
}

static void end(struct evaluation *e)
{
    struct nst_vector_space vectors = {be, e->n};

    nst_objective_free(e->o);
    nst_vector_free(&vectors, e->x);
    nst_vector_free(&vectors, e->grad);
    free(e->photograph);
}

/* Bytes that are free on the GPU; 0: there is none. */
static size_t device_free(void)
{
    struct nst_cuda_device d = {.free_memory = 0};

    if (be->device_memory)
        must(nst_cuda_device(be->config.device, &d, &err));
    return d.free_memory;
}

static void bench_evaluations(const char *stack, int size, const char *model)
{
    bool gatys = strcmp(stack, "gatys") == 0;
    size_t before = device_free(), peak;
    struct nst_vgg *v = network(model, gatys ? 13 : 5, NST_PADDING_ZERO);
    struct evaluation e;
    struct times t;
    double between;

    begin(&e, v, gatys, size, 0);
    t = measure(evaluate, &e);
    peak = nst_memory_peak();
    before -= device_free();
    between = optimiser(&e, e.n);
    printf("{\"engine\":\"nst\",\"stack\":\"%s\",\"size\":%d,\"set\":\"%s\","
           "\"precision\":\"%s\","
           "\"threads\":%d,\"ms_per_evaluation\":%.3f,\"ms_min\":%.3f,"
           "\"optimiser_ms\":%.3f,\"peak_rss_mib\":%zu,\"device_mib\":%zu,"
           "\"ceiling\":%.0f,\"dropped\":%d}\n",
           stack, size, instructions(), nst_precision_name(be->config.precision),
           nst_threads_count(be->threads), 1e3 * t.median, 1e3 * t.best, 1e3 * between,
           peak >> 20, before >> 20, t.ceiling, t.dropped);
    end(&e);
    nst_vgg_free(v);
}

/* Steps of a run with all its pairs; started: when the program was. */
static void bench_run(const char *stack, int size, const char *model, double started)
{
    bool gatys = strcmp(stack, "gatys") == 0;
    struct nst_vgg *v = network(model, gatys ? 13 : 5, NST_PADDING_ZERO);
    double ready = now(), begun, done;
    struct evaluation e;
    struct nst_lbfgs *l;
    int steps = 0;

    begin(&e, v, gatys, size, 0);
    must(nst_lbfgs_new(&l, e.n, PAIRS, (struct nst_box){0, 1}, be, &err));
    nst_lbfgs_step(l, function, &e, e.x);
    begun = now();
    e.count = 0;
    while (steps < STEPS &&
           nst_lbfgs_step(l, function, &e, e.x).status == NST_STEP_TAKEN)
        steps++;
    done = now();
    printf("{\"engine\":\"nst\",\"run\":\"%s\",\"size\":%d,\"precision\":\"%s\","
           "\"start_ms\":%.0f,\"targets_ms\":%.0f,\"steps\":%d,\"evaluations\":%d,"
           "\"seconds\":%.3f}\n",
           stack, size, nst_precision_name(be->config.precision),
           1e3 * (ready - started), 1e3 * (begun - ready), steps, e.count,
           done - begun);
    nst_lbfgs_free(l);
    end(&e);
    nst_vgg_free(v);
}

/* One kind of evaluation at one size. */
struct scale {
    int size;
    enum nst_padding padding;
    double moments;
    struct evaluation e;
    double seconds[ROUNDS_OF_SCALES], cpu[ROUNDS_OF_SCALES];
};

static double median_of(const double *sorted)
{
    return sorted[ROUNDS_OF_SCALES / 2];
}

static void bench_scales(const char *stack, const char *model)
{
    static const int sizes[] = {64, 128, 256, 512};
    static struct scale scale[4 * 4];
    bool gatys = strcmp(stack, "gatys") == 0;
    struct nst_vgg *v[2] = {network(model, gatys ? 13 : 5, NST_PADDING_ZERO),
                            network(model, gatys ? 13 : 5, NST_PADDING_REFLECT)};
    const struct scale *reference = &scale[8]; /* 256, zeros, no moments */

    for (int i = 0; i < 16; i++) {
        struct scale *s = &scale[i];

        s->size = sizes[i / 4];
        s->padding = i / 2 % 2 ? NST_PADDING_REFLECT : NST_PADDING_ZERO;
        s->moments = i % 2;
        begin(&s->e, v[i / 2 % 2], gatys, s->size, s->moments);
        evaluate(&s->e);
    }
    for (int round = 0; round < ROUNDS_OF_SCALES; round++)
        for (int i = 0; i < 16; i++) {
            struct scale *s = &scale[i];
            int calls = 512 / s->size; /* so that each takes a few milliseconds */
            double began, cpu;

            evaluate(&s->e);
            began = now();
            cpu = cpu_now();
            for (int k = 0; k < calls; k++)
                evaluate(&s->e);
            s->cpu[round] = (cpu_now() - cpu) / calls;
            s->seconds[round] = (now() - began) / calls;
        }
    for (int i = 0; i < 16; i++) {
        qsort(scale[i].seconds, ROUNDS_OF_SCALES, sizeof(double), ascending);
        qsort(scale[i].cpu, ROUNDS_OF_SCALES, sizeof(double), ascending);
    }
    for (int i = 0; i < 16; i++) {
        const struct scale *s = &scale[i];
        double median = median_of(s->seconds), cpu = median_of(s->cpu);
        double plain = median_of(scale[i / 4 * 4].cpu);

        printf("{\"scale\":%d,\"stack\":\"%s\",\"padding\":\"%s\",\"moments\":%s,"
               "\"set\":\"%s\",\"threads\":%d,\"ms\":%.3f,\"ms_min\":%.3f,"
               "\"of_256\":%.3f,\"cpu_ms\":%.3f,\"cpu_ms_min\":%.3f,"
               "\"cpu_of_plain\":%.3f,\"cpu_of_256\":%.3f,\"cpu_min_of_256\":%.3f}\n",
               s->size, stack, s->padding ? "reflect" : "zero",
               s->moments > 0 ? "true" : "false", instructions(),
               nst_threads_count(be->threads), 1e3 * median, 1e3 * s->seconds[0],
               median / median_of(reference->seconds), 1e3 * cpu, 1e3 * s->cpu[0],
               cpu / plain, cpu / median_of(reference->cpu),
               s->cpu[0] / reference->cpu[0]);
        end(&scale[i].e);
    }
    nst_vgg_free(v[0]);
    nst_vgg_free(v[1]);
}

static enum nst_precision precision(void)
{
    const char *name = getenv("PRECISION");
    enum nst_precision p = NST_PRECISION_AUTO;

    while (name && strcmp(name, nst_precision_name(p)) != 0)
        if (p++ == NST_PRECISION_FP16) {
            fprintf(stderr, "bench: precision %s: auto, fp32, tf32 or fp16\n", name);
            exit(2);
        }
    return p;
}

int main(int argc, char **argv)
{
    const char *threads = getenv("THREADS"), *device = getenv("DEVICE");
    struct nst_backend_config config = {.threads = threads ? atoi(threads) : 0,
                                        .precision = precision()};
    double started = now();

    must(nst_backend_open(&be, device ? device : "cpu", &config, &err));
    if (argc >= 2 && strcmp(argv[1], "operators") == 0)
        bench_operators(argc > 2 ? atoi(argv[2]) : 256);
    else if (argc >= 4 && strcmp(argv[1], "evaluations") == 0)
        bench_evaluations(argv[2], atoi(argv[3]), argc > 4 ? argv[4] : NULL);
    else if (argc >= 4 && strcmp(argv[1], "run") == 0)
        bench_run(argv[2], atoi(argv[3]), argc > 4 ? argv[4] : NULL, started);
    else if (argc >= 3 && strcmp(argv[1], "scales") == 0)
        bench_scales(argv[2], argc > 3 ? argv[3] : NULL);
    else {
        fputs("usage: bench operators [SIZE] | evaluations|run STACK SIZE [MODEL] | "
              "scales STACK [MODEL]\n",
              stderr);
        return 2;
    }
    be->ops->close(be);
    return 0;
}
