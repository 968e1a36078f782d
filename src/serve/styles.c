/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/styles.h"

#include <dirent.h>
#include <glib.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "serve/log.h"
#include "serve/pictures.h"
#include "serve/store.h"

#define SURE_NS 2000000000

struct style {
    char *name, *path;
    bool pack, sent; /* sent: by a client */
    /* of a pack that says so; or NULL */
    char *artist, *title, *year;
    void *preview; /* a JPEG */
    size_t preview_size;
};

static struct {
    const struct serve_settings *settings;
    pthread_mutex_t lock;
    GHashTable *of; /* of struct style, by their names */
    char *list;     /* as JSON; NULL: to be made anew */
    int64_t seen;   /* when the store's folder had changed, as of the last look */
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void free_style(gpointer p)
{
    struct style *s = p;

    free(s->name);
    free(s->path);
    free(s->artist);
    free(s->title);
    free(s->year);
    free(s->preview);
    free(s);
}

static const struct style *find(const char *name)
{
    return g_hash_table_lookup(all.of, name);
}

/* All is locked: the list is another. */
static void renew(void)
{
    free(all.list);
    all.list = NULL;
}

static char *text_of(const struct nst_pack *p, enum nst_pack_text which)
{
    const char *text = nst_pack_text(p, which);

    return text ? nst_xstrdup(text) : NULL;
}

/* What a pack says of itself, and its preview: bytes, which nobody decodes here. */
static void read_pack(struct style *s)
{
    const void *preview;
    struct nst_pack *p;
    struct nst_err err;

    if (nst_pack_load(&p, s->path, &err) != NST_OK) {
        serve_log(SERVE_WARNING, "styles: %s", err.text);
        return;
    }
    s->artist = text_of(p, NST_PACK_ARTIST);
    s->title = text_of(p, NST_PACK_TITLE);
    s->year = text_of(p, NST_PACK_YEAR);
    preview = nst_pack_preview(p, &s->preview_size);
    if (preview)
        s->preview = memcpy(nst_xcalloc(s->preview_size, 1), preview, s->preview_size);
    nst_pack_free(p);
}

/* All is locked. path is taken over. The first of a name is the one that counts. */
static void insert(const char *name, char *path, bool pack, bool sent)
{
    struct style *s = nst_xcalloc(1, sizeof *s);

    s->name = nst_xstrdup(name);
    s->path = path;
    s->pack = pack;
    s->sent = sent;
    if (pack && !find(name))
        read_pack(s);
    if (find(name))
        free_style(s);
    else {
        g_hash_table_insert(all.of, s->name, s);
        renew();
    }
}

static void add(const char *name, char *path, bool pack, bool sent)
{
    pthread_mutex_lock(&all.lock);
    insert(name, path, pack, sent);
    pthread_mutex_unlock(&all.lock);
}

static bool is_pack(const char *name)
{
    size_t n = strlen(name), e = strlen(NST_PACK_ENDING);

    return n > e && strcmp(name + n - e, NST_PACK_ENDING) == 0;
}

/* Was it looked at before, as it is now? */
static bool has_thumbnail(const char *path, const char *file)
{
    char *name = nst_xasprintf("%s.jpg", file);
    char *thumb = serve_store_path("thumbs", name);
    struct stat of, small;
    bool has = thumb && stat(path, &of) == 0 && stat(thumb, &small) == 0 &&
               small.st_mtime > of.st_mtime;

    free(thumb);
    free(name);
    return has;
}

static bool is_picture_name(const char *file)
{
    return serve_store_name(file) && strlen(file) <= SERVE_PICTURE_NAME;
}

/* One file of a folder: a pack, or a picture that can be read. */
static void add_file(const char *folder, const char *file)
{
    char *path = nst_xasprintf("%s/%s", folder, file);
    char *error;

    if (is_pack(file)) {
        char *name =
            nst_xasprintf("%.*s", (int)(strlen(file) - strlen(NST_PACK_ENDING)), file);

        add(name, path, true, false);
        free(name);
        return;
    }
    if (!is_picture_name(file)) {
        serve_log(SERVE_WARNING,
                  "styles: %s: the name may only have lower case letters, digits, and "
                  ". _ -, and at most %d of them",
                  file, SERVE_PICTURE_NAME);
    } else if (!has_thumbnail(path, file) &&
               serve_picture_check(path, file, (long long)all.settings->max_pixels,
                                   &error) != SERVE_SOUND) {
        serve_log(SERVE_WARNING, "styles: %s: %s", file, error);
        free(error);
    } else {
        add(file, path, false, false);
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

        if (name[0] != '.' && dot && (is_pack(name) || nst_picture_knows(dot)))
            add_file(folder, name);
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
}

static void add_stored(void *ctx, const char *name)
{
    (void)ctx;
    insert(name, serve_store_path("styles", name), false, true);
}

/* GHRFunc: one that a client sent, whose file another front end has removed. */
static gboolean is_gone(gpointer name, gpointer style, gpointer none)
{
    (void)none;
    return ((const struct style *)style)->sent && !serve_store_has("styles", name);
}

/* All is locked. Front ends of one queue share the folder, and workers see what they
 * add to it and remove. */
static void look_again(void)
{
    int64_t changed = all.settings->queue ? serve_store_changed("styles") : all.seen;

    if (changed == all.seen)
        return;
    if (g_hash_table_foreach_remove(all.of, is_gone, NULL) > 0)
        renew();
    serve_store_each("styles", add_stored, NULL);
    /* the clock of a file system may not tell two changes apart */
    all.seen = g_get_real_time() * 1000 - changed > SURE_NS ? changed : 0;
}

/* A small picture of nothing, which a service that was killed has left. */
static void drop_orphan(void *ctx, const char *thumb)
{
    const char *ending = strrchr(thumb, '.');
    char *name = nst_xasprintf("%.*s", ending ? (int)(ending - thumb) : 0, thumb);

    (void)ctx;
    if (!serve_store_has("uploads", name) && !serve_store_has("results", name) &&
        !find(name))
        serve_store_remove("thumbs", thumb);
    free(name);
}

void serve_styles_open(const struct serve_settings *s)
{
    char *packs = nst_search_data("styles");

    all.settings = s;
    all.of = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_style);
    add_folder(packs);
    free(packs);
    add_folder(s->styles);
    pthread_mutex_lock(&all.lock);
    serve_store_each("styles", add_stored, NULL);
    if (!s->queue) /* else others may be about to name a picture so */
        serve_store_each("thumbs", drop_orphan, NULL);
    pthread_mutex_unlock(&all.lock);
}

void serve_styles_close(void)
{
    g_hash_table_destroy(all.of);
    all.of = NULL;
    renew();
}

void serve_styles_add(const char *name)
{
    add(name, serve_store_path("styles", name), false, true);
}

bool serve_styles_remove(const char *name)
{
    const struct style *s;
    bool known;

    pthread_mutex_lock(&all.lock);
    look_again();
    s = find(name);
    known = s && s->sent;
    if (known) {
        serve_store_remove_picture("styles", name);
        g_hash_table_remove(all.of, name);
        renew();
    }
    pthread_mutex_unlock(&all.lock);
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

/* All is locked. In the order of their names. */
static char *make_list(void)
{
    GList *names = g_list_sort(g_hash_table_get_keys(all.of), by_name);
    json_t *list = json_array();
    char *text;

    for (const GList *l = names; l; l = l->next) {
        const struct style *s = find(l->data);

        json_array_append_new(
            list,
            json_pack("{s:s, s:o, s:o, s:o, s:s, s:s?, s:s?, s:s?, s:b}", "name",
                      s->name, "url",
                      s->pack ? json_null() : serve_url("styles", s->name), "thumbnail",
                      serve_thumb_url(s->name), "preview", preview_url(s), "kind",
                      s->pack ? "pack" : "picture", "artist", s->artist, "title",
                      s->title, "year", s->year, "removable", s->sent));
    }
    text = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    g_list_free(names);
    return text;
}

char *serve_styles_list(void)
{
    char *text;

    pthread_mutex_lock(&all.lock);
    look_again();
    if (!all.list)
        all.list = make_list();
    text = nst_xstrdup(all.list);
    pthread_mutex_unlock(&all.lock);
    return text;
}

size_t serve_styles_count(void)
{
    size_t n;

    pthread_mutex_lock(&all.lock);
    look_again();
    n = g_hash_table_size(all.of);
    pthread_mutex_unlock(&all.lock);
    return n;
}

static char *path_of(const char *name, bool pictures_only)
{
    const struct style *s;
    char *path;

    pthread_mutex_lock(&all.lock);
    look_again();
    s = find(name);
    path = s && !(pictures_only && s->pack) ? nst_xstrdup(s->path) : NULL;
    pthread_mutex_unlock(&all.lock);
    return path;
}

char *serve_styles_path(const char *name)
{
    return path_of(name, false);
}

char *serve_styles_picture(const char *name)
{
    return path_of(name, true);
}

int serve_styles_read(const char *name, uint64_t *size)
{
    char *path = path_of(name, true);
    int fd = path ? serve_file_open(path, size) : -1;

    free(path);
    return fd;
}

void *serve_styles_preview(const char *file, size_t *size)
{
    size_t n = strlen(file), e = strlen(".jpg");
    char *name = nst_xasprintf("%.*s", n > e ? (int)(n - e) : 0, file);
    const struct style *s;
    void *copy = NULL;

    pthread_mutex_lock(&all.lock);
    s = n > e && strcmp(file + n - e, ".jpg") == 0 ? find(name) : NULL;
    if (s && s->preview) {
        *size = s->preview_size;
        copy = nst_xcalloc(*size, 1);
        memcpy(copy, s->preview, *size);
    }
    pthread_mutex_unlock(&all.lock);
    free(name);
    return copy;
}
