/* SPDX-License-Identifier: MIT */
/* main.c - the plug-in of GIMP: Filters > Artistic > Style Transfer. */
#include "config.h"

#include <string.h>

#include <libgimp/gimp.h>

#include "gimp/dialog.h"
#include "gimp/output.h"
#include "gimp/region.h"
#include "gimp/settings.h"
#include "gimp/task.h"

/* Milliseconds between two looks at the run. */
#define TICK 100
#define SAVE_EVERY "4" /* steps */
/* Microseconds between two pictures so far. */
#define SO_FAR_INTERVAL (2 * G_USEC_PER_SEC)

/* The arguments of the procedure, in their order. */
enum {
    ARG_RUN_MODE,
    ARG_IMAGE,
    ARG_DRAWABLE,
    ARG_STYLE,
    ARG_PRESET,
    ARG_STRENGTH,
    ARG_SIZE,
    ARG_STYLE_SCALE,
    ARG_COLOURS,
    ARG_SEED,
    ARG_NEW_LAYER,
    ARG_OPTIONS,
    ARGS
};

static void query(void)
{
    static const GimpParamDef args[ARGS] = {
        {GIMP_PDB_INT32, "run-mode",
         "The run mode { RUN-INTERACTIVE (0), RUN-NONINTERACTIVE (1), "
         "RUN-WITH-LAST-VALS (2) }"},
        {GIMP_PDB_IMAGE, "image", "The image"},
        {GIMP_PDB_DRAWABLE, "drawable", "The layer or channel"},
        {GIMP_PDB_STRING, "style",
         "The style: its name or the file of a picture, or several with weights "
         "(FILE:WEIGHT), separated by semicolons"},
        {GIMP_PDB_STRING, "preset", "The preset, or \"\""},
        {GIMP_PDB_FLOAT, "strength", "The strength, 0 to 1; -1: that of the preset"},
        {GIMP_PDB_INT32, "size",
         "The longest side at which to work, 16 to 65536 pixels; 0: that of the layer "
         "or selection"},
        {GIMP_PDB_FLOAT, "style-scale",
         "The size of the strokes, 0.1 to 10; 0: that of the preset"},
        {GIMP_PDB_INT32, "colours",
         "The colours: of the style (0), of the layer (1), matched (2), as the preset "
         "says (-1)"},
        {GIMP_PDB_INT32, "seed", "The seed of noise; -1: the default"},
        {GIMP_PDB_INT32, "new-layer", "Put the result into a new layer (TRUE, FALSE)"},
        {GIMP_PDB_STRING, "options",
         "Further options of nst, as in \"iterations=200; max-memory=4G\", or \"\""},
    };

    gimp_install_procedure(
        NST_GIMP_PROCEDURE, "Paint the layer in the style of a picture",
        "Makes the layer, or the selected part of it, look like a painting: nst "
        "optimises it so that the features of a neural network match the content of "
        "the layer and the statistics of the style. Soft edges of the selection blend "
        "the result with the layer. The result of an 8-bit layer in sRGB is that of "
        "the program nst for the same options.",
        "The nst developers", "The nst developers", "2026", "Style _Transfer...",
        "RGB*, GRAY*", GIMP_PLUGIN, ARGS, 0, args, NULL);
    gimp_plugin_menu_register(NST_GIMP_PROCEDURE, "<Image>/Filters/Artistic");
}

/* Copy a string argument. NST_ERR_ARG if it is too long. */
static enum nst_status copy_text(gchar *to, gsize size, const GimpParam *arg,
                                 const char *name, struct nst_err *err)
{
    const gchar *text = arg->data.d_string ? arg->data.d_string : "";

    if (g_strlcpy(to, text, size) < size)
        return NST_OK;
    return nst_err_set(err, NST_ERR_ARG, "%s: more than %d bytes", name, (int)size - 1);
}

static enum nst_status read_args(struct nst_gimp_settings *s, const GimpParam *args,
                                 int n, struct nst_err *err)
{
    enum nst_status st = NST_OK;

    memset(s, 0, sizeof *s);
    if (n != ARGS)
        return nst_err_set(err, NST_ERR_ARG, "%d arguments; %d are required", n, ARGS);
    st = copy_text(s->style, sizeof s->style, &args[ARG_STYLE], "style", err);
    if (st == NST_OK)
        st = copy_text(s->preset, sizeof s->preset, &args[ARG_PRESET], "preset", err);
    if (st == NST_OK)
        st = copy_text(s->options, sizeof s->options, &args[ARG_OPTIONS], "options",
                       err);
    s->strength = args[ARG_STRENGTH].data.d_float;
    s->size = args[ARG_SIZE].data.d_int32;
    s->style_scale = args[ARG_STYLE_SCALE].data.d_float;
    s->colours = args[ARG_COLOURS].data.d_int32;
    s->seed = args[ARG_SEED].data.d_int32;
    s->new_layer = args[ARG_NEW_LAYER].data.d_int32;
    return st;
}

/* A task whose progress GIMP shows. */
struct shown_task {
    struct nst_gimp_task *task;
    GMainLoop *loop;
    struct nst_gimp_output *output; /* gets the picture so far; NULL: not wanted */
    gint64 shown;                   /* when it got the last one */
};

/* The button in GIMP's progress bar ends this process at once. */
static void show_so_far(struct shown_task *s)
{
    struct nst_gimp_preview picture;

    if (!s->output || g_get_monotonic_time() - s->shown < SO_FAR_INTERVAL ||
        !nst_gimp_task_preview(s->task, &picture))
        return;
    nst_gimp_output_so_far(s->output, &picture);
    g_free(picture.rgb);
    s->shown = g_get_monotonic_time();
}

static gboolean look(gpointer data)
{
    struct shown_task *s = data;

    gimp_progress_update(nst_gimp_task_fraction(s->task));
    if (!nst_gimp_task_is_finished(s->task)) {
        show_so_far(s);
        return G_SOURCE_CONTINUE;
    }
    g_main_loop_quit(s->loop);
    return G_SOURCE_REMOVE;
}

/* Stylise the region of the output with GIMP's progress bar. */
static enum nst_status stylise(struct nst_gimp_output *o, struct nst_params *p,
                               const gchar *name, struct nst_err *err)
{
    const struct nst_gimp_region *r = o->region;
    gchar *title = g_strdup_printf("Style Transfer: %s", name);
    struct shown_task s = {.loop = g_main_loop_new(NULL, FALSE)};
    enum nst_status st;

    if (p->on_interrupt == NST_ON_INTERRUPT_KEEP) {
        s.output = o;
        nst_params_set(p, "save-every", SAVE_EVERY, NULL);
    }
    gimp_progress_init(title);
    s.task = nst_gimp_task_start(p, &r->picture, &r->keep, &r->picture);
    g_timeout_add(TICK, look, &s);
    g_main_loop_run(s.loop);
    g_main_loop_unref(s.loop);
    st = nst_gimp_task_finish(s.task, NULL, NULL, err);
    gimp_progress_end();
    g_free(title);
    return st;
}

/* Make the picture that the settings describe. */
static enum nst_status work(struct nst_gimp_region *r,
                            const struct nst_gimp_settings *s, struct nst_err *err)
{
    gchar *name = nst_gimp_settings_style_name(s);
    gchar *layer = g_strdup_printf("Style Transfer: %s", name);
    struct nst_gimp_output output;
    struct nst_params p;
    enum nst_status st =
        nst_gimp_settings_params(s, MAX(r->picture.width, r->picture.height), &p, err);

    nst_gimp_output_init(&output, r, s->new_layer ? layer : NULL);
    if (st == NST_OK)
        st = stylise(&output, &p, name, err);
    if (st == NST_OK)
        nst_gimp_output_result(&output);
    nst_gimp_output_clear(&output);
    nst_params_clear(&p);
    g_free(layer);
    g_free(name);
    return st;
}

/* Get the settings as the run mode says; *cancelled if the user closes the dialog. */
static enum nst_status choose(struct nst_gimp_settings *s,
                              const struct nst_gimp_region *r, GimpRunMode mode,
                              const GimpParam *args, int n, gboolean *cancelled,
                              struct nst_err *err)
{
    *cancelled = FALSE;
    if (mode == GIMP_RUN_NONINTERACTIVE)
        return read_args(s, args, n, err);
    if (!nst_gimp_settings_load(s))
        nst_gimp_settings_default(s);
    if (mode == GIMP_RUN_INTERACTIVE)
        *cancelled = !nst_gimp_dialog_run(s, r);
    return NST_OK;
}

static GimpPDBStatusType status_of(enum nst_status st)
{
    if (st == NST_OK)
        return GIMP_PDB_SUCCESS;
    return st == NST_ERR_ARG ? GIMP_PDB_CALLING_ERROR : GIMP_PDB_EXECUTION_ERROR;
}

static void run(const gchar *procedure, gint n, const GimpParam *args, gint *n_values,
                GimpParam **values)
{
    static GimpParam result[2];
    static struct nst_err err;
    struct nst_gimp_settings s;
    struct nst_gimp_region r;
    GimpRunMode mode = (GimpRunMode)args[ARG_RUN_MODE].data.d_int32;
    gboolean cancelled = FALSE;
    enum nst_status st;

    (void)procedure;
    gegl_init(NULL, NULL);
    st = nst_picture_init("nst", &err);
    if (st == NST_OK)
        st = nst_gimp_region_read(&r, args[ARG_IMAGE].data.d_image,
                                  args[ARG_DRAWABLE].data.d_drawable, &err);
    else
        memset(&r, 0, sizeof r);
    if (st == NST_OK)
        st = choose(&s, &r, mode, args, n, &cancelled, &err);
    if (st == NST_OK && !cancelled && mode == GIMP_RUN_INTERACTIVE)
        nst_gimp_settings_store(&s); /* GIMP may end this process while it works */
    if (st == NST_OK && !cancelled)
        st = work(&r, &s, &err);
    if (st == NST_OK && !cancelled && mode == GIMP_RUN_NONINTERACTIVE)
        nst_gimp_settings_store(&s);
    if (st == NST_OK && mode != GIMP_RUN_NONINTERACTIVE)
        gimp_displays_flush();
    nst_gimp_region_clear(&r);
    result[0].type = GIMP_PDB_STATUS;
    result[0].data.d_status = cancelled ? GIMP_PDB_CANCEL : status_of(st);
    result[1].type = GIMP_PDB_STRING;
    result[1].data.d_string = err.text;
    *values = result;
    *n_values = st == NST_OK ? 1 : 2;
}

const GimpPlugInInfo PLUG_IN_INFO = {NULL, NULL, query, run};

MAIN()
