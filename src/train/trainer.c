/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "train/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "net/tape.h"

/* The defaults of the paper. */
#define BETA1 0.9
#define BETA2 0.999
#define EPSILON 1e-8
/* Decay of the average, over about 100 steps. */
#define DECAY 0.99
/* A gradient with a larger norm is shortened to it. */
#define MAX_NORM 5
/* Pixels at the border that the stability term leaves out: the photographs differ. */
#define MARGIN 16

struct nst_trainer {
    struct nst_trainer_config config;
    struct nst_train_scales *loss;
    struct nst_net_tape *tape;
    size_t n; /* parameters */
    int64_t steps;
    /* parameters, moments of Adam, decayed sum of the parameters */
    float *values, *first, *second, *sum;
    float *grad, *average;
    /* painted pictures, and gradients by them: of a photograph, and of the moved one */
    float *painted[2], *picture_grad[2];
};

enum nst_status nst_trainer_new(struct nst_trainer **out, struct nst_backend *be,
                                struct nst_train_scales *loss,
                                const struct nst_net_weights *w,
                                const struct nst_trainer_config *config,
                                struct nst_err *err)
{
    struct nst_trainer *t = nst_xcalloc(1, sizeof *t);
    float **vectors[] = {&t->values, &t->first, &t->second,
                         &t->sum,    &t->grad,  &t->average};
    float **pictures[] = {&t->painted[0], &t->painted[1], &t->picture_grad[0],
                          &t->picture_grad[1]};
    size_t side = (size_t)config->size;
    enum nst_status st = nst_net_tape_new(&t->tape, be, w, config->size, config->size,
                                          config->stability > 0 ? 2 : 1, err);

    *out = NULL;
    t->config = *config;
    t->loss = loss;
    t->n = w->count;
    for (size_t i = 0; st == NST_OK && i < sizeof vectors / sizeof *vectors; i++)
        st = nst_floats_new(vectors[i], t->n, 1, 1, err);
    for (size_t i = 0; st == NST_OK && i < sizeof pictures / sizeof *pictures; i++)
        st = nst_floats_new(pictures[i], 3, side, side, err);
    if (st != NST_OK) {
        nst_trainer_free(t);
        return st;
    }
    memcpy(t->values, w->values, t->n * sizeof *t->values);
    *out = t;
    return NST_OK;
}

void nst_trainer_free(struct nst_trainer *t)
{
    if (!t)
        return;
    nst_net_tape_free(t->tape);
    free(t->values);
    free(t->first);
    free(t->second);
    free(t->sum);
    free(t->grad);
    free(t->average);
    for (int i = 0; i < 2; i++) {
        free(t->painted[i]);
        free(t->picture_grad[i]);
    }
    free(t);
}

static size_t picture_floats(const struct nst_trainer *t)
{
    return 3 * (size_t)t->config.size * (size_t)t->config.size;
}

/* The mean squared difference of both painted pictures, and its gradients by them,
 * times scale: added to the first, written to the second. */
static double evaluate_stability(struct nst_trainer *t,
                                 const struct nst_train_example *e, double scale)
{
    int size = t->config.size, first = MARGIN, last = size - MARGIN;
    double sum = 0, count = 3. * (last - first) * (last - first);
    float factor = (float)(2 * scale / count);

    memset(t->picture_grad[1], 0, picture_floats(t) * sizeof(float));
    for (int c = 0; c < 3; c++)
        for (int i = first; i < last; i++) {
            size_t from = ((size_t)c * size + (size_t)i) * size,
                   to = ((size_t)c * size + (size_t)(i + e->down)) * size +
                        (size_t)e->right; /* both moves are 0 or more */

            for (int j = first; j < last; j++) {
                float d =
                    t->painted[0][from + (size_t)j] - t->painted[1][to + (size_t)j];

                sum += (double)d * d;
                t->picture_grad[0][from + (size_t)j] += factor * d;
                t->picture_grad[1][to + (size_t)j] = -factor * d;
            }
        }
    return sum / count;
}

/* The gradient of each example is that of its own loss, as its share of the mean. */
static void scale_picture(float *x, size_t n, double by)
{
    for (size_t i = 0; i < n; i++)
        x[i] *= (float)by;
}

static void evaluate_example(struct nst_trainer *t, const struct nst_train_example *e,
                             int moved, struct nst_train_step *s)
{
    double share = 1. / t->config.batch;
    struct nst_train_losses losses;

    nst_net_tape_forward(t->tape, 0, e->rgb, t->painted[0]);
    nst_train_scales_evaluate(t->loss, e->rgb, t->painted[0], &losses,
                              t->picture_grad[0]);
    scale_picture(t->picture_grad[0], picture_floats(t), share);
    s->losses.content += share * losses.content;
    s->losses.style += share * losses.style;
    s->losses.tv += share * losses.tv;
    if (e->moved && t->config.stability > 0) {
        nst_net_tape_forward(t->tape, 1, e->moved, t->painted[1]);
        s->stability += evaluate_stability(t, e, t->config.stability / moved) / moved;
        nst_net_tape_backward(t->tape, 1, e->moved, t->picture_grad[1], t->grad);
    }
    nst_net_tape_backward(t->tape, 0, e->rgb, t->picture_grad[0], t->grad);
}

static double norm_of(const float *x, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    return sqrt(sum);
}

/* A step of Adam. The gradient is first multiplied by scale. */
static void update(struct nst_trainer *t, double scale, double rate)
{
    double first = 1 - pow(BETA1, (double)t->steps),
           second = 1 - pow(BETA2, (double)t->steps);

    for (size_t i = 0; i < t->n; i++) {
        double g = scale * t->grad[i];

        t->first[i] = (float)(BETA1 * t->first[i] + (1 - BETA1) * g);
        t->second[i] = (float)(BETA2 * t->second[i] + (1 - BETA2) * g * g);
        t->values[i] -= (float)(rate * (t->first[i] / first) /
                                (sqrt(t->second[i] / second) + EPSILON));
        t->sum[i] = (float)(DECAY * t->sum[i] + (1 - DECAY) * t->values[i]);
    }
}

struct nst_train_step nst_trainer_step(struct nst_trainer *t,
                                       const struct nst_train_example *batch,
                                       double rate)
{
    struct nst_train_step s = {.skipped = false};
    int moved = 0;

    for (int i = 0; i < t->config.batch; i++)
        moved += batch[i].moved != NULL;
    memset(t->grad, 0, t->n * sizeof *t->grad);
    for (int i = 0; i < t->config.batch; i++)
        evaluate_example(t, &batch[i], moved, &s);
    s.total = nst_train_loss_total(&t->config.weights, &s.losses) +
              t->config.stability * s.stability;
    s.gradient_norm = norm_of(t->grad, t->n);
    if (!isfinite(s.gradient_norm) || !isfinite(s.total)) {
        s.skipped = true;
        return s;
    }
    t->steps++;
    update(t, s.gradient_norm > MAX_NORM ? MAX_NORM / s.gradient_norm : 1, rate);
    nst_net_tape_set(t->tape, t->values);
    return s;
}

const float *nst_trainer_average(struct nst_trainer *t)
{
    double weight = 1 - pow(DECAY, (double)t->steps);

    if (t->steps == 0)
        return t->values;
    for (size_t i = 0; i < t->n; i++)
        t->average[i] = (float)(t->sum[i] / weight);
    return t->average;
}

bool nst_trainer_serialise(struct nst_trainer *t, nst_serialise_fn *visit, void *ctx)
{
    bool ok = visit(ctx, "steps", NST_I64, &t->steps, 1) &&
              visit(ctx, "values", NST_F32, t->values, t->n) &&
              visit(ctx, "first moment", NST_F32, t->first, t->n) &&
              visit(ctx, "second moment", NST_F32, t->second, t->n) &&
              visit(ctx, "sum", NST_F32, t->sum, t->n);

    nst_net_tape_set(t->tape, t->values);
    return ok && t->steps >= 0;
}
