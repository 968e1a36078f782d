/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "gimp/dialog.h"

#include <string.h>

#include <libgimp/gimp.h>
#include <libgimp/gimpui.h>

#include "gimp/preview.h"
#include "gimp/styles.h"

#define SPACE 6
/* Of the list of styles and of the space for the preview, in pixels. */
#define STYLES_WIDTH 340
#define STYLES_HEIGHT 220
#define PREVIEW_WIDTH 360
#define PREVIEW_HEIGHT 340

struct dialog {
    struct nst_gimp_settings *settings;
    struct nst_gimp_live *live; /* NULL until all widgets exist */
    GtkWidget *style, *styles, *file, *layer, *preset, *colours, *size, *seed,
        *new_layer, *cancel, *options;
    GtkObject *strength, *scale;
    struct nst_gimp_settings before; /* when the dialog opened */
};

/* What the sliders show of settings that may leave the value to the preset. */
static gdouble shown_strength(const struct nst_gimp_settings *s)
{
    return s->strength < 0 ? 1 : s->strength;
}

static gdouble shown_scale(const struct nst_gimp_settings *s)
{
    return s->style_scale == 0 ? 1 : s->style_scale;
}

/* The value of a slider, or that before if it stands where it was shown at first. */
static gdouble value_of(GtkObject *slider, gdouble shown, gdouble before)
{
    gdouble value = gtk_adjustment_get_value(GTK_ADJUSTMENT(slider));

    return value == shown ? before : value;
}

/* Take the settings over from the widgets. */
static void change(struct dialog *d)
{
    struct nst_gimp_settings *s = d->settings;
    gchar *preset = gtk_combo_box_text_get_active_text(GTK_COMBO_BOX_TEXT(d->preset));
    gint colours = -1, keep = 0;

    if (!d->live)
        return;
    g_strlcpy(s->style, gtk_entry_get_text(GTK_ENTRY(d->style)), sizeof s->style);
    g_strlcpy(s->options, gtk_entry_get_text(GTK_ENTRY(d->options)), sizeof s->options);
    g_strlcpy(s->preset,
              gtk_combo_box_get_active(GTK_COMBO_BOX(d->preset)) > 0 ? preset : "",
              sizeof s->preset);
    g_free(preset);
    gimp_int_combo_box_get_active(GIMP_INT_COMBO_BOX(d->colours), &colours);
    s->colours = colours;
    gimp_int_combo_box_get_active(GIMP_INT_COMBO_BOX(d->cancel), &keep);
    s->keep = keep;
    s->strength = value_of(d->strength, shown_strength(&d->before), d->before.strength);
    s->style_scale = value_of(d->scale, shown_scale(&d->before), d->before.style_scale);
    s->size = gtk_spin_button_get_value_as_int(GTK_SPIN_BUTTON(d->size));
    s->seed = gtk_spin_button_get_value_as_int(GTK_SPIN_BUTTON(d->seed));
    s->new_layer = gtk_toggle_button_get_active(GTK_TOGGLE_BUTTON(d->new_layer));
    nst_gimp_live_change(d->live);
}

static void on_style_chosen(GtkIconView *view, gpointer data)
{
    struct dialog *d = data;
    GtkTreeModel *model = gtk_icon_view_get_model(view);
    GList *paths = gtk_icon_view_get_selected_items(view);
    GtkTreeIter at;
    gchar *name;

    if (paths && gtk_tree_model_get_iter(model, &at, paths->data)) {
        gtk_tree_model_get(model, &at, NST_GIMP_STYLE_VALUE, &name, -1);
        gtk_entry_set_text(GTK_ENTRY(d->style), name);
        g_free(name);
    }
    g_list_free_full(paths, (GDestroyNotify)gtk_tree_path_free);
}

static void on_file_chosen(GtkFileChooserButton *button, gpointer data)
{
    struct dialog *d = data;
    gchar *path = gtk_file_chooser_get_filename(GTK_FILE_CHOOSER(button));

    if (path)
        gtk_entry_set_text(GTK_ENTRY(d->style), path);
    g_free(path);
}

/* Use the layer that the list of open images shows. */
static void on_layer_wanted(GtkButton *button, gpointer data)
{
    struct dialog *d = data;
    gint drawable;
    gchar *path = NULL;

    (void)button;
    if (gimp_int_combo_box_get_active(GIMP_INT_COMBO_BOX(d->layer), &drawable))
        path = nst_gimp_styles_save_layer(drawable);
    if (path)
        gtk_entry_set_text(GTK_ENTRY(d->style), path);
    g_free(path);
}

static void add_preset(void *ctx, const char *name, const char *path,
                       const char *description)
{
    struct dialog *d = ctx;
    GtkComboBoxText *box = GTK_COMBO_BOX_TEXT(d->preset);

    (void)path;
    (void)description;
    gtk_combo_box_text_append_text(box, name);
    if (strcmp(name, d->settings->preset) == 0)
        gtk_combo_box_set_active(
            GTK_COMBO_BOX(box), gtk_tree_model_iter_n_children(
                                    gtk_combo_box_get_model(GTK_COMBO_BOX(box)), NULL) -
                                    1);
}

static GtkWidget *styles_view(struct dialog *d)
{
    GtkListStore *list = nst_gimp_styles_list();
    GtkWidget *scroll = gtk_scrolled_window_new(NULL, NULL);

    d->styles = gtk_icon_view_new_with_model(GTK_TREE_MODEL(list));
    g_object_unref(list);
    gtk_icon_view_set_pixbuf_column(GTK_ICON_VIEW(d->styles), NST_GIMP_STYLE_PICTURE);
    gtk_icon_view_set_text_column(GTK_ICON_VIEW(d->styles), NST_GIMP_STYLE_NAME);
    gtk_icon_view_set_tooltip_column(GTK_ICON_VIEW(d->styles), NST_GIMP_STYLE_TITLE);
    gtk_icon_view_set_item_width(GTK_ICON_VIEW(d->styles), 92);
    gtk_icon_view_set_spacing(GTK_ICON_VIEW(d->styles), 2);
    gtk_icon_view_set_selection_mode(GTK_ICON_VIEW(d->styles), GTK_SELECTION_SINGLE);
    g_signal_connect(d->styles, "selection-changed", G_CALLBACK(on_style_chosen), d);
    gtk_scrolled_window_set_policy(GTK_SCROLLED_WINDOW(scroll), GTK_POLICY_NEVER,
                                   GTK_POLICY_AUTOMATIC);
    gtk_scrolled_window_set_shadow_type(GTK_SCROLLED_WINDOW(scroll), GTK_SHADOW_IN);
    gtk_container_add(GTK_CONTAINER(scroll), d->styles);
    gtk_widget_set_size_request(scroll, STYLES_WIDTH, STYLES_HEIGHT);
    return scroll;
}

static GtkWidget *entry(const gchar *text, const gchar *tooltip)
{
    GtkWidget *w = gtk_entry_new();

    gtk_entry_set_text(GTK_ENTRY(w), text);
    gtk_entry_set_activates_default(GTK_ENTRY(w), TRUE);
    gimp_help_set_help_data(w, tooltip, NULL);
    return w;
}

static GtkWidget *spin(gint value, gint from, gint to, const gchar *tooltip)
{
    GtkWidget *w = gtk_spin_button_new_with_range(from, to, 1);

    gtk_spin_button_set_value(GTK_SPIN_BUTTON(w), value);
    gtk_entry_set_activates_default(GTK_ENTRY(w), TRUE);
    gimp_help_set_help_data(w, tooltip, NULL);
    return w;
}

static void make_widgets(struct dialog *d)
{
    const struct nst_gimp_settings *s = d->settings;

    d->style =
        entry(s->style, "A style by its name, or the file of a picture. Several, "
                        "as in monet; photo.jpg:2, are mixed by their weights.");
    d->file =
        gtk_file_chooser_button_new("Style Picture", GTK_FILE_CHOOSER_ACTION_OPEN);
    d->layer = gimp_drawable_combo_box_new(NULL, NULL);
    d->preset = gtk_combo_box_text_new();
    gtk_combo_box_text_append_text(GTK_COMBO_BOX_TEXT(d->preset), "(none)");
    gtk_combo_box_set_active(GTK_COMBO_BOX(d->preset), 0);
    nst_preset_each(add_preset, d);
    d->colours = gimp_int_combo_box_new(
        "As the preset says", -1, "Of the style", NST_COLOUR_STYLE, "Of the layer",
        NST_COLOUR_CONTENT, "Style matched to the layer", NST_COLOUR_MATCH, NULL);
    gimp_int_combo_box_set_active(GIMP_INT_COMBO_BOX(d->colours), s->colours);
    d->size = spin(s->size, 0, 65536,
                   "Longest side at which nst works, in pixels; the result is enlarged "
                   "to the layer. 0: the size of the layer or selection.");
    d->seed = spin(s->seed, -1, G_MAXINT, "Seed of noise; -1: the default.");
    d->new_layer = gtk_check_button_new_with_mnemonic("As new la_yer");
    gtk_toggle_button_set_active(GTK_TOGGLE_BUTTON(d->new_layer), s->new_layer != 0);
    d->cancel = gimp_int_combo_box_new("Restore the layer", FALSE,
                                       "Keep the picture so far", TRUE, NULL);
    gimp_int_combo_box_set_active(GIMP_INT_COMBO_BOX(d->cancel), s->keep != 0);
    gimp_help_set_help_data(d->cancel,
                            "What the button in the progress bar does. To be kept, the "
                            "picture so far is shown in the image as it grows.",
                            NULL);
    d->options = entry(s->options, "Further options of nst, as in iterations=200; "
                                   "max-memory=4G.");
}

static void attach(GtkWidget *table, gint row, const gchar *label, GtkWidget *w)
{
    gimp_table_attach_aligned(GTK_TABLE(table), 0, row, label, 0.0, 0.5, w, 2, FALSE);
}

/* A row of the table with two widgets. */
static GtkWidget *beside(GtkWidget *a, GtkWidget *b)
{
    GtkWidget *box = gtk_hbox_new(FALSE, SPACE);

    gtk_box_pack_start(GTK_BOX(box), a, TRUE, TRUE, 0);
    gtk_box_pack_start(GTK_BOX(box), b, FALSE, FALSE, 0);
    gtk_widget_show_all(box);
    return box;
}

static GtkWidget *settings_table(struct dialog *d)
{
    const struct nst_gimp_settings *s = d->settings;
    GtkWidget *table = gtk_table_new(11, 3, FALSE);
    GtkWidget *use = gtk_button_new_with_mnemonic("Us_e");

    gtk_table_set_row_spacings(GTK_TABLE(table), SPACE);
    gtk_table_set_col_spacings(GTK_TABLE(table), SPACE);
    attach(table, 0, "_Style:", d->style);
    attach(table, 1, "Picture _file:", d->file);
    attach(table, 2, "Open _image:", beside(d->layer, use));
    attach(table, 3, "P_reset:", d->preset);
    d->strength = gimp_scale_entry_new(
        GTK_TABLE(table), 0, 4, "S_trength:", 100, 5, shown_strength(s), 0, 1, 0.05,
        0.1, 2, TRUE, 0, 0, "How much of the style the layer takes on.", NULL);
    d->scale = gimp_scale_entry_new(
        GTK_TABLE(table), 0, 5, "Stroke si_ze:", 100, 5, shown_scale(s), 0.25, 4, 0.05,
        0.25, 2, FALSE, 0.1, 10,
        "Size of the style as a multiple of the layer; more gives larger strokes.",
        NULL);
    attach(table, 6, "Co_lours:", d->colours);
    attach(table, 7, "_Working size:", d->size);
    attach(table, 8, "See_d:", d->seed);
    attach(table, 9, "F_urther options:", d->options);
    attach(table, 10, "On ca_ncel:", d->cancel);
    g_signal_connect(use, "clicked", G_CALLBACK(on_layer_wanted), d);
    return table;
}

static void connect_changes(struct dialog *d)
{
    g_signal_connect_swapped(d->style, "changed", G_CALLBACK(change), d);
    g_signal_connect_swapped(d->options, "changed", G_CALLBACK(change), d);
    g_signal_connect_swapped(d->preset, "changed", G_CALLBACK(change), d);
    g_signal_connect_swapped(d->colours, "changed", G_CALLBACK(change), d);
    g_signal_connect_swapped(d->strength, "value-changed", G_CALLBACK(change), d);
    g_signal_connect_swapped(d->scale, "value-changed", G_CALLBACK(change), d);
    g_signal_connect_swapped(d->size, "value-changed", G_CALLBACK(change), d);
    g_signal_connect_swapped(d->seed, "value-changed", G_CALLBACK(change), d);
    g_signal_connect(d->file, "file-set", G_CALLBACK(on_file_chosen), d);
}

static void fill(GtkWidget *window, struct dialog *d, GtkWidget *view, GtkWidget *text)
{
    GtkWidget *content = gtk_dialog_get_content_area(GTK_DIALOG(window));
    GtkWidget *columns = gtk_hbox_new(FALSE, 2 * SPACE);
    GtkWidget *left = gtk_vbox_new(FALSE, SPACE), *right = gtk_vbox_new(FALSE, SPACE);

    make_widgets(d);
    gtk_container_set_border_width(GTK_CONTAINER(columns), 2 * SPACE);
    gtk_widget_set_size_request(view, PREVIEW_WIDTH, PREVIEW_HEIGHT);
    gtk_box_pack_start(GTK_BOX(left), view, TRUE, TRUE, 0);
    gtk_box_pack_start(GTK_BOX(left), styles_view(d), FALSE, FALSE, 0);
    gtk_box_pack_start(GTK_BOX(right), settings_table(d), FALSE, FALSE, 0);
    gtk_box_pack_start(GTK_BOX(right), d->new_layer, FALSE, FALSE, 0);
    gtk_label_set_line_wrap(GTK_LABEL(text), TRUE);
    gtk_misc_set_alignment(GTK_MISC(text), 0, 0);
    gtk_widget_set_size_request(text, STYLES_WIDTH, 48);
    gtk_box_pack_end(GTK_BOX(right), text, FALSE, FALSE, 0);
    gtk_box_pack_start(GTK_BOX(columns), left, TRUE, TRUE, 0);
    gtk_box_pack_start(GTK_BOX(columns), right, TRUE, TRUE, 0);
    gtk_box_pack_start(GTK_BOX(content), columns, TRUE, TRUE, 0);
    gtk_widget_show_all(columns);
}

gboolean nst_gimp_dialog_run(struct nst_gimp_settings *s,
                             const struct nst_gimp_region *r)
{
    struct dialog d = {.settings = s, .before = *s};
    GtkWidget *text, *window;
    struct nst_gimp_live *live;
    gboolean wanted;

    gimp_ui_init("nst", FALSE);
    text = gtk_label_new("");
    live = nst_gimp_live_new(s, r, text);
    window =
        gimp_dialog_new("Style Transfer", NST_GIMP_PROCEDURE, NULL, 0, NULL, NULL,
                        "_Cancel", GTK_RESPONSE_CANCEL, "_OK", GTK_RESPONSE_OK, NULL);
    gtk_dialog_set_default_response(GTK_DIALOG(window), GTK_RESPONSE_OK);
    gimp_window_set_transient(GTK_WINDOW(window));
    fill(window, &d, nst_gimp_live_widget(live), text);
    connect_changes(&d);
    d.live = live;
    gtk_widget_show(window);
    wanted = gimp_dialog_run(GIMP_DIALOG(window)) == GTK_RESPONSE_OK;
    if (wanted)
        change(&d);
    nst_gimp_live_free(d.live);
    d.live = NULL;
    gtk_widget_destroy(window);
    return wanted;
}
