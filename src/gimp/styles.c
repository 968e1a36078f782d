/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "gimp/styles.h"

#include <stdlib.h>
#include <string.h>

#include <libgimp/gimp.h>

#include "model/data_path.h"
#include "nst.h"

/* Longest side of a thumbnail. */
#define SIDE 72

/* Make a thumbnail of a JPEG file in memory, which may be NULL. */
static GdkPixbuf *thumbnail(const void *jpeg, size_t size)
{
    GdkPixbufLoader *loader = gdk_pixbuf_loader_new();
    GdkPixbuf *whole = NULL, *small = NULL;

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

static void add(GtkListStore *list, const gchar *value, const gchar *name,
                const char *artist, const char *work, GdkPixbuf *picture)
{
    gchar *title =
        work ? g_strdup_printf("%s: %s", artist ? artist : name, work) : g_strdup(name);
    GtkTreeIter at;

    gtk_list_store_insert_with_values(list, &at, -1, NST_GIMP_STYLE_VALUE, value,
                                      NST_GIMP_STYLE_NAME, name, NST_GIMP_STYLE_TITLE,
                                      title, NST_GIMP_STYLE_PICTURE, picture, -1);
    g_free(title);
    if (picture)
        g_object_unref(picture);
}

static void add_pack(GtkListStore *list, const gchar *name, const gchar *path)
{
    struct nst_pack *pack;
    const void *jpeg;
    size_t size;

    if (nst_pack_load(&pack, path, NULL) != NST_OK)
        return;
    jpeg = nst_pack_preview(pack, &size);
    add(list, name, name, nst_pack_text(pack, NST_PACK_ARTIST),
        nst_pack_text(pack, NST_PACK_TITLE), thumbnail(jpeg, size));
    nst_pack_free(pack);
}

/* A pack of the same name hides a network, which then needs its path. */
static void add_net(GtkListStore *list, const gchar *name, const gchar *path)
{
    char *found = nst_find_net(name);
    gchar *label = g_strdup_printf("%s (network)", name);
    struct nst_net_file net;

    if (nst_net_file_load_texts(&net, path, NULL) == NST_OK &&
        strcmp(name, NST_NET_BASE) != 0)
        add(list, found ? name : path, label, net.text[NST_NET_ARTIST],
            net.text[NST_NET_TITLE], thumbnail(net.preview, net.preview_size));
    nst_net_file_clear(&net);
    g_free(label);
    free(found);
}

/* Add the files of a folder that have the suffix. */
static void add_folder(GtkListStore *list, char *folder, const char *suffix,
                       void (*add_file)(GtkListStore *list, const gchar *name,
                                        const gchar *path))
{
    GDir *dir = folder ? g_dir_open(folder, 0, NULL) : NULL;
    const gchar *file;

    while (dir && (file = g_dir_read_name(dir)))
        if (g_str_has_suffix(file, suffix)) {
            gchar *name = g_strndup(file, strlen(file) - strlen(suffix));
            gchar *path = g_build_filename(folder, file, NULL);

            add_file(list, name, path);
            g_free(name);
            g_free(path);
        }
    if (dir)
        g_dir_close(dir);
    free(folder);
}

GtkListStore *nst_gimp_styles_list(void)
{
    GtkListStore *list = gtk_list_store_new(4, G_TYPE_STRING, G_TYPE_STRING,
                                            G_TYPE_STRING, GDK_TYPE_PIXBUF);

    gtk_tree_sortable_set_sort_column_id(GTK_TREE_SORTABLE(list), NST_GIMP_STYLE_NAME,
                                         GTK_SORT_ASCENDING);
    add_folder(list, nst_user_path("XDG_DATA_HOME", ".local/share", "styles"),
               NST_PACK_SUFFIX, add_pack);
    add_folder(list, nst_find_data("styles"), NST_PACK_SUFFIX, add_pack);
    add_folder(list, nst_user_path("XDG_DATA_HOME", ".local/share", "nets"),
               NST_NET_SUFFIX, add_net);
    add_folder(list, nst_find_data("nets"), NST_NET_SUFFIX, add_net);
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
