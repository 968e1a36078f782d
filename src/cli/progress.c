/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "cli/progress.h"

#include <errno.h>
#include <jansson.h>
#include <langinfo.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/line.h"
#include "options/json.h"
#include "nst.h"

#define REDRAW_SECONDS 0.1
#define PLAIN_SECONDS 5.0
#define LINE_SIZE 1024
/* A narrower terminal has no room for a bar beside the losses. */
#define LOSSES_COLUMNS 92
/* Weight of the latest interval in the smoothed rate. */
#define EMA_WEIGHT 0.1

struct nst_progress_batch {
    enum nst_progress_kind kind;
    FILE *file; /* for JSON lines, borrowed; or NULL */
    bool utf8;
    const struct nst_batch *pictures;
    bool shared; /* all pictures share one bar */

    pthread_mutex_t lock; /* protects the members below */
    bool bar_visible;     /* the cursor is on the line of a bar */
    size_t pictures_done;
    double *fraction; /* done of each picture; never falls; negative: not started */
    double work;      /* sum of the fractions */
    double begin;
    double last_drawn; /* seconds since begin; negative before the first time */
};

struct nst_progress {
    struct nst_progress_batch *batch;
    enum nst_progress_kind kind;
    const struct nst_batch_item *picture;
    double last_drawn;       /* seconds of the run at the last output */
    double step_seconds;     /* smoothed; 0 before the second step */
    double mean_seconds;     /* of a step of mean cost, smoothed likewise */
    double fraction;         /* of the work that is done; NaN: unknown */
    double last_time;        /* seconds of the run at the last step */
    struct nst_evaluation e; /* the last state; pending: not yet shown */
    int frame, frames;       /* of the last step, as in struct nst_evaluation */
    int64_t done, planned;   /* planned 0: unknown */
    bool pending;
};

/* Format as 1:02:03 or 02:03; "?" if unknown. */
static void format_duration(double seconds, char *to, size_t size)
{
    long s = isfinite(seconds) && seconds < 1e9 ? lround(seconds) : -1;

    if (s < 0)
        snprintf(to, size, "?");
    else if (s >= 3600)
        snprintf(to, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(to, size, "%02ld:%02ld", s / 60, s % 60);
}

static double remaining(const struct nst_progress *p)
{
    return p->mean_seconds > 0
               ? (double)p->planned * (1 - p->fraction) * p->mean_seconds
               : NAN;
}

/* "126/300 [00:12<00:17, 10.2 it/s, content 1.23, style 5.6e-05]"; losses: optional. */
static void format_status(const struct nst_progress *p, bool losses, char *to,
                          size_t size)
{
    char elapsed[24], left[24], rate[32] = "? it/s", last[64] = "";
    char frame[32] = "", planned[32] = " steps";

    format_duration(p->e.seconds, elapsed, sizeof elapsed);
    format_duration(remaining(p), left, sizeof left);
    if (p->step_seconds >= 1)
        snprintf(rate, sizeof rate, "%.2f s/it", p->step_seconds);
    else if (p->step_seconds > 0)
        snprintf(rate, sizeof rate, "%.2f it/s", 1 / p->step_seconds);
    if (losses && !(p->done && isnan(p->e.content_loss))) /* a network knows none */
        snprintf(last, sizeof last, ", content %.4g, style %.4g", p->e.content_loss,
                 p->e.style_loss);
    if (p->frame)
        snprintf(frame, sizeof frame, "frame %d, ", p->frame);
    if (p->planned)
        snprintf(planned, sizeof planned, "/%lld", (long long)p->planned);
    snprintf(to, size, "%s%lld%s [%s<%s, %s%s]", frame, (long long)p->done, planned,
             elapsed, left, rate, last);
}

static int terminal_width(void)
{
    struct winsize w;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) != 0 || w.ws_col == 0)
        return 80;
    return w.ws_col;
}

/* A bar of that many cells: eighths of blocks in UTF-8, or # and -. */
static void render_bar(char *to, int cells, double fraction, bool utf8)
{
    int eighths = (int)(fraction * cells * 8 + 0.5);

    for (int i = 0; i < cells; i++, eighths -= 8) {
        int fill = eighths < 0 ? 0 : eighths > 8 ? 8 : eighths;

        if (!utf8)
            *to++ = fill >= 4 ? '#' : '-';
        else if (fill == 0)
            *to++ = ' ';
        else { /* U+2588 is a full block, U+258F an eighth */
            *to++ = (char)0xe2;
            *to++ = (char)0x96;
            *to++ = (char)(0x90 - fill);
        }
    }
    *to = 0;
}

/* The caller holds the lock of the batch. There is no bar if the fraction is NaN. */
static void draw_bar(struct nst_progress_batch *b, double fraction, const char *text)
{
    char bar[3 * 60 + 1] = "";
    int width = terminal_width() - 1, cells;

    cells = width - (int)strlen(text) - 8; /* "100%|" before it, "| " after it */
    if (cells > 60)
        cells = 60;
    if (cells >= 4 && !isnan(fraction)) {
        render_bar(bar, cells, fraction, b->utf8);
        fprintf(stderr, "\r%3.0f%%|%s| %s\033[K", 100 * fraction, bar, text);
    } else
        fprintf(stderr, "\r%.*s\033[K", width, text);
    fflush(stderr);
    b->bar_visible = true;
}

/* Leave the bar on the screen and go to the next line. */
void nst_progress_batch_end_bar(struct nst_progress_batch *b)
{
    pthread_mutex_lock(&b->lock);
    if (b->bar_visible)
        fputc('\n', stderr);
    b->bar_visible = false;
    pthread_mutex_unlock(&b->lock);
}

void nst_progress_message(struct nst_progress_batch *b, const char *line)
{
    pthread_mutex_lock(&b->lock);
    fprintf(stderr, "%s%s: %s\n", b->bar_visible ? "\r\033[K" : "",
            program_invocation_short_name, line);
    b->bar_visible = false;
    pthread_mutex_unlock(&b->lock);
}

static bool has_several(const struct nst_progress *p)
{
    return p->batch->pictures->items > 1;
}

static void print_plain(const struct nst_progress *p)
{
    char text[LINE_SIZE], percent[16] = "", *line;

    format_status(p, true, text, sizeof text);
    if (!isnan(p->fraction))
        snprintf(percent, sizeof percent, "%3.0f%% ", 100 * p->fraction);
    line = nst_xasprintf("%s: %s%s%s%s", program_invocation_short_name,
                         has_several(p) ? p->picture->content : "",
                         has_several(p) ? ": " : "", percent, text);
    nst_sanitise_line(line);
    fprintf(stderr, "%s\n", line);
    free(line);
}

static size_t index_of(const struct nst_progress_batch *b,
                       const struct nst_batch_item *picture)
{
    return (size_t)(picture - b->pictures->item);
}

static json_t *json_number(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

/* Write a JSON line; takes over j. percent is that of the whole run. */
static void print_json(struct nst_progress_batch *b, json_t *j,
                       const struct nst_batch_item *picture, bool unknown)
{
    FILE *to[] = {b->kind == NST_PROGRESS_JSON ? stderr : NULL, b->file};
    size_t count = b->pictures->items;
    char *text;

    json_object_set_new(j, "picture", nst_json_text(picture->content));
    json_object_set_new(j, "number",
                        json_integer((json_int_t)index_of(b, picture) + 1));
    json_object_set_new(j, "pictures", json_integer((json_int_t)count));
    pthread_mutex_lock(&b->lock); /* keeps the lines in order */
    json_object_set_new(
        j, "percent", unknown ? json_null() : json_real(100 * b->work / (double)count));
    text = json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(9));
    for (size_t i = 0; i < sizeof to / sizeof *to; i++)
        if (to[i])
            fprintf(to[i], "%s\n", text);
    pthread_mutex_unlock(&b->lock);
    free(text);
    json_decref(j);
}

static bool wants_json(const struct nst_progress_batch *b)
{
    return b->file || b->kind == NST_PROGRESS_JSON;
}

static void print_event(const struct nst_progress *p, const char *event,
                        const char *end)
{
    json_t *j = json_pack(
        "{s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "event", event, "done",
        (json_int_t)p->done, "total",
        p->planned ? json_integer(p->planned) : json_null(), "content_loss",
        json_number(p->e.content_loss), "style_loss", json_number(p->e.style_loss),
        "total_loss", json_number(p->e.total_loss), "seconds",
        json_number(p->e.seconds), "eta_seconds", json_number(end ? 0 : remaining(p)));

    if (p->frame)
        json_object_set_new(j, "frame", json_integer(p->frame));
    if (p->frames)
        json_object_set_new(j, "frames", json_integer(p->frames));
    if (end)
        json_object_set_new(j, "end", json_string(end));
    print_json(p->batch, j, p->picture, isnan(p->fraction) && !has_several(p));
}

static void draw(struct nst_progress *p)
{
    char text[LINE_SIZE];

    if (p->kind == NST_PROGRESS_BAR) {
        format_status(p, terminal_width() >= LOSSES_COLUMNS, text, sizeof text);
        pthread_mutex_lock(&p->batch->lock);
        draw_bar(p->batch, p->fraction, text);
        pthread_mutex_unlock(&p->batch->lock);
    } else if (p->kind == NST_PROGRESS_PLAIN)
        print_plain(p);
    p->last_drawn = p->e.seconds;
    p->pending = false;
}

/* "3/16 pictures [00:12<00:40]"; the caller holds the lock of the batch. */
static void draw_batch(struct nst_progress_batch *b, double seconds)
{
    double fraction = b->work / (double)b->pictures->items;
    char text[LINE_SIZE], elapsed[24], left[24];

    format_duration(seconds, elapsed, sizeof elapsed);
    format_duration(fraction > 0 ? seconds / fraction * (1 - fraction) : NAN, left,
                    sizeof left);
    snprintf(text, sizeof text, "%zu/%zu pictures [%s<%s]", b->pictures_done,
             b->pictures->items, elapsed, left);
    draw_bar(b, fraction, text);
    b->last_drawn = seconds;
}

/* Count the fraction done of a picture, which never falls, and redraw a shared bar. */
static void update_batch(struct nst_progress_batch *b,
                         const struct nst_batch_item *picture, double fraction,
                         size_t pictures_done)
{
    double *before = &b->fraction[index_of(b, picture)], seconds;

    pthread_mutex_lock(&b->lock);
    if (fraction > *before) { /* false for NaN */
        b->work += fraction - fmax(*before, 0);
        *before = fraction;
    }
    b->pictures_done += pictures_done;
    seconds = nst_clock_seconds() - b->begin;
    if (b->shared && b->kind == NST_PROGRESS_BAR &&
        (pictures_done || b->last_drawn < 0 ||
         seconds - b->last_drawn >= REDRAW_SECONDS))
        draw_batch(b, seconds);
    pthread_mutex_unlock(&b->lock);
}

/* Whether standard error is a terminal that can return to the start of a line. */
static bool can_redraw(void)
{
    const char *terminal = getenv("TERM");

    return isatty(STDERR_FILENO) && !(terminal && strcmp(terminal, "dumb") == 0);
}

struct nst_progress_batch *nst_progress_batch_new(enum nst_progress_kind kind,
                                                  FILE *file,
                                                  const struct nst_batch *pictures,
                                                  int parallel)
{
    struct nst_progress_batch *b = nst_xcalloc(1, sizeof *b);

    if (kind == NST_PROGRESS_AUTO)
        kind = can_redraw() ? NST_PROGRESS_BAR : NST_PROGRESS_PLAIN;
    b->kind = kind;
    b->file = file;
    b->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    b->pictures = pictures;
    b->fraction = nst_xcalloc(pictures->items, sizeof *b->fraction);
    for (size_t i = 0; i < pictures->items; i++)
        b->fraction[i] = -1;
    b->shared = parallel > 1;
    b->last_drawn = -1;
    pthread_mutex_init(&b->lock, NULL);
    b->begin = nst_clock_seconds();
    return b;
}

void nst_progress_batch_advance(struct nst_progress_batch *b,
                                const struct nst_batch_item *picture,
                                enum nst_outcome outcome)
{
    bool started = b->fraction[index_of(b, picture)] >= 0;
    bool stopped = outcome == NST_OUTCOME_STOPPED || outcome == NST_OUTCOME_CANCELLED;

    update_batch(b, picture, stopped ? 0 : 1, !stopped);
    if (!started && wants_json(b)) /* the picture has no other event */
        print_json(b,
                   json_pack("{s:s, s:s}", "event", "end", "end",
                             stopped                          ? "stopped"
                             : outcome == NST_OUTCOME_SKIPPED ? "skipped"
                                                              : "failed"),
                   picture, false);
}

void nst_progress_batch_end(struct nst_progress_batch *b)
{
    nst_progress_batch_end_bar(b);
    pthread_mutex_destroy(&b->lock);
    free(b->fraction);
    free(b);
}

struct nst_progress *nst_progress_new(struct nst_progress_batch *b,
                                      const struct nst_batch_item *picture,
                                      int64_t planned)
{
    struct nst_progress *p = nst_xcalloc(1, sizeof *p);

    p->batch = b;
    p->kind = b->shared && b->kind == NST_PROGRESS_BAR ? NST_PROGRESS_NONE : b->kind;
    p->picture = picture;
    p->last_drawn = -INFINITY;
    p->planned = planned;
    p->fraction = planned ? 0 : NAN;
    p->e.content_loss = p->e.style_loss = p->e.total_loss = NAN; /* unknown */
    update_batch(b, picture, 0, 0);
    if (wants_json(b))
        print_event(p, "start", NULL);
    return p;
}

static void update_ema(double *mean, double value)
{
    *mean = *mean > 0 ? (1 - EMA_WEIGHT) * *mean + EMA_WEIGHT * value : value;
}

void nst_progress_step(struct nst_progress *p, const struct nst_evaluation *e,
                       int64_t done, int64_t planned)
{
    double interval = p->kind == NST_PROGRESS_BAR     ? REDRAW_SECONDS
                      : p->kind == NST_PROGRESS_PLAIN ? PLAIN_SECONDS
                                                      : 0;
    double elapsed = e->seconds - p->last_time;

    if (done > p->done && p->done > 0) {
        update_ema(&p->step_seconds, elapsed / (double)(done - p->done));
        update_ema(&p->mean_seconds, elapsed / ((double)planned * e->fraction -
                                                (double)p->planned * p->fraction));
    }
    p->last_time = e->seconds;
    p->e = *e;
    p->done = done;
    p->planned = planned;
    p->fraction = e->fraction;
    p->frame = e->frame;
    p->frames = e->frames;
    p->pending = true;
    update_batch(p->batch, p->picture, p->fraction, 0);
    if (wants_json(p->batch))
        print_event(p, "step", NULL);
    if (e->seconds - p->last_drawn >= interval)
        draw(p);
}

void nst_progress_end(struct nst_progress *p, const struct nst_job_result *result)
{
    static const char *const ends[] = {"completed", "converged", "stopped"};

    if (result)
        p->e = result->final;
    if (result && result->end != NST_JOB_STOPPED)
        update_batch(p->batch, p->picture, p->fraction = 1, 0);
    if (p->pending && p->kind != NST_PROGRESS_NONE)
        draw(p);
    if (wants_json(p->batch))
        print_event(p, "end", result ? ends[result->end] : "failed");
    if (p->kind == NST_PROGRESS_BAR)
        nst_progress_batch_end_bar(p->batch);
    free(p);
}
