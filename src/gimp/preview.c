/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "gimp/preview.h"

#include <stdlib.h>
#include <string.h>

#include <libgimp/gimp.h>
#include <libgimp/gimpui.h>

#include "gimp/stage.h"
#include "gimp/task.h"
#include "gimp/view.h"

/* Milliseconds between two looks at the run. */
#define TICK 50

/* In their order: each is followed by the next one. */
enum work { WORK_WHOLE, WORK_PART, WORK_ESTIMATE, WORK_NONE };

struct nst_gimp_live {
    const struct nst_gimp_settings *settings;
    const struct nst_gimp_region *region;
    struct nst_gimp_view view;
    GtkWidget *text;
    struct nst_gimp_paint whole, part; /* painted so far */
    struct nst_gimp_stage stage;       /* of the task */
    struct nst_gimp_task *task;        /* or NULL */
    enum work work, next;              /* of task; to begin when it has ended */
    gboolean estimated;                /* the text is an estimate by these settings */
    guint timer;
};

static void draw(const struct nst_gimp_live *l)
{
    const struct nst_gimp_paint *const paintings[] = {&l->part, &l->whole};

    if (nst_gimp_view_is_on(&l->view))
        nst_gimp_view_draw(&l->view, paintings, G_N_ELEMENTS(paintings));
}

/* The picture that the task paints. */
static struct nst_gimp_paint *painted(struct nst_gimp_live *l)
{
    return l->work == WORK_WHOLE ? &l->whole : &l->part;
}

/* Show pixels of the task, which are taken over. */
static void show(struct nst_gimp_live *l, guchar *rgb, int width, int height)
{
    struct nst_gimp_paint *p = painted(l);

    p->x = l->stage.x;
    p->y = l->stage.y;
    p->w = l->stage.w;
    p->h = l->stage.h;
    nst_gimp_paint_replace(p, rgb, width, height);
    if (l->work == WORK_WHOLE) /* belongs to settings before */
        nst_gimp_paint_clear(&l->part);
    draw(l);
}

static void show_error(struct nst_gimp_live *l, const struct nst_err *err)
{
    gtk_label_set_text(GTK_LABEL(l->text), err->text);
}

static void show_estimate(struct nst_gimp_live *l, const struct nst_estimate *e)
{
    int seconds = (int)(e->seconds + 0.5);
    gchar *text = g_strdup_printf(
        "%d × %d pixels, about %d min %d s and %zu MiB of memory", e->width, e->height,
        seconds / 60, seconds % 60, e->memory >> 20);

    gtk_label_set_text(GTK_LABEL(l->text), text);
    g_free(text);
}

static void start_stage(struct nst_gimp_live *l, struct nst_params *p)
{
    nst_params_set(p, "save-every", "2", NULL);
    if (!l->estimated)
        gtk_label_set_text(GTK_LABEL(l->text), "Preview…");
    l->task =
        nst_gimp_task_start(p, &l->stage.picture, &l->stage.keep, &l->stage.result);
}

/* Start that work. False if there is nothing to do. */
static gboolean start(struct nst_gimp_live *l, enum work work, struct nst_params *p)
{
    const struct nst_gimp_region *r = l->region;
    struct nst_gimp_frame frame = nst_gimp_view_frame(&l->view);

    l->work = work;
    if (work == WORK_WHOLE && !nst_gimp_stage_whole(&l->stage, r, p)) {
        nst_gimp_paint_clear(&l->whole);
        nst_gimp_paint_clear(&l->part);
        return FALSE;
    }
    if (work == WORK_PART && !nst_gimp_stage_part(&l->stage, r, &frame, &l->whole, p))
        return FALSE;
    if (work != WORK_ESTIMATE) {
        start_stage(l, p);
        return TRUE;
    }
    if (l->estimated)
        return FALSE;
    nst_params_set(p, "dry-run", "true", NULL);
    l->task = nst_gimp_task_start(p, &r->picture, &r->keep, &r->picture);
    return TRUE;
}

/* Begin the next piece of work. */
static void begin(struct nst_gimp_live *l)
{
    const struct nst_gimp_region *r = l->region;
    struct nst_params p;
    struct nst_err err;
    enum nst_status st = nst_gimp_settings_params(
        l->settings, MAX(r->picture.width, r->picture.height), &p, &err);
    enum work work = l->next;

    if (st == NST_OK && work != WORK_ESTIMATE && !nst_gimp_view_is_on(&l->view))
        work = WORK_ESTIMATE;
    l->next = WORK_NONE;
    if (st != NST_OK)
        show_error(l, &err);
    else
        while (work < WORK_NONE && !start(l, work, &p))
            work++;
    nst_params_clear(&p);
}

static void end(struct nst_gimp_live *l)
{
    struct nst_estimate estimate;
    gboolean cancelled;
    struct nst_err err;
    enum nst_status st = nst_gimp_task_finish(l->task, &cancelled, &estimate, &err);

    l->task = NULL;
    if (l->next != WORK_NONE) /* the settings have changed meanwhile */
        ;
    else if (st != NST_OK)
        show_error(l, &err);
    else if (l->work == WORK_ESTIMATE) {
        show_estimate(l, &estimate);
        l->estimated = TRUE;
    } else if (!cancelled) {
        struct nst_samples *result = &l->stage.result;

        show(l, result->data, result->width, result->height);
        result->data = NULL;
        l->next = l->work + 1;
    }
    nst_gimp_stage_clear(&l->stage);
}

static gboolean look(gpointer data)
{
    struct nst_gimp_live *l = data;
    struct nst_gimp_preview preview;

    if (l->task && nst_gimp_task_preview(l->task, &preview)) {
        if (l->next == WORK_NONE)
            show(l, preview.rgb, preview.width, preview.height);
        else
            g_free(preview.rgb);
    }
    if (l->task && nst_gimp_task_is_finished(l->task))
        end(l);
    if (!l->task && l->next != WORK_NONE)
        begin(l);
    return G_SOURCE_CONTINUE;
}

/* Cancel what runs, and begin again at that work. */
static void restart(struct nst_gimp_live *l, enum work work)
{
    if (l->task)
        nst_gimp_task_cancel(l->task);
    l->next = MIN(l->next, work);
}

static void on_view_changed(gpointer data)
{
    struct nst_gimp_live *l = data;

    draw(l);
    if (l->task && l->work == WORK_WHOLE) /* it goes on to the part */
        return;
    restart(l, l->whole.rgb || l->part.rgb ? WORK_PART : WORK_WHOLE);
}

struct nst_gimp_live *nst_gimp_live_new(const struct nst_gimp_settings *s,
                                        const struct nst_gimp_region *r,
                                        GtkWidget *text)
{
    struct nst_gimp_live *l = g_new0(struct nst_gimp_live, 1);

    l->settings = s;
    l->region = r;
    l->text = text;
    l->next = WORK_WHOLE;
    nst_gimp_view_init(&l->view, r, on_view_changed, l);
    l->timer = g_timeout_add(TICK, look, l);
    return l;
}

GtkWidget *nst_gimp_live_widget(struct nst_gimp_live *l)
{
    return l->view.widget;
}

void nst_gimp_live_change(struct nst_gimp_live *l)
{
    l->estimated = FALSE;
    restart(l, WORK_WHOLE);
}

void nst_gimp_live_free(struct nst_gimp_live *l)
{
    struct nst_err err;

    nst_gimp_view_clear(&l->view);
    g_source_remove(l->timer);
    if (l->task) {
        nst_gimp_task_cancel(l->task);
        nst_gimp_task_finish(l->task, NULL, NULL, &err);
    }
    nst_gimp_stage_clear(&l->stage);
    nst_gimp_paint_clear(&l->whole);
    nst_gimp_paint_clear(&l->part);
    g_free(l);
}
