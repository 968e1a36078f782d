/* SPDX-License-Identifier: MIT */
/*
 * The whole objective on a GPU, in each precision, against the CPU in fp32: its losses,
 * and the relative distance (L2) of its gradients. Runs untiled and tiled, with
 * regions, and with weights so large and so small that fp16 needs another loss scale.
 *
 * A value within rounding of 0 at a ReLU, or of another value under max pooling,
 * reroutes a gradient: the fewer bits, the more often. So the median over images
 * counts. For a small network it must be within 10 %, which a wrong factor or a missed
 * mask exceeds. The documented accuracy is that of VGG19, whose weights
 * $NST_TEST_WEIGHTS may name.
 */
#include "config.h"

#include <math.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/cuda/cuda.h"
#include "model/vgg.h"
#include "run/job.h"
#include "run/plan.h"
#include "network.h"
#include "style/objective.h"

#ifdef HAVE_CUDA

#define H 43
#define W 38
#define N (3 * H * W)
#define MAX_PICTURES 5 /* 1 with $NST_TEST_QUICK */

static unsigned seed;

/* A test case: a network, and the way it runs. */
struct task {
    const char *name;
    const struct nst_weights *weights;
    enum nst_pooling pooling;
    enum nst_precision precision;
    double bound;
    int regions;
    double scale; /* factor of the weights of losses */
    int tile;
    bool shapes; /* images of shapes and default layers; else noise and many layers */
};

static struct nst_objective *objective(const struct task *t, struct nst_vgg *v,
                                       const float *content, const float *style,
                                       int tile)
{
    static float plane[2][N / 3];
    static struct nst_layers ct, st;
    double scale = t->scale;
    int regions = t->regions;
    struct nst_objective_config config = {&ct,
                                          &st,
                                          scale,
                                          (t->shapes ? 7000 : 50) * scale,
                                          t->shapes ? 0 : 5 * scale,
                                          0,
                                          0.75,
                                          tile,
                                          false};
    struct nst_style_image paintings[] = {
        {.image = {style, 30, 28}, .weight = 1},
        {.image = {style, 28, 30}, .region = regions - 1, .weight = 2}};
    struct nst_style both = {paintings, 2, regions > 1 ? regions : 0,
                             (const float *const[]){plane[0], plane[1]}};
    struct nst_objective *o;

    for (int i = 0; i < N / 3; i++) {
        plane[0][i] = i % W < 20 ? 0 : 0.8f;
        plane[1][i] = 1 - plane[0][i];
    }
    nst_layers_parse(&ct, t->shapes ? "conv_4" : "conv_4:2,relu2_1", NULL);
    nst_layers_parse(&st,
                     t->shapes ? "conv_1,conv_2,conv_3,conv_4,conv_5"
                               : "conv_1,relu1_2,conv_4,relu2_2:3,conv_6",
                     NULL);
    if (nst_objective_new(&o, v, &config, (struct nst_image){content, H, W}, &both,
                          NULL))
        abort();
    return o;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* |a - b| / |b| */
static double distance(const float *a, const float *b)
{
    double off = 0, norm = 0;

    for (int i = 0; i < N; i++) {
        off += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        norm += (double)b[i] * b[i];
    }
    return sqrt(off / norm);
}

struct engine {
    struct nst_backend *be;
    struct nst_vgg *v;
};

static struct engine engine(const struct task *t, const struct nst_backend_ops *ops,
                            enum nst_precision precision)
{
    struct nst_backend_config config = {.threads = 2, .precision = precision};
    struct engine e;

    if (ops->open(&e.be, &config, NULL) ||
        nst_vgg_new(&e.v, e.be, t->weights, t->pooling,
                    t->pooling == NST_POOLING_MAX ? NST_PADDING_REFLECT
                                                  : NST_PADDING_REPLICATE,
                    NULL))
        abort();
    return e;
}

static void end(struct engine e)
{
    nst_vgg_free(e.v);
    e.be->ops->close(e.be);
}

/* Noise, or waves and edges of several sizes. */
static void draw(const struct task *t, float *rgb, int h, int w)
{
    random_picture(rgb, (size_t)(3 * h * w), &seed);
    for (int k = 0; t->shapes && k < 3; k++) {
        float a = tap_random(&seed), b = tap_random(&seed), c = 3 * tap_random(&seed);

        for (int i = 0; i < h * w; i++) {
            float x = (float)(i % w), y = (float)(i / w), *v = &rgb[k * h * w + i];
            float wave = sinf(a * x + b * y + c) + sinf(0.2f * b * x - 0.1f * y);

            *v = 0.45f + 0.2f * wave + 0.06f * *v + (x * a + y > 20 ? 0.1f : 0);
        }
    }
}

/* The losses and the gradient of an image, both on the host, after the last of several
 * evaluations. The second one captures a graph, which the third replays. */
static struct nst_losses evaluate(struct nst_objective *o, struct nst_backend *be,
                                  const float *x, float *grad, int times)
{
    const struct nst_buffer *there;
    struct nst_buffer *gradient;
    struct nst_losses l = {0};

    if (nst_backend_to_device(be, x, N, &there, NULL) != NST_OK ||
        be->ops->buffer_alloc(be, &gradient, N * sizeof *grad, NULL) != NST_OK)
        abort();
    for (int i = 0; i < times; i++)
        nst_objective_evaluate(o, there, &l, gradient);
    be->ops->buffer_download(be, grad, gradient, N * sizeof *grad);
    be->ops->buffer_free(be, gradient);
    nst_backend_release(be, there);
    return l;
}

static void check(const struct task *t)
{
    static float content[N], style[3 * 30 * 28], x[N], want[N], got[N];
    struct engine cpu = engine(t, &nst_backend_cpu, NST_PRECISION_FP32);
    struct engine gpu = engine(t, &nst_backend_cuda, t->precision);
    double gradient[MAX_PICTURES], loss[MAX_PICTURES];
    int pictures = getenv("NST_TEST_QUICK") ? 1 : MAX_PICTURES;

    for (int p = 0; p < pictures; p++) {
        struct nst_objective *o[2];
        struct nst_losses l[2];

        draw(t, content, H, W);
        draw(t, style, 30, 28);
        draw(t, x, H, W);
        o[0] = objective(t, cpu.v, content, style, 0);
        o[1] = objective(t, gpu.v, content, style, t->tile);
        l[0] = evaluate(o[0], cpu.be, x, want, 3);
        l[1] = evaluate(o[1], gpu.be, x, got, 3);
        gradient[p] = distance(got, want);
        loss[p] = fabs(l[1].total / l[0].total - 1);
        nst_objective_free(o[0]);
        nst_objective_free(o[1]);
    }
    qsort(gradient, (size_t)pictures, sizeof *gradient, ascending);
    qsort(loss, (size_t)pictures, sizeof *loss, ascending);
    tap(gradient[pictures / 2] <= t->bound && loss[pictures - 1] <= t->bound &&
            gpu.be->error.status == NST_OK,
        "%s, %s, %s pooling, regions %d, tile %d, weights %.0e: gradient off by %.1e "
        "(%.1e), loss by %.1e%s",
        nst_precision_name(t->precision), t->name,
        t->pooling == NST_POOLING_MAX ? "max" : "average", t->regions, t->tile,
        t->scale, gradient[pictures / 2], gradient[pictures - 1], loss[pictures - 1],
        gpu.be->error.text);
    end(cpu);
    end(gpu);
}

/* defined by tests/fakecuda; NULL on a GPU */
__attribute__((weak)) long fake_cuda_mallocs(void);

/* All memory of an evaluation is allocated before the first one. */
static void check_allocations(const struct nst_weights *w)
{
    static float content[N], style[3 * 30 * 28];
    struct task t = {.weights = w, .regions = 2, .scale = 1, .tile = 16};
    struct engine gpu = engine(&t, &nst_backend_cuda, NST_PRECISION_FP16);
    struct nst_objective *o;
    struct nst_losses l;
    struct nst_buffer *x, *grad;
    long before;

    draw(&t, content, H, W);
    draw(&t, style, 30, 28);
    o = objective(&t, gpu.v, content, style, t.tile);
    if (gpu.be->ops->buffer_alloc(gpu.be, &x, sizeof content, NULL) != NST_OK ||
        gpu.be->ops->buffer_alloc(gpu.be, &grad, sizeof content, NULL) != NST_OK)
        abort();
    gpu.be->ops->buffer_upload(gpu.be, x, content, sizeof content);
    before = fake_cuda_mallocs ? fake_cuda_mallocs() : 0;
    nst_objective_evaluate(o, x, &l, grad);
    if (fake_cuda_mallocs)
        tap(fake_cuda_mallocs() == before && before > 0,
            "an evaluation allocates nothing on the device (%ld before it)", before);
    else
        tap(1, "allocations on the device # SKIP they are counted by tests/fakecuda");
    gpu.be->ops->buffer_free(gpu.be, x);
    gpu.be->ops->buffer_free(gpu.be, grad);
    nst_objective_free(o);
    end(gpu);
}

/* An fp16 gradient does not depend on how much smaller the previous one was. */
static void check_loss_scale(enum nst_pooling pooling)
{
    static float content[N], style[3 * 30 * 28], x[N], small[N], large[N];
    struct nst_weights *w;
    struct task t = {.scale = 1, .regions = 1, .shapes = true, .pooling = pooling};
    struct engine gpu;
    struct nst_objective *o;
    float step = getenv("NST_TEST_QUICK") ? 1.7f : 1.3f;
    double worst = 0;

    if (nst_weights_load(&w, MODEL, 5, NULL) != NST_OK)
        abort();
    t.weights = w;
    gpu = engine(&t, &nst_backend_cuda, NST_PRECISION_FP16);
    draw(&t, content, H, W);
    draw(&t, style, 30, 28);
    draw(&t, x, H, W);
    o = objective(&t, gpu.v, content, style, 0);
    for (float by = 4; by < 300; by *= step) {
        nst_objective_set_weights(o, 1, 0);
        evaluate(o, gpu.be, x, small, 3);
        nst_objective_set_weights(o, (double)by, 0);
        evaluate(o, gpu.be, x, large, 1);
        for (int i = 0; i < N; i++)
            small[i] *= by;
        worst = fmax(worst, distance(large, small));
    }
    tap(worst < 0.01, "fp16, %s pooling: a gradient follows its weight, off by %.1e",
        pooling == NST_POOLING_MAX ? "max" : "average", worst);
    nst_objective_free(o);
    end(gpu);
    nst_weights_free(w);
}

/* A captured graph is invalid after a larger image reallocated the scratch: its replay
 * would write to freed memory, which ends the test here. */
static void check_larger_picture(const struct nst_weights *w)
{
    enum { LARGE = 2 * H * 2 * W };
    static float content[3 * LARGE], style[3 * 30 * 28], grad[2][N];
    struct task t = {.weights = w, .regions = 1, .scale = 1};
    struct engine gpu = engine(&t, &nst_backend_cuda, NST_PRECISION_FP32);
    struct nst_losses a, b;
    struct nst_objective *o;
    struct nst_activations *larger;

    draw(&t, content, 2 * H, 2 * W);
    draw(&t, style, 30, 28);
    o = objective(&t, gpu.v, content, style, 0);
    a = evaluate(o, gpu.be, content, grad[0], 3);
    if (nst_activations_new(&larger, gpu.v, 2 * H, 2 * W,
                            (const bool[NST_VGG_CONVS]){false}, NULL))
        abort();
    b = evaluate(o, gpu.be, content, grad[1], 1);
    tap(a.total == b.total && memcmp(grad[0], grad[1], sizeof grad[0]) == 0,
        "an evaluation is the same after a larger picture had its tensors made");
    nst_activations_free(larger);
    nst_objective_free(o);
    end(gpu);
}

/* Cause a device error: copy between addresses that are no device buffers. */
static void break_device(struct nst_backend *be)
{
    static float host[2];

    be->ops->buffer_copy(be, (struct nst_buffer *)&host[0],
                         (const struct nst_buffer *)&host[1], sizeof *host);
}

struct failing {
    struct nst_backend *be;
    int steps, saved; /* saved: after the device error */
};

static void on_step(void *ctx, const struct nst_evaluation *e, int64_t done,
                    int64_t planned)
{
    struct failing *f = ctx;

    (void)e, (void)done, (void)planned;
    if (++f->steps == 2)
        break_device(f->be);
}

static void on_save(void *ctx, struct nst_job *job)
{
    struct failing *f = ctx;

    (void)job;
    f->saved += f->steps >= 2;
}

static void set(struct nst_params *p, const char *name, const char *value)
{
    if (nst_params_set(p, name, value, NULL) != NST_OK)
        abort();
}

/* A device error in the middle of a run. */
static void check_device_error(void)
{
    enum { SIDE = 24 };
    static float rgb[3 * SIDE * SIDE], x[3 * SIDE * SIDE];
    struct nst_style style = {&(struct nst_style_image){{rgb, SIDE, SIDE}, .weight = 1},
                              1};
    struct failing f = {NULL};
    struct nst_run_events events = {.stepped = on_step};
    struct nst_reporter reporter = {.events = &events, .progress = &f};
    struct nst_job_result result;
    struct nst_params p;
    struct nst_session *s;
    struct nst_plan plan;
    struct nst_job *job, *next;
    struct nst_err err;
    enum nst_status st;

    if (!fake_cuda_mallocs) {
        tap(1, "a device that gives up # SKIP tests/fakecuda does so when it is asked");
        return;
    }
    nst_params_init(&p);
    set(&p, "model", MODEL);
    set(&p, "device", "cuda");
    set(&p, "iterations", "5");
    set(&p, "save-every", "1");
    random_picture(rgb, 3 * SIDE * SIDE, &seed);
    random_picture(x, 3 * SIDE * SIDE, &seed);
    if (nst_session_new(&s, &p, NULL) ||
        nst_plan_make(&plan, s, &p, (struct nst_baseline){0},
                      (struct nst_size){SIDE, SIDE}, (struct nst_size){SIDE, SIDE},
                      NULL) ||
        nst_job_new(&job, s, &p, &plan, (struct nst_image){rgb, SIDE, SIDE}, &style,
                    NULL))
        abort();
    f.be = nst_vgg_backend(nst_session_network_at(s, 0)->vgg);
    nst_job_set_save(job, on_save, &f);
    st = nst_job_run(job, x, (struct nst_job_limits){p.iterations, INT64_MAX},
                     &reporter, &result, &err);
    tap(st == NST_ERR_IO && f.steps == 2, "a run ends with the error of the device: %s",
        st == NST_OK ? "" : err.text);
    tap(f.saved == 0, "and saves nothing any more");
    st = nst_job_new(&next, s, &p, &plan, (struct nst_image){rgb, SIDE, SIDE}, &style,
                     &err);
    tap(st == NST_ERR_IO, "a painting is not what it sees then");
    nst_job_free(job);
    nst_session_free(s);
    nst_params_clear(&p);
}

static void check_network(const char *name, const int width[TEST_CONVS])
{
    struct nst_weights *w = random_weights_of(width, &seed);
    struct task t = {.name = name, .weights = w};

    for (int p = 0; p < (getenv("NST_TEST_QUICK") ? 1 : 2); p++) {
        t.pooling = p;
        t.bound = 1e-3;
        t.regions = 1 + p;
        t.scale = 1;
        t.tile = 0;
        t.precision = NST_PRECISION_FP32;
        check(&t);
        t.bound = 0.1;
        t.precision = NST_PRECISION_TF32;
        check(&t);
        t.precision = NST_PRECISION_FP16;
        t.scale = 1e-7;
        check(&t);
        t.scale = 1e9;
        t.regions = 2 - p;
        t.tile = 16;
        check(&t);
    }
    check_allocations(w);
    check_larger_picture(w);
    nst_weights_free(w);
}

/* A trained network, with error bounds for TF32 and fp16. */
static void check_trained(const char *name, const char *path, double tf32, double fp16)
{
    struct task t = {.name = name, .regions = 1, .scale = 1, .shapes = true};
    struct nst_weights *w;
    struct nst_err err;

    if (nst_weights_load(&w, path, 5, &err) != NST_OK) {
        tap(0, "%s: %s", path, err.text);
        return;
    }
    t.weights = w;
    t.precision = NST_PRECISION_FP32;
    t.bound = 1e-3;
    check(&t);
    t.precision = NST_PRECISION_TF32;
    t.bound = tf32;
    check(&t);
    t.precision = NST_PRECISION_FP16;
    t.bound = fp16;
    check(&t);
    nst_weights_free(w);
}

int main(void)
{
    struct nst_err err;

    unsetenv("NST_FAKE_CUDA_DRIVER");
    seed = tap_seed() | 1;
    if (nst_cuda_device_count(&err) == 0) {
        tap(1, "cuda # SKIP %s", err.text);
        return tap_end();
    }
    check_trained("vgg19-lite", MODEL, 0.1, 0.1);
    if (getenv("NST_TEST_WEIGHTS"))
        check_trained("VGG19", getenv("NST_TEST_WEIGHTS"), 5e-3, 1e-2);
    check_network("channels of 32 and 64", (const int[]){32, 64, 32, 64, 32, 64});
    check_device_error();
    check_loss_scale(NST_POOLING_MAX);
    check_loss_scale(NST_POOLING_AVG);
    if (!getenv("NST_TEST_QUICK"))
        check_network("few channels", (const int[]){5, 8, 6, 48, 9, 4});
    return tap_end();
}

#else

int main(void)
{
    tap(1, "cuda # SKIP this build is without it");
    return tap_end();
}

#endif
