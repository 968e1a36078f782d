/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "gimp/styles.h"

#include <stdlib.h>

#include <libgimp/gimp.h>

#include "model/data_path.h"
#include "nst.h"

/* Longest side of a thumbnail. */
#define SIDE 72

static GdkPixbuf *thumbnail(const struct nst_pack *pack)
{
    GdkPixbufLoader *loader = gdk_pixbuf_loader_new();
    GdkPixbuf *whole = NULL, *small = NULL;
    size_t size;
    const void *jpeg = nst_pack_preview(pack, &size);

    if (jpeg && gdk_pixbuf_loader_write(loader, jpeg, size, NULL))
        whole = gdk_pixbuf_loader_get_pixbuf(loader);
    gdk_pixbuf_loader_close(loader, NULL);
    if (whole) {
        int w = gdk_pixbuf_get_width(whole), h = gdk_pixbuf_get_height(whole);
        int longest = MAX(w, h);

        small =
            gdk_pixbuf_scale_simple(whole, MAX(1, w * SIDE / longest),
                                    MAX(1, h * SIDE / longest), GDK_INTERP_BILINEAR);
    }
    g_object_unref(loader);
    return small;
}

static void add_pack(GtkListStore *list, const gchar *folder, const gchar *file)
{
    gchar *path = g_build_filename(folder, file, NULL);
    gchar *name = g_strndup(file, strlen(file) - strlen(NST_PACK_SUFFIX)), *title;
    struct nst_pack *pack;
    GdkPixbuf *picture;
    GtkTreeIter at;

    if (nst_pack_load(&pack, path, NULL) == NST_OK) {
        const char *artist = nst_pack_text(pack, NST_PACK_ARTIST);
        const char *work = nst_pack_text(pack, NST_PACK_TITLE);

        picture = thumbnail(pack);
        title = work ? g_strdup_printf("%s: %s", artist ? artist : name, work)
                     : g_strdup(name);
        gtk_list_store_insert_with_values(list, &at, -1, NST_GIMP_STYLE_NAME, name,
                                          NST_GIMP_STYLE_TITLE, title,
                                          NST_GIMP_STYLE_PICTURE, picture, -1);
        g_free(title);
        if (picture)
            g_object_unref(picture);
        nst_pack_free(pack);
    }
    g_free(name);
    g_free(path);
}

static void add_folder(GtkListStore *list, char *folder)
{
    GDir *dir = folder ? g_dir_open(folder, 0, NULL) : NULL;
    const gchar *file;

    while (dir && (file = g_dir_read_name(dir)))
        if (g_str_has_suffix(file, NST_PACK_SUFFIX))
            add_pack(list, folder, file);
    if (dir)
        g_dir_close(dir);
    free(folder);
}

GtkListStore *nst_gimp_styles_list(void)
{
    GtkListStore *list =
        gtk_list_store_new(3, G_TYPE_STRING, G_TYPE_STRING, GDK_TYPE_PIXBUF);

    gtk_tree_sortable_set_sort_column_id(GTK_TREE_SORTABLE(list), NST_GIMP_STYLE_NAME,
                                         GTK_SORT_ASCENDING);
    add_folder(list, nst_user_path("XDG_DATA_HOME", ".local/share", "styles"));
    add_folder(list, nst_find_data("styles"));
    return list;
}

gchar *nst_gimp_styles_save_layer(gint32 drawable)
{
    gchar *path = gimp_temp_name("png");

    if (gimp_file_save(GIMP_RUN_NONINTERACTIVE, gimp_item_get_image(drawable), drawable,
                       path, path))
        return path;
    g_free(path);
    return NULL;
}
