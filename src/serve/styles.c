/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/styles.h"

#include <dirent.h>
#include <errno.h>
#include <glib.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/data_path.h"
#include "serve/clock.h"
#include "serve/labels.h"
#include "serve/log.h"
#include "serve/owners.h"
#include "serve/pictures.h"
#include "serve/store.h"

#define MTIME_MARGIN_NS 2000000000

enum kind { PICTURE, PACK, NETWORK };
static const char *const kinds[] = {"picture", "pack", "network"};

struct style {
    char *name, *path;
    enum kind kind;
    char *owner; /* of an upload, or NULL */
    char *label; /* that the owner gave to it, or NULL */
    bool uploaded;
    /* metadata of a pack or a network; or NULL */
    char *artist, *title, *year;
    void *preview; /* a JPEG */
    size_t preview_size;
};

static struct {
    const struct serve_settings *settings;
    pthread_mutex_t lock;
    GHashTable *table;  /* struct style by name */
    GHashTable *lists;  /* cached JSON: by the owner who sees it; see list_key() */
    GHashTable *owners; /* those who have styles; NULL: to be collected */
    int64_t mtime;      /* mtime of the store's folder at the last refresh() */
} styles = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void free_style(gpointer p)
{
    struct style *s = p;

    free(s->name);
    free(s->path);
    free(s->owner);
    free(s->label);
    free(s->artist);
    free(s->title);
    free(s->year);
    free(s->preview);
    free(s);
}

static const struct style *find_style(const char *name)
{
    return g_hash_table_lookup(styles.table, name);
}

/* The lock is held. */
static void invalidate_lists(void)
{
    g_hash_table_remove_all(styles.lists);
    g_clear_pointer(&styles.owners, g_hash_table_destroy);
}

static char *copy_text(const char *text)
{
    return text ? nst_xstrdup(text) : NULL;
}

static void set_preview(struct style *s, const void *jpeg, size_t size)
{
    s->preview_size = size;
    if (jpeg)
        s->preview = memcpy(nst_xcalloc(size, 1), jpeg, size);
}

static void read_net(struct style *s)
{
    struct nst_net_file f;
    struct nst_err err;

    if (nst_net_file_load_texts(&f, s->path, &err) != NST_OK)
        serve_log(SERVE_WARNING, "styles: %s", err.text);
    s->artist = copy_text(f.text[NST_NET_ARTIST]);
    s->title = copy_text(f.text[NST_NET_TITLE]);
    s->year = copy_text(f.text[NST_NET_YEAR]);
    set_preview(s, f.preview, f.preview_size);
    nst_net_file_clear(&f);
}

/* Read a pack's metadata and its preview, which is not decoded here. */
static void read_pack(struct style *s)
{
    const void *preview;
    struct nst_pack *p;
    struct nst_err err;
    size_t size;

    if (nst_pack_load(&p, s->path, &err) != NST_OK) {
        serve_log(SERVE_WARNING, "styles: %s", err.text);
        return;
    }
    s->artist = copy_text(nst_pack_text(p, NST_PACK_ARTIST));
    s->title = copy_text(nst_pack_text(p, NST_PACK_TITLE));
    s->year = copy_text(nst_pack_text(p, NST_PACK_YEAR));
    preview = nst_pack_preview(p, &size);
    set_preview(s, preview, size);
    nst_pack_free(p);
}

/* Add a style unless the name exists; path is taken over. The lock is held. */
static void insert_style(const char *name, char *path, enum kind kind, bool uploaded)
{
    struct style *s = nst_xcalloc(1, sizeof *s);

    s->name = nst_xstrdup(name);
    s->path = path;
    s->kind = kind;
    s->uploaded = uploaded;
    s->owner = uploaded && !find_style(name) ? serve_owner_get(name) : NULL;
    s->label = uploaded && !find_style(name) ? serve_label_get(name) : NULL;
    if (kind == PACK && !find_style(name))
        read_pack(s);
    if (kind == NETWORK && !find_style(name))
        read_net(s);
    if (find_style(name))
        free_style(s);
    else {
        g_hash_table_insert(styles.table, s->name, s);
        invalidate_lists();
    }
}

static void add_style(const char *name, char *path, enum kind kind, bool uploaded)
{
    pthread_mutex_lock(&styles.lock);
    insert_style(name, path, kind, uploaded);
    pthread_mutex_unlock(&styles.lock);
}

/* True if the thumbnail is newer than the picture, so the picture need not be checked
 * again. */
static bool has_thumbnail(const char *path, const char *file)
{
    char *thumb = serve_store_version_path("thumbs", file);
    struct stat source, thumbnail;
    bool has = thumb && stat(path, &source) == 0 && stat(thumb, &thumbnail) == 0 &&
               thumbnail.st_mtime > source.st_mtime;

    free(thumb);
    return has;
}

static enum kind kind_of(const char *file)
{
    return g_str_has_suffix(file, NST_PACK_SUFFIX)  ? PACK
           : g_str_has_suffix(file, NST_NET_SUFFIX) ? NETWORK
                                                    : PICTURE;
}

/* Add a file of a folder if it is a pack, a network or a valid picture. */
static void add_file(const char *folder, const char *file)
{
    char *path = nst_xasprintf("%s/%s", folder, file);
    char *error;

    if (kind_of(file) != PICTURE) {
        char *name = nst_xasprintf("%.*s", (int)(strrchr(file, '.') - file), file);

        add_style(name, path, kind_of(file), false);
        free(name);
        return;
    }
    if (!serve_store_is_valid_name(file) || strlen(file) > SERVE_MAX_PICTURE_NAME) {
        serve_log(SERVE_WARNING,
                  "styles: %s: the name may only have lower case letters, digits, and "
                  ". _ -, and at most %d of them",
                  file, SERVE_MAX_PICTURE_NAME);
    } else if (!has_thumbnail(path, file) &&
               serve_picture_check(path, file, styles.settings, 0, &error) !=
                   SERVE_CHECK_OK) {
        serve_log(SERVE_WARNING, "styles: %s: %s", file, error);
        free(error);
    } else {
        add_style(file, path, PICTURE, false);
        return;
    }
    free(path);
}

static void add_folder(const char *folder)
{
    struct dirent **entry;
    int n = folder ? scandir(folder, &entry, NULL, alphasort) : -1;

    for (int i = 0; i < n; i++) {
        const char *name = entry[i]->d_name, *dot = strrchr(name, '.');

        if (name[0] != '.' && dot && strcmp(name, NST_NET_BASE NST_NET_SUFFIX) != 0 &&
            (kind_of(name) != PICTURE || nst_picture_supports(dot)))
            add_file(folder, name);
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
}

static void add_stored(void *ctx, const char *name)
{
    (void)ctx;
    insert_style(name, serve_store_path("styles", name), PICTURE, true);
}

/* GHRFunc: true for an upload whose file another front end has removed. */
static gboolean is_gone(gpointer name, gpointer style, gpointer unused)
{
    (void)unused;
    return ((const struct style *)style)->uploaded && !serve_store_has("styles", name);
}

/* Read the labels again, which another front end may have changed. The lock is held. */
static void refresh_labels(void)
{
    GHashTableIter iter;
    gpointer style;

    g_hash_table_iter_init(&iter, styles.table);
    while (g_hash_table_iter_next(&iter, NULL, &style)) {
        struct style *s = style;

        if (s->uploaded) {
            free(s->label);
            s->label = serve_label_get(s->name);
        }
    }
    invalidate_lists();
}

static int64_t last_change(void)
{
    return MAX(serve_store_mtime("styles"), serve_store_mtime("labels"));
}

/* Update the table from the folders, which front ends and workers of one Redis queue
 * share. The lock is held. */
static void refresh(void)
{
    int64_t changed = styles.settings->queue ? last_change() : styles.mtime;

    if (changed == styles.mtime)
        return;
    g_hash_table_foreach_remove(styles.table, is_gone, NULL);
    serve_store_foreach("styles", add_stored, NULL);
    refresh_labels();
    /* a recent mtime is not trusted: a later change may have the same timestamp */
    styles.mtime =
        (int64_t)(1e9 * serve_now()) - changed > MTIME_MARGIN_NS ? changed : 0;
}

/* Remove a version of a picture, or a label, that a killed service has left without its
 * picture. */
static void remove_orphan(void *folder, const char *file)
{
    const char *ending = strrchr(file, '.');
    bool is_label = strcmp(folder, "labels") == 0;
    char *name = is_label
                     ? nst_xstrdup(file)
                     : nst_xasprintf("%.*s", ending ? (int)(ending - file) : 0, file);

    if (!find_style(name) && (is_label || (!serve_store_has("uploads", name) &&
                                           !serve_store_has("results", name))))
        serve_store_remove(folder, file);
    free(name);
}

static void remove_orphans(void)
{
    static char *const folders[] = {"thumbs", "renditions", "labels"};

    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        serve_store_foreach(folders[i], remove_orphan, folders[i]);
}

static void release_text(gpointer text)
{
    g_ref_string_release(text);
}

void serve_styles_open(const struct serve_settings *s)
{
    char *packs = nst_find_data("styles"), *nets = nst_find_data("nets");

    styles.settings = s;
    styles.table = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_style);
    styles.lists = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, release_text);
    add_folder(packs);
    free(packs);
    add_folder(nets);
    free(nets);
    add_folder(s->styles);
    pthread_mutex_lock(&styles.lock);
    serve_store_foreach("styles", add_stored, NULL);
    if (!s->queue) /* another front end may be about to store the picture */
        remove_orphans();
    pthread_mutex_unlock(&styles.lock);
}

void serve_styles_close(void)
{
    g_hash_table_destroy(styles.table);
    styles.table = NULL;
    invalidate_lists();
    g_hash_table_destroy(styles.lists);
    styles.lists = NULL;
}

/* GHRFunc: true for a style whose file an operator has removed. */
static gboolean is_removed(gpointer name, gpointer style, gpointer unused)
{
    (void)name;
    (void)unused;
    return access(((const struct style *)style)->path, F_OK) != 0 && errno == ENOENT;
}

void serve_styles_reload(void)
{
    pthread_mutex_lock(&styles.lock);
    if (g_hash_table_foreach_remove(styles.table, is_removed, NULL) > 0)
        invalidate_lists();
    pthread_mutex_unlock(&styles.lock);
    add_folder(styles.settings->styles);
}

void serve_styles_add(const char *name)
{
    add_style(name, serve_store_path("styles", name), PICTURE, true);
}

/* An upload that who sees, or NULL. The lock is held. */
static struct style *find_own(const struct serve_identity *who, const char *name)
{
    struct style *s;

    refresh();
    s = g_hash_table_lookup(styles.table, name);
    return s && s->uploaded && serve_owner_sees(who, s->owner) ? s : NULL;
}

enum serve_rename serve_styles_rename(const struct serve_identity *who,
                                      const char *name, const char *label)
{
    enum serve_rename outcome = SERVE_RENAME_UNKNOWN;
    struct style *s;

    pthread_mutex_lock(&styles.lock);
    s = find_own(who, name);
    if (s)
        outcome = serve_label_set(name, label) ? SERVE_RENAME_OK : SERVE_RENAME_FAILED;
    if (outcome == SERVE_RENAME_OK) {
        free(s->label);
        s->label = nst_xstrdup(label);
        invalidate_lists();
    }
    pthread_mutex_unlock(&styles.lock);
    return outcome;
}

bool serve_styles_remove(const struct serve_identity *who, const char *name)
{
    bool known;

    pthread_mutex_lock(&styles.lock);
    known = find_own(who, name) != NULL;
    if (known) {
        serve_store_remove_picture("styles", name);
        g_hash_table_remove(styles.table, name);
        invalidate_lists();
    }
    pthread_mutex_unlock(&styles.lock);
    return known;
}

static json_t *preview_url(const struct style *s)
{
    char *name = nst_xasprintf("%s.jpg", s->name);
    json_t *url = s->preview ? serve_url("styles", name) : json_null();

    free(name);
    return url;
}

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(a, b);
}

/* The lock is held. */
static void collect_owners(void)
{
    GHashTableIter iter;
    gpointer style;

    styles.owners = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_hash_table_iter_init(&iter, styles.table);
    while (g_hash_table_iter_next(&iter, NULL, &style)) {
        const struct style *s = style;

        if (s->owner)
            g_hash_table_add(styles.owners, g_strdup(s->owner));
    }
}

/* The key of the list that who sees: "*" for an operator, "" for who has no styles. The
 * lock is held. */
static const char *list_key(const struct serve_identity *who)
{
    if (!who || who->is_operator)
        return "*";
    if (!styles.owners)
        collect_owners();
    return g_hash_table_contains(styles.owners, who->owner) ? who->owner : "";
}

/* The styles that who sees as JSON, sorted by name: a new reference. The lock is held.
 */
static GRefString *make_list(const struct serve_identity *who)
{
    GList *names = g_list_sort(g_hash_table_get_keys(styles.table), by_name);
    json_t *list = json_array();
    GRefString *shared;
    char *text;

    for (const GList *l = names; l; l = l->next) {
        const struct style *s = find_style(l->data);

        if (!serve_owner_sees(who, s->owner))
            continue;
        json_array_append_new(
            list,
            json_pack("{s:s, s:s?, s:o, s:o, s:o, s:s, s:s?, s:s?, s:s?, s:b}", "name",
                      s->name, "label", s->label, "url",
                      s->kind == PICTURE ? serve_url("styles", s->name) : json_null(),
                      "thumbnail", serve_thumb_url(s->name), "preview", preview_url(s),
                      "kind", kinds[s->kind], "artist", s->artist, "title", s->title,
                      "year", s->year, "removable", s->uploaded));
    }
    text = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    g_list_free(names);
    shared = g_ref_string_new(text);
    free(text);
    return shared;
}

GRefString *serve_styles_list(const struct serve_identity *who)
{
    const char *key;
    GRefString *text;

    pthread_mutex_lock(&styles.lock);
    refresh();
    key = list_key(who);
    text = g_hash_table_lookup(styles.lists, key);
    if (!text) {
        text = make_list(who);
        g_hash_table_insert(styles.lists, g_strdup(key), text);
    }
    g_ref_string_acquire(text);
    pthread_mutex_unlock(&styles.lock);
    return text;
}

size_t serve_styles_count(void)
{
    size_t n;

    pthread_mutex_lock(&styles.lock);
    refresh();
    n = g_hash_table_size(styles.table);
    pthread_mutex_unlock(&styles.lock);
    return n;
}

static char *style_path(const char *name, bool pictures_only)
{
    const struct style *s;
    char *path;

    pthread_mutex_lock(&styles.lock);
    refresh();
    s = find_style(name);
    path = s && !(pictures_only && s->kind != PICTURE) ? nst_xstrdup(s->path) : NULL;
    pthread_mutex_unlock(&styles.lock);
    return path;
}

bool serve_styles_is_net(const char *name)
{
    const struct style *s;
    bool is_net;

    pthread_mutex_lock(&styles.lock);
    refresh();
    s = find_style(name);
    is_net = s && s->kind == NETWORK;
    pthread_mutex_unlock(&styles.lock);
    return is_net;
}

char *serve_styles_path(const char *name)
{
    return style_path(name, false);
}

char *serve_styles_picture_path(const char *name)
{
    return style_path(name, true);
}

int serve_styles_open_picture(const char *name, uint64_t *size)
{
    char *path = style_path(name, true);
    int fd = path ? serve_file_open(path, size) : -1;

    free(path);
    return fd;
}

void *serve_styles_preview(const char *file, size_t *size)
{
    const struct style *s;
    void *copy = NULL;
    char *name;

    if (!g_str_has_suffix(file, ".jpg"))
        return NULL;
    name = nst_xasprintf("%.*s", (int)(strlen(file) - strlen(".jpg")), file);
    pthread_mutex_lock(&styles.lock);
    s = find_style(name);
    if (s && s->preview) {
        *size = s->preview_size;
        copy = nst_xcalloc(*size, 1);
        memcpy(copy, s->preview, *size);
    }
    pthread_mutex_unlock(&styles.lock);
    free(name);
    return copy;
}
