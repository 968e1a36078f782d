/* SPDX-License-Identifier: MIT */
/* train.c - nst-train: trains a feed-forward network on a style. */
#include "config.h"

#include <argp.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/exit.h"
#include "base/line.h"
#include "cli/interrupt.h"
#include "cli/program.h"
#include "cli/progress.h"
#include "nst.h"

enum {
    PHOTOS_KEY = 0x100,
    FROM_KEY,
    STEPS_KEY,
    TIME_KEY,
    SIZE_KEY,
    BATCH_KEY,
    WIDTH_KEY,
    STYLE_SIZE_KEY,
    CONTENT_WEIGHT_KEY,
    STYLE_WEIGHT_KEY,
    TV_WEIGHT_KEY,
    STABILITY_KEY,
    DETAIL_KEY,
    RATE_KEY,
    SEED_KEY,
    PREVIEW_KEY,
    CHECKPOINT_KEY,
    RESUME_KEY,
    PROGRESS_KEY
};

static const struct argp_option options[] = {
    {"photos", PHOTOS_KEY, "DIR", 0,
     "Train on the photographs in DIR and its subdirectories: at least 20, better 100 "
     "or more",
     0},
    {"output", 'o', "FILE", 0, "Network to write (.nstnet)", 0},
    {"from", FROM_KEY, "NAME|FILE", 0,
     "Network to start from; of any style, it saves most of the time (default: the "
     "bundled one; none: random weights)",
     0},
    {"steps", STEPS_KEY, "N", 0, "Number of steps (default: 4000)", 0},
    {"time", TIME_KEY, "MIN", 0,
     "Train for about so many minutes; the first steps tell how many steps that is", 0},
    {"preview", PREVIEW_KEY, "PHOTO", 0,
     "Paint PHOTO now and then, to OUTPUT with the suffix .preview.jpg", 0},
    {"checkpoint", CHECKPOINT_KEY, "FILE", 0,
     "Write checkpoints to FILE (default: OUTPUT with the suffix .checkpoint)", 0},
    {"resume", RESUME_KEY, NULL, 0,
     "Continue from the checkpoint; the other options must be the same", 0},
    {"size", SIZE_KEY, "N", 0,
     "Side of the crops in pixels, a multiple of 4 (default: 192)", 0},
    {"batch", BATCH_KEY, "N", 0, "Crops in a step (default: 1)", 0},
    {"width", WIDTH_KEY, "N", 0,
     "Channels of the network after its first layer (default: 16, or those of --from)",
     0},
    {"style-size", STYLE_SIZE_KEY, "N", 0,
     "Longest side of the style pictures in pixels: larger brush strokes with larger "
     "ones (default: 768)",
     0},
    {"content-weight", CONTENT_WEIGHT_KEY, "W", 0, "Weight of the photograph", 0},
    {"style-weight", STYLE_WEIGHT_KEY, "W", 0, "Weight of the style", 0},
    {"tv-weight", TV_WEIGHT_KEY, "W", 0, "Weight of smoothness", 0},
    {"stability", STABILITY_KEY, "W", 0,
     "Weight of stability in films (default: 20; 0: none)", 0},
    {"detail", DETAIL_KEY, "W", 0,
     "Weight of the losses of the full picture; those of the picture at half its size "
     "have 1 (default: 0.3)",
     0},
    {"rate", RATE_KEY, "R", 0, "Learning rate at its top (default: 0.002)", 0},
    {"seed", SEED_KEY, "N", 0, "Seed of all random choices (default: 1)", 0},
    {"model", 'm', "NAME|FILE", 0,
     "Network of the losses, as in nst (default: vgg19-lite)", 0},
    {"threads", 't', "N", 0, "Threads (default: one per processor)", 0},
    {"quiet", 'q', NULL, 0, "Print errors only", 0},
    {"progress", PROGRESS_KEY, "KIND", 0, "auto, bar, plain, json or none", 0},
    {0}};

struct arguments {
    struct nst_train_config c;
    const char **styles; /* owned */
    bool steps_given, width_given, quiet;
    enum nst_progress_kind progress;
};

/* A number in a range, or the end of the program. */
static double number(struct argp_state *state, const char *name, const char *text,
                     double low, double high, bool whole)
{
    char *end;
    double v;

    errno = 0;
    v = strtod(text, &end);
    if (end == text || *end || errno || !(v >= low && v <= high) ||
        (whole && v != floor(v)))
        argp_error(state, "%s: '%s' is not a %snumber between %.15g and %.15g", name,
                   text, whole ? "whole " : "", low, high);
    return v;
}

static int64_t whole(struct argp_state *state, const char *name, const char *text,
                     int64_t low, int64_t high)
{
    return (int64_t)number(state, name, text, (double)low, (double)high, true);
}

static double weight(struct argp_state *state, const char *name, const char *text)
{
    return number(state, name, text, 0, 1e6, false);
}

static enum nst_progress_kind progress_kind(struct argp_state *state, const char *text)
{
    static const char *const kinds[] = {"auto", "bar", "plain", "json", "none"};

    for (int i = 0; i < 5; i++)
        if (strcmp(text, kinds[i]) == 0)
            return (enum nst_progress_kind)i;
    argp_error(state, "progress: '%s' is not auto, bar, plain, json or none", text);
    return NST_PROGRESS_AUTO;
}

static void add_style(struct arguments *a, const char *name)
{
    size_t n = (size_t)a->c.style_count + 1;

    a->styles = nst_xrealloc(a->styles, n * sizeof *a->styles);
    a->styles[n - 1] = name;
    a->c.styles = a->styles;
    a->c.style_count++;
}

static bool has_suffix(const char *name, const char *suffix)
{
    size_t n = strlen(name), m = strlen(suffix);

    return n > m && strcmp(name + n - m, suffix) == 0;
}

/* Without --from and --width, start from the bundled network, if it is installed. */
static void set_start(struct arguments *a)
{
    char *base = a->c.from || a->width_given ? NULL : nst_find_net(NST_NET_BASE);

    if (base)
        a->c.from = NST_NET_BASE;
    else if (!a->c.from && !a->width_given && !a->quiet)
        fprintf(stderr,
                "nst-train: found no network '%s' in the folders of data; the "
                "training starts from random weights and takes longer\n",
                NST_NET_BASE);
    else if (a->c.from && strcmp(a->c.from, "none") == 0)
        a->c.from = NULL;
    free(base);
}

static void check_arguments(struct argp_state *state)
{
    struct arguments *a = state->input;

    if (!a->c.style_count)
        argp_error(state, "requires a style: a picture or a style pack");
    if (!a->c.photos)
        argp_error(state, "requires --photos DIR");
    if (!a->c.output)
        argp_error(state, "requires -o FILE");
    if (!has_suffix(a->c.output, ".nstnet"))
        argp_error(state, "output: '%s': the name of a network must end in .nstnet",
                   a->c.output);
    if (a->steps_given && a->c.minutes > 0)
        argp_error(state, "steps and time: give only one of them");
    if (a->c.from && a->width_given && strcmp(a->c.from, "none") != 0)
        argp_error(state, "width: is that of the network given with --from");
    if (a->c.size % 4)
        argp_error(state, "size: '%d' is not a multiple of 4", (int)a->c.size);
    if (a->c.minutes > 0)
        a->c.steps = 0;
    set_start(a);
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    struct nst_train_config *c = &a->c;

    switch (key) {
    case PHOTOS_KEY:
        c->photos = arg;
        break;
    case 'o':
        c->output = arg;
        break;
    case FROM_KEY:
        c->from = arg;
        break;
    case STEPS_KEY:
        c->steps = whole(state, "steps", arg, 1, 100000000);
        a->steps_given = true;
        break;
    case TIME_KEY:
        c->minutes = number(state, "time", arg, 0.01, 100000, false);
        break;
    case SIZE_KEY:
        c->size = whole(state, "size", arg, 64, 1024);
        break;
    case BATCH_KEY:
        c->batch = whole(state, "batch", arg, 1, 64);
        break;
    case WIDTH_KEY:
        c->width = whole(state, "width", arg, 4, 64);
        a->width_given = true;
        break;
    case STYLE_SIZE_KEY:
        c->style_size = whole(state, "style-size", arg, 64, 4096);
        break;
    case CONTENT_WEIGHT_KEY:
        c->content_weight = weight(state, "content-weight", arg);
        break;
    case STYLE_WEIGHT_KEY:
        c->style_weight = weight(state, "style-weight", arg);
        break;
    case TV_WEIGHT_KEY:
        c->tv_weight = weight(state, "tv-weight", arg);
        break;
    case STABILITY_KEY:
        c->stability = weight(state, "stability", arg);
        break;
    case DETAIL_KEY:
        c->detail = weight(state, "detail", arg);
        break;
    case RATE_KEY:
        c->rate = number(state, "rate", arg, 1e-6, 0.1, false);
        break;
    case SEED_KEY:
        c->seed = (uint64_t)whole(state, "seed", arg, 0, 4294967295);
        break;
    case PREVIEW_KEY:
        c->preview = arg;
        break;
    case CHECKPOINT_KEY:
        c->checkpoint = arg;
        break;
    case RESUME_KEY:
        c->resume = true;
        break;
    case 'm':
        c->model = arg;
        break;
    case 't':
        c->threads = whole(state, "threads", arg, 1, 1024);
        break;
    case 'q':
        a->quiet = true;
        break;
    case PROGRESS_KEY:
        a->progress = progress_kind(state, arg);
        break;
    case ARGP_KEY_ARG:
        add_style(a, arg);
        break;
    case ARGP_KEY_END:
        check_arguments(state);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/* Shows the training as that of one picture. */
struct display {
    const struct arguments *a;
    struct nst_batch batch;
    struct nst_batch_item item;
    struct nst_progress_batch *bars;
    struct nst_progress *bar;
    struct nst_evaluation last;
    bool held;
};

static void on_message(void *ctx, const char *line)
{
    struct display *d = ctx;

    if (!d->a->quiet)
        nst_progress_message(d->bars, line);
}

static void on_report(void *ctx, const struct nst_train_report *r)
{
    struct display *d = ctx;

    if (!d->held) /* from now on there is something to save */
        nst_interrupt_hold();
    d->held = true;
    d->last = (struct nst_evaluation){
        .evaluation = r->step,
        .scale = (int)d->a->c.size,
        .iteration = r->step,
        .content_loss = r->content_loss,
        .style_loss = r->style_loss,
        .total_loss = r->total_loss,
        .gradient_norm = r->gradient_norm,
        .accepted = true,
        .seconds = r->seconds,
        .fraction = r->steps ? (double)r->step / (double)r->steps : NAN};
    nst_progress_step(d->bar, &d->last, r->step, r->steps);
}

static bool should_stop(void *ctx)
{
    (void)ctx;
    return nst_interrupt_number() != 0;
}

static void end_now(void *ctx, int signal_number)
{
    (void)ctx;
    fprintf(stderr, "\n%s: stopped by SIG%s\n", program_invocation_short_name,
            sigabbrev_np(signal_number));
    _exit(128 + signal_number);
}

static void print_stopped(const struct arguments *a)
{
    char *checkpoint = nst_train_checkpoint_path(&a->c), *line;

    line = nst_xasprintf("stopped; %s is usable, and the same command with --resume "
                         "continues from %s",
                         a->c.output, checkpoint);
    nst_sanitise_line(line);
    if (!a->quiet)
        fprintf(stderr, "%s: %s\n", program_invocation_short_name, line);
    free(line);
    free(checkpoint);
}

static int train(struct arguments *a)
{
    struct display d = {.a = a, .item = {.content = (char *)a->c.output}};
    struct nst_train_callbacks callbacks = {on_message, on_report, should_stop, &d};
    struct nst_job_result result = {.end = NST_JOB_COMPLETED};
    struct nst_err err;
    enum nst_status st;
    bool stopped;

    d.batch = (struct nst_batch){.item = &d.item, .items = 1};
    d.bars = nst_progress_batch_new(a->quiet ? NST_PROGRESS_NONE : a->progress, NULL,
                                    &d.batch, 1);
    d.bar = nst_progress_new(d.bars, &d.item, a->c.steps);
    st = nst_train(&a->c, &callbacks, &stopped, &err);
    nst_interrupt_finish();
    result.final = d.last;
    if (stopped)
        result.end = NST_JOB_STOPPED;
    nst_progress_end(d.bar, st == NST_OK ? &result : NULL);
    nst_progress_batch_end(d.bars);
    if (st != NST_OK) {
        fprintf(stderr, "%s: %s\n", program_invocation_short_name, err.text);
        return nst_exit_status(st);
    }
    if (stopped)
        print_stopped(a);
    return stopped ? 128 + nst_interrupt_number() : NST_EXIT_DONE;
}

int main(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse_option,
        "STYLE... --photos DIR -o FILE",
        "Train a network that paints photographs in the style of pictures or style "
        "packs, in one pass: nst -s FILE photo.jpg.\v"
        "Ctrl-C saves the network. See man nst-train.",
        NULL,
        NULL,
        NULL};
    struct arguments a = {.progress = NST_PROGRESS_AUTO};
    struct nst_err err;
    int status;

    nst_exit_setup(argv);
    setlocale(LC_CTYPE, "");
    nst_train_config_init(&a.c);
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    signal(SIGXFSZ, SIG_IGN); /* writes fail with EFBIG instead */
    nst_interrupt_watch(end_now, NULL);
    if (nst_picture_init(argv[0], &err) != NST_OK) {
        fprintf(stderr, "%s: %s\n", program_invocation_short_name, err.text);
        return nst_exit_status(err.status);
    }
    status = train(&a);
    nst_picture_shutdown();
    free(a.styles);
    return status;
}
