/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "train/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/path.h"
#include "image/load.h"
#include "image/pixels.h"
#include "image/save.h"
#include "image/thumbnail.h"
#include "model/paths.h"
#include "net/net.h"
#include "net/net_file.h"
#include "session/session.h"
#include "train/crop.h"
#include "train/photos.h"
#include "train/state.h"
#include "train/styles.h"

#define CHECKPOINT_SECONDS 60
#define PREVIEW_SECONDS 30
#define PREVIEW_SIDE 640
#define THUMBNAIL_SIDE 192 /* in the network's file */
/* The learning rate rises over the first steps, then falls along a cosine to a small
 * part of its top. */
#define LAST_RATE 0.01
#define WARM_UP 50
/* With a time limit, these steps are not timed, and then so many are. */
#define UNTIMED_STEPS 3
#define TIMED_STEPS 12
/* One photograph in so many has the stability term; in small batches, which often have
 * none, it counts more. */
#define STABILITY_SHARE 4
/* Factor of the random weights of the last layer: the first pictures are nearly grey.
 */
#define LAST_BOUND 0.1
/* Weight of the latest step in the reported losses. */
#define REPORT_WEIGHT 0.05

/* Streams of random numbers; photos.c has others. */
enum { WEIGHT_STREAM = 100, MOVE_STREAM };

struct training {
    const struct nst_train_config *c;
    const struct nst_train_callbacks *callbacks;
    struct nst_session *session;
    struct nst_vgg *v;
    struct nst_photos *photos;
    struct nst_train_scales *loss;
    struct nst_trainer *trainer;
    struct nst_net *painter; /* for the preview */
    struct nst_picture *preview;
    struct nst_net_file file; /* its weights: those to write */
    char *checkpoint, *preview_path;
    struct nst_train_progress progress;
    struct nst_train_report report;
    float **pictures, *moved; /* of a batch */
    int64_t begun;            /* the step that this process began with */
    bool reported;            /* it has had a step that was not skipped */
    double begin, timed_from, saved, previewed;
};

void nst_train_config_init(struct nst_train_config *c)
{
    *c = (struct nst_train_config){.steps = 4000,
                                   .size = 192,
                                   .batch = 1,
                                   .width = 16,
                                   .style_size = 768,
                                   .content_weight = 1,
                                   .style_weight = 5,
                                   .tv_weight = 3,
                                   .stability = 20,
                                   .detail = 0.3,
                                   .rate = 2e-3,
                                   .seed = 1};
}

static char *with_suffix(const char *output, const char *suffix)
{
    size_t n = strlen(output), old = strlen(NST_NET_SUFFIX);

    if (n > old && strcmp(output + n - old, NST_NET_SUFFIX) == 0)
        n -= old;
    return nst_xasprintf("%.*s%s", (int)n, output, suffix);
}

char *nst_train_checkpoint_path(const struct nst_train_config *c)
{
    return c->checkpoint ? nst_xstrdup(c->checkpoint)
                         : with_suffix(c->output, ".checkpoint");
}

char *nst_train_preview_path(const struct nst_train_config *c)
{
    return with_suffix(c->output, ".preview.jpg");
}

static enum nst_status open_features(struct training *t, struct nst_err *err)
{
    struct nst_params p;
    enum nst_status st;

    nst_params_init(&p);
    st = nst_params_set(&p, "model", t->c->model ? t->c->model : "vgg19-lite", err);
    if (st == NST_OK)
        st = nst_params_set(&p, "device", "cpu", err);
    if (st == NST_OK)
        st = nst_params_set(&p, "content-layers", NST_TRAIN_CONTENT_LAYER, err);
    if (st == NST_OK)
        st = nst_params_set(&p, "style-layers", NST_TRAIN_STYLE_LAYERS, err);
    p.threads = t->c->threads;
    if (st == NST_OK)
        st = nst_session_new(&t->session, &p, err);
    if (st == NST_OK)
        t->v = nst_session_network_at(t->session, 0)->vgg;
    nst_params_clear(&p);
    return st;
}

/* Random weights, small enough that each map has about the variance of its input; the
 * picture is grey at first. */
static void randomise(struct nst_net_weights *w, uint64_t seed)
{
    struct nst_net_layer layers[NST_NET_MAX_CONVS];
    int count = nst_net_layers(w->shape, layers, &(size_t){0});

    for (int i = 0; i < count; i++) {
        const struct nst_net_layer *l = &layers[i];
        int side = nst_net_side(l->kind);
        size_t n = (size_t)(l->cin * l->cout) * (size_t)(side * side);
        double bound = sqrt(1.0 / (l->cin * side * side)) *
                       (l->kind == NST_NET_TO_PICTURE ? LAST_BOUND : 1);
        struct nst_random r = nst_random_stream(seed, WEIGHT_STREAM, (uint64_t)i);

        for (size_t k = 0; k < n; k++)
            w->values[l->weight + k] = (float)nst_random_between(&r, -bound, bound);
        for (int c = 0; c < l->cout; c++)
            if (l->kind == NST_NET_TO_PICTURE)
                w->values[l->bias + (size_t)c] = 0.5f;
            else
                w->values[l->scale + (size_t)c] = 1;
    }
}

/* The network that a training starts from was made by others, and paints another
 * style: its preview is none of the new one, and its credit names the start. */
static void forget_owner(struct nst_net_file *f)
{
    const char *credit = f->text[NST_NET_CREDIT], *licence = f->text[NST_NET_LICENCE];
    char *start = credit ? nst_xasprintf("started from a network by %s%s%s", credit,
                                         licence ? ", " : "", licence ? licence : "")
                         : NULL;

    free(f->preview);
    f->preview = NULL;
    f->preview_size = 0;
    nst_net_file_set_text(f, NST_NET_CREDIT, start);
    nst_net_file_set_text(f, NST_NET_LICENCE, NULL);
    free(start);
}

static enum nst_status start_weights(struct training *t, struct nst_err *err)
{
    struct nst_net_shape shape = {(int)t->c->width, NST_NET_BLOCKS};
    char *path = t->c->from ? nst_find_net(t->c->from) : NULL;
    enum nst_status st;

    if (t->c->from) {
        st = nst_net_file_load(&t->file, path ? path : t->c->from, err);
        free(path);
        forget_owner(&t->file);
        return st;
    }
    st = nst_net_weights_new(&t->file.weights, shape, err);
    if (st == NST_OK)
        randomise(&t->file.weights, t->c->seed);
    return st;
}

static enum nst_status load_preview(struct training *t, struct nst_err *err)
{
    struct nst_picture_size size = {.longest = PREVIEW_SIDE};
    enum nst_status st;

    if (!t->c->preview)
        return NST_OK;
    st = nst_picture_load(&t->preview, t->c->preview, &size, err);
    nst_picture_flatten(t->preview, NST_WHITE);
    if (st == NST_OK)
        st = nst_net_new(&t->painter, nst_vgg_backend(t->v), &t->file.weights, err);
    return st;
}

/* The options, with names of files only: the folders are nobody's business. */
static char *options_text(const struct nst_train_config *c)
{
    struct nst_train_config named = *c;
    const char **styles = nst_xcalloc((size_t)c->style_count, sizeof *styles);
    char *text;

    for (int i = 0; i < c->style_count; i++)
        styles[i] = nst_base_name(c->styles[i]);
    named.styles = styles;
    named.from = c->from ? nst_base_name(c->from) : NULL;
    named.model = c->model ? nst_base_name(c->model) : NULL;
    text = nst_train_state_options(&named);
    free(styles);
    return text;
}

static void set_texts(struct training *t)
{
    char *names = nst_xstrdup(""), *options = options_text(t->c), *training;

    for (int i = 0; i < t->c->style_count; i++) {
        char *longer = nst_xasprintf("%s%s%s", names, i ? ", " : "",
                                     nst_base_name(t->c->styles[i]));

        free(names);
        names = longer;
    }
    training =
        nst_xasprintf("%zu photographs, %s", nst_photos_count(t->photos), options);
    nst_net_file_set_text(&t->file, NST_NET_FROM, names);
    nst_net_file_set_text(&t->file, NST_NET_TRAINING, training);
    nst_net_file_set_text(&t->file, NST_NET_MADE_BY, "nst-train " PACKAGE_VERSION);
    free(names);
    free(options);
    free(training);
}

static void on_photo_message(void *ctx, const char *line)
{
    const struct training *t = ctx;

    t->callbacks->message(t->callbacks->ctx, line);
}

static enum nst_status find_photos(struct training *t, struct nst_err *err)
{
    struct nst_photos_config config = {t->c->photos, (int)t->c->size, t->c->seed,
                                       on_photo_message, t};
    enum nst_status st = nst_photos_new(&t->photos, &config, err);
    struct nst_err line;

    if (st == NST_OK && nst_photos_count(t->photos) < NST_PHOTOS_FEW) {
        nst_err_set(&line, NST_OK,
                    "photos: %s has only %zu photographs; with %d or more the network "
                    "paints new pictures better",
                    t->c->photos, nst_photos_count(t->photos), NST_PHOTOS_FEW);
        t->callbacks->message(t->callbacks->ctx, line.text);
    }
    if (st == NST_OK)
        t->progress.photos = (int64_t)nst_photos_fingerprint(t->photos);
    return st;
}

static enum nst_status make_pictures(struct training *t, struct nst_err *err)
{
    size_t size = (size_t)t->c->size;
    enum nst_status st = NST_OK;

    t->pictures = nst_xcalloc((size_t)t->c->batch, sizeof *t->pictures);
    for (int64_t i = 0; st == NST_OK && i < t->c->batch; i++)
        st = nst_floats_new(&t->pictures[i], 3, size, size, err);
    if (st == NST_OK)
        st = nst_floats_new(
            &t->moved, 3 * size * size,
            (size_t)(t->c->batch + STABILITY_SHARE - 1) / STABILITY_SHARE, 1, err);
    return st;
}

/* Refuse a file that cannot be written before the work begins. */
static enum nst_status check_writable(const char *path, struct nst_err *err)
{
    struct nst_atomic_file *f;
    enum nst_status st = nst_atomic_file_open(&f, path, err);

    nst_atomic_file_free(f);
    return st;
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat x, y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

/* True if path is the network that the training starts from. */
static bool is_from(const struct nst_train_config *c, const char *path)
{
    char *found = c->from ? nst_find_net(c->from) : NULL;
    bool same = c->from && is_same_file(found ? found : c->from, path);

    free(found);
    return same;
}

static enum nst_status prepare(struct training *t, struct nst_err *err)
{
    const struct nst_train_config *c = t->c;
    struct nst_trainer_config config = {
        (int)c->size,
        (int)c->batch,
        {c->content_weight, c->style_weight, c->tv_weight},
        c->stability * fmax(1, (double)STABILITY_SHARE / (double)c->batch)};
    enum nst_status st = check_writable(c->output, err);

    if (st == NST_OK && is_from(c, c->output))
        st = nst_err_set(err, NST_ERR_ARG,
                         "output: %s is the network given with --from; name another "
                         "file",
                         c->output);
    if (st == NST_OK && strcmp(c->output, t->checkpoint) == 0)
        st = nst_err_set(err, NST_ERR_ARG,
                         "checkpoint: %s is the network to write; name another file",
                         t->checkpoint);
    if (st == NST_OK)
        st = check_writable(t->checkpoint, err);
    if (st == NST_OK && c->preview)
        st = check_writable(t->preview_path, err);
    if (st == NST_OK)
        st = find_photos(t, err);
    if (st == NST_OK)
        st = open_features(t, err);
    if (st == NST_OK)
        st = start_weights(t, err);
    if (st == NST_OK)
        st = nst_train_styles_loss(&t->loss, c, t->session, &t->file, err);
    if (st == NST_OK)
        st = nst_trainer_new(&t->trainer, nst_vgg_backend(t->v), t->loss,
                             &t->file.weights, &config, err);
    if (st == NST_OK)
        st = load_preview(t, err);
    if (st == NST_OK)
        st = make_pictures(t, err);
    if (st == NST_OK)
        set_texts(t);
    t->progress.steps = c->steps;
    if (st == NST_OK && c->resume)
        st = nst_train_state_read(t->checkpoint, c, &t->progress, t->trainer, err);
    t->begun = t->progress.step;
    if (st == NST_OK)
        st = nst_photos_begin(t->photos, t->progress.step, err);
    return st;
}

static void clear(struct training *t)
{
    nst_trainer_free(t->trainer);
    nst_train_scales_free(t->loss);
    nst_net_free(t->painter);
    nst_picture_free(t->preview);
    nst_photos_free(t->photos);
    nst_net_file_clear(&t->file);
    nst_session_free(t->session);
    for (int64_t i = 0; t->pictures && i < t->c->batch; i++)
        free(t->pictures[i]);
    free(t->pictures);
    free(t->moved);
    free(t->checkpoint);
    free(t->preview_path);
}

/* While the number of steps is not known, the rate is at its top. */
static double rate_of(const struct training *t)
{
    int64_t step = t->progress.step, steps = t->progress.steps;
    double warm = step < WARM_UP ? (step + 1.) / WARM_UP : 1;
    double part = steps ? (double)step / (double)steps : 0;

    return t->c->rate * warm *
           (LAST_RATE + (1 - LAST_RATE) * (1 + cos(M_PI * part)) / 2);
}

static enum nst_status make_batch(struct training *t, struct nst_train_example *batch,
                                  struct nst_err *err)
{
    int size = (int)t->c->size, moved = 0;
    int64_t step = t->progress.step;

    for (int i = 0; i < t->c->batch; i++) {
        struct nst_random r = nst_random_stream(t->c->seed, MOVE_STREAM,
                                                ((uint64_t)step << 8) + (uint64_t)i);
        enum nst_status st = nst_photos_crop(t->photos, step, i, t->pictures[i], err);

        if (st != NST_OK)
            return st;
        batch[i] = (struct nst_train_example){.rgb = t->pictures[i]};
        if (t->c->stability <= 0 || (step * t->c->batch + i) % STABILITY_SHARE)
            continue;
        batch[i].down = (int)nst_random_below(&r, NST_TRAIN_MAX_MOVE + 1);
        batch[i].right = (int)nst_random_below(&r, NST_TRAIN_MAX_MOVE + 1);
        batch[i].moved = t->moved + 3 * nst_area(size, size) * (size_t)moved;
        nst_crop_move(t->pictures[i], size, batch[i].down, batch[i].right, &r,
                      t->moved + 3 * nst_area(size, size) * (size_t)moved++);
    }
    return NST_OK;
}

static void average(double *mean, double value, bool first)
{
    *mean = first ? value : (1 - REPORT_WEIGHT) * *mean + REPORT_WEIGHT * value;
}

static void report(struct training *t, const struct nst_train_step *s)
{
    struct nst_train_report *r = &t->report;
    bool first = !t->reported;

    if (!s->skipped) {
        t->reported = true;
        average(&r->content_loss, s->losses.content, first);
        average(&r->style_loss, s->losses.style, first);
        average(&r->tv_loss, s->losses.tv, first);
        if (s->stability > 0)
            average(&r->stability_loss, s->stability, r->stability_loss <= 0);
        average(&r->total_loss, s->total, first);
        r->gradient_norm = s->gradient_norm;
    }
    r->step = t->progress.step;
    r->steps = t->progress.steps;
    r->skipped = t->progress.skipped;
    r->seconds = nst_clock_seconds() - t->begin;
    t->callbacks->report(t->callbacks->ctx, r);
}

/* With a time limit: from the time of some steps, how many there will be. */
static void choose_steps(struct training *t)
{
    int64_t timed = t->progress.step - t->begun - UNTIMED_STEPS;
    double now = nst_clock_seconds(), left;

    if (t->progress.steps)
        return;
    if (timed <= 0)
        t->timed_from = now;
    left = 60 * t->c->minutes - (now - t->begin);
    if (timed >= TIMED_STEPS || (timed > 0 && left < 0))
        t->progress.steps =
            t->progress.step +
            (int64_t)fmax(left * (double)timed / (now - t->timed_from), 1);
}

static enum nst_status write_preview(struct training *t, struct nst_err *err)
{
    struct nst_image image;
    float *out;
    void *jpeg = NULL;
    size_t bytes;
    enum nst_status st;

    if (!t->preview)
        return NST_OK;
    image = nst_picture_image(t->preview);
    st = nst_floats_new(&out, 3, (size_t)image.height, (size_t)image.width, err);
    nst_net_set_weights(t->painter, &t->file.weights);
    if (st == NST_OK)
        st = nst_net_paint(t->painter, image, out, 0, err);
    if (st == NST_OK)
        st = nst_pixels_write(t->preview_path,
                              (struct nst_image){out, image.height, image.width}, err);
    free(out);
    if (st == NST_OK)
        st = nst_picture_thumbnail_jpeg(&jpeg, &bytes, t->preview_path, THUMBNAIL_SIDE,
                                        err);
    if (st == NST_OK)
        st = nst_net_file_set_preview(&t->file, jpeg, bytes, err);
    free(jpeg);
    return st;
}

static void take_average(struct training *t)
{
    memcpy(t->file.weights.values, nst_trainer_average(t->trainer),
           t->file.weights.count * sizeof *t->file.weights.values);
}

/* Write the network, and the checkpoint. */
static enum nst_status save(struct training *t, struct nst_err *err)
{
    enum nst_status st;

    take_average(t);
    st = nst_net_file_save(&t->file, t->c->output, true, err);
    if (st == NST_OK)
        st = nst_train_state_write(t->checkpoint, t->c, &t->progress, t->trainer, err);
    t->saved = nst_clock_seconds();
    return st;
}

static bool is_power_of_two(int64_t n)
{
    return n > 0 && (n & (n - 1)) == 0;
}

/* What is due between two steps. */
static enum nst_status look_up(struct training *t, struct nst_err *err)
{
    double now = nst_clock_seconds();
    enum nst_status st = NST_OK;

    if (t->preview &&
        (is_power_of_two(t->progress.step) || now - t->previewed >= PREVIEW_SECONDS)) {
        take_average(t);
        st = write_preview(t, err);
        t->previewed = nst_clock_seconds();
    }
    if (st == NST_OK && now - t->saved >= CHECKPOINT_SECONDS)
        st = save(t, err);
    return st;
}

static enum nst_status run(struct training *t, bool *stopped, struct nst_err *err)
{
    struct nst_train_example *batch = nst_xcalloc((size_t)t->c->batch, sizeof *batch);
    enum nst_status st = NST_OK;

    while (st == NST_OK && !*stopped &&
           !(t->progress.steps && t->progress.step >= t->progress.steps)) {
        struct nst_train_step s;

        st = make_batch(t, batch, err);
        if (st != NST_OK)
            break;
        s = nst_trainer_step(t->trainer, batch, rate_of(t));
        t->progress.step++;
        t->progress.skipped += s.skipped;
        choose_steps(t);
        report(t, &s);
        *stopped = t->callbacks->stop(t->callbacks->ctx);
        st = look_up(t, err);
    }
    free(batch);
    if (st != NST_OK)
        return st;
    take_average(t);
    st = save(t, err); /* first: a preview may fail */
    if (st == NST_OK && !*stopped)
        unlink(t->checkpoint);
    return st == NST_OK ? write_preview(t, err) : st;
}

enum nst_status nst_train(const struct nst_train_config *c,
                          const struct nst_train_callbacks *callbacks, bool *stopped,
                          struct nst_err *err)
{
    struct training t = {.c = c,
                         .callbacks = callbacks,
                         .checkpoint = nst_train_checkpoint_path(c),
                         .preview_path = nst_train_preview_path(c)};
    enum nst_status st;

    *stopped = false;
    st = prepare(&t, err);
    t.begin = t.saved = nst_clock_seconds();
    if (st == NST_OK)
        st = run(&t, stopped, err);
    clear(&t);
    return st;
}
