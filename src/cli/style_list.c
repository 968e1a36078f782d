/* SPDX-License-Identifier: MIT */
/* style_list.c - nst-style info and list. */
#include "config.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/atomic_file.h"
#include "base/path.h"
#include "model/data_path.h"
#include "cli/program.h"
#include "cli/style.h"

static json_t *layer_json(const struct nst_pack_layer *l)
{
    struct nst_layers one = {1, {l->layer}};
    json_t *sizes = json_array();
    char name[16], hash[20];

    for (int i = 0; i < l->sizes; i++)
        json_array_append_new(sizes, json_integer(l->size[i]));
    nst_layers_format(&one, name, sizeof name);
    snprintf(hash, sizeof hash, "%016" PRIx64, l->fingerprint);
    return json_pack("{s:s, s:s?, s:i, s:o, s:s}", "layer", name, "pooling", l->pooling,
                     "channels", l->channels, "scales", sizes, "fingerprint", hash);
}

/* The texts of a pack, the size of its preview, and its layers. */
static json_t *pack_json(const struct nst_pack *p)
{
    json_t *j = json_object(), *layers = json_array();
    struct nst_pack_layer l;
    size_t bytes;

    for (int i = 0; i < NST_PACK_TEXTS; i++) {
        const char *text = nst_pack_text(p, (enum nst_pack_text)i);

        json_object_set_new(j, nst_pack_text_name((enum nst_pack_text)i),
                            text ? json_string(text) : json_null());
    }
    nst_pack_preview(p, &bytes);
    json_object_set_new(j, "preview", json_integer((json_int_t)bytes));
    for (int i = 0; nst_pack_layer(p, i, &l); i++)
        json_array_append_new(layers, layer_json(&l));
    json_object_set_new(j, "layers", layers);
    return j;
}

static json_t *net_json(const struct nst_net_file *f)
{
    json_t *j =
        json_pack("{s:i, s:i, s:I}", "width", f->weights.shape.width, "blocks",
                  f->weights.shape.blocks, "preview", (json_int_t)f->preview_size);

    for (int i = 0; i < NST_NET_TEXTS; i++)
        json_object_set_new(j, nst_net_text_name((enum nst_net_text)i),
                            f->text[i] ? json_string(f->text[i]) : json_null());
    return j;
}

static const char *pooling_text(const char *pooling)
{
    if (!pooling)
        return "unknown pooling";
    if (strcmp(pooling, "any") == 0)
        return "any pooling";
    return strcmp(pooling, "max") == 0 ? "max pooling" : "average pooling";
}

static void print_layer(const struct nst_pack_layer *l)
{
    struct nst_layers one = {1, {l->layer}};
    char name[16];

    nst_layers_format(&one, name, sizeof name);
    printf("layer    %s, %s, %d channels, at", name, pooling_text(l->pooling),
           l->channels);
    for (int i = 0; i < l->sizes; i++)
        printf(" %d", l->size[i]);
    printf(" pixels, network %016" PRIx64 "\n", l->fingerprint);
}

static void print_table(const struct nst_pack *p)
{
    struct nst_pack_layer l;
    size_t bytes;

    for (int i = 0; i < NST_PACK_TEXTS; i++) {
        const char *text = nst_pack_text(p, (enum nst_pack_text)i);

        if (text)
            printf("%-8s %s\n", nst_pack_text_name((enum nst_pack_text)i), text);
    }
    if (nst_pack_preview(p, &bytes))
        printf("preview  a JPEG of %zu bytes\n", bytes);
    for (int i = 0; nst_pack_layer(p, i, &l); i++)
        print_layer(&l);
}

enum nst_status style_info(const struct style_arguments *a, struct nst_err *err)
{
    struct nst_pack *p;
    enum nst_status st = style_load(&p, a->p.styles.item[0].file, err);

    if (st != NST_OK)
        return st;
    if (a->json) {
        json_t *j = pack_json(p);

        nst_print_json(j, 9);
        json_decref(j);
    } else
        print_table(p);
    nst_pack_free(p);
    return NST_OK;
}

/* A pack or a network found by name, or the error of reading it. */
struct pack_entry {
    char *name, *path;
    struct nst_pack *pack; /* or NULL */
    bool is_net, failed;
    struct nst_net_file net;
    struct nst_err err;
};

struct pack_list {
    int count;
    struct pack_entry *item;
};

static int is_style_file(const struct dirent *d)
{
    return style_is_pack_name(d->d_name) || nst_has_suffix(d->d_name, NST_NET_SUFFIX);
}

/* Read an entry of a folder. */
static struct pack_entry read_entry(const char *directory, const char *file)
{
    const char *dot = strrchr(file, '.');
    struct pack_entry f = {.name = nst_xasprintf("%.*s", (int)(dot - file), file),
                           .path = nst_xasprintf("%s/%s", directory, file),
                           .is_net = nst_has_suffix(file, NST_NET_SUFFIX)};

    if (f.is_net)
        f.failed = nst_net_file_load_texts(&f.net, f.path, &f.err) != NST_OK;
    else
        f.failed = nst_pack_load(&f.pack, f.path, &f.err) != NST_OK;
    return f;
}

static void clear_entry(struct pack_entry *f)
{
    free(f->name);
    free(f->path);
    nst_pack_free(f->pack);
    nst_net_file_clear(&f->net);
}

static bool contains(const struct pack_list *packs, const char *name)
{
    for (int i = 0; i < packs->count; i++)
        if (strcmp(packs->item[i].name, name) == 0)
            return true;
    return false;
}

/* Add the styles of directory, except names that are there already. Frees directory. */
static void scan_directory(struct pack_list *packs, char *directory)
{
    struct dirent **entry;
    int n = directory ? scandir(directory, &entry, is_style_file, alphasort) : -1;

    for (int i = 0; i < n; i++) {
        struct pack_entry f = read_entry(directory, entry[i]->d_name);

        if (contains(packs, f.name))
            clear_entry(&f);
        else {
            packs->item =
                nst_xrealloc(packs->item, (size_t)(packs->count + 1) * sizeof f);
            packs->item[packs->count++] = f;
        }
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
    free(directory);
}

/* scandir() sorts file names, in which '-' comes before the dot of the suffix. */
static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct pack_entry *)a)->name,
                  ((const struct pack_entry *)b)->name);
}

static void clear_packs(struct pack_list *packs)
{
    for (int i = 0; i < packs->count; i++)
        clear_entry(&packs->item[i]);
    free(packs->item);
}

/* Columns of a style: name, artist, title (or else the source), year, and whether it is
 * a network. */
#define COLUMNS 5
#define TEXT_COLUMNS 4
static const char *style_text(const struct pack_entry *f, int i)
{
    static const enum nst_pack_text texts[] = {NST_PACK_FROM, NST_PACK_ARTIST,
                                               NST_PACK_TITLE, NST_PACK_YEAR};
    static const enum nst_net_text net_texts[] = {NST_NET_FROM, NST_NET_ARTIST,
                                                  NST_NET_TITLE, NST_NET_YEAR};

    return f->is_net ? f->net.text[net_texts[i]] : nst_pack_text(f->pack, texts[i]);
}

static const char *column(const struct pack_entry *f, int i)
{
    const char *text;

    if (i == 0)
        return f->name;
    if (i == TEXT_COLUMNS)
        return f->is_net ? "network" : "";
    text = style_text(f, i);
    if (!text && i == 2)
        text = style_text(f, 0);
    return text ? text : "-";
}

/* Number of characters of a text in UTF-8. */
static int utf8_length(const char *text)
{
    int n = 0;

    for (; *text; text++)
        n += (*text & 0xc0) != 0x80;
    return n;
}

static void print_list(const struct pack_list *packs)
{
    int column_width[COLUMNS] = {0};

    for (int i = 0; i < packs->count; i++)
        for (int c = 0; c < (packs->item[i].failed ? 1 : COLUMNS); c++) {
            int length = utf8_length(column(&packs->item[i], c));

            column_width[c] = length > column_width[c] ? length : column_width[c];
        }
    for (int i = 0; i < packs->count; i++) {
        const struct pack_entry *f = &packs->item[i];

        int columns = f->failed ? 1 : f->is_net ? COLUMNS - 1 : COLUMNS - 2;

        for (int c = 0; c < columns; c++) {
            const char *text = column(f, c);

            printf("%s%*s  ", text, column_width[c] - utf8_length(text), "");
        }
        puts(f->failed ? f->err.text : column(f, columns));
    }
}

static void print_list_json(const struct pack_list *packs)
{
    json_t *list = json_array();

    for (int i = 0; i < packs->count; i++) {
        const struct pack_entry *f = &packs->item[i];
        json_t *j = f->failed   ? json_pack("{s:s}", "error", f->err.text)
                    : f->is_net ? net_json(&f->net)
                                : pack_json(f->pack);

        json_object_del(j, "layers");
        json_object_set_new(j, "kind", json_string(f->is_net ? "network" : "pack"));
        json_object_set_new(j, "name", json_string(f->name));
        json_object_set_new(j, "path", json_string(f->path));
        json_array_append_new(list, j);
    }
    nst_print_json(list, 9);
    json_decref(list);
}

static const void *preview_of(const struct pack_entry *f, size_t *size)
{
    *size = f->net.preview_size;
    return f->is_net ? f->net.preview
           : f->pack ? nst_pack_preview(f->pack, size)
                     : NULL;
}

/* Write one preview to DIR/NAME.jpg and print its path. */
static enum nst_status write_preview(const char *directory, const struct pack_entry *f,
                                     struct nst_err *err)
{
    size_t size;
    const void *jpeg = preview_of(f, &size);
    char *path = nst_xasprintf("%s/%s.jpg", directory, f->name);
    const struct nst_batch_item item = {.output = path};
    struct nst_atomic_file *file = NULL;
    enum nst_status st = nst_batch_make_directories(&item, err);

    if (st == NST_OK)
        st = nst_atomic_file_open(&file, path, err);
    if (st == NST_OK)
        st = nst_atomic_file_write(file, jpeg, size, err);
    if (st == NST_OK)
        st = nst_atomic_file_commit(file, err);
    if (st == NST_OK)
        puts(path);
    nst_atomic_file_free(file);
    free(path);
    return st;
}

static enum nst_status write_previews(const char *directory,
                                      const struct pack_list *packs,
                                      struct nst_err *err)
{
    enum nst_status st = NST_OK;
    int written = 0;
    size_t size;

    for (int i = 0; st == NST_OK && i < packs->count; i++)
        if (!packs->item[i].failed && preview_of(&packs->item[i], &size)) {
            st = write_preview(directory, &packs->item[i], err);
            written++;
        }
    if (!written)
        fprintf(stderr, "nst-style: no style has a preview\n");
    return st;
}

enum nst_status style_list(const struct style_arguments *a, struct nst_err *err)
{
    struct pack_list packs = {0};
    enum nst_status st = NST_OK;

    scan_directory(&packs, nst_user_path("XDG_DATA_HOME", ".local/share", "styles"));
    scan_directory(&packs, nst_find_data("styles"));
    scan_directory(&packs, nst_user_path("XDG_DATA_HOME", ".local/share", "nets"));
    scan_directory(&packs, nst_find_data("nets"));
    if (packs.count)
        qsort(packs.item, (size_t)packs.count, sizeof *packs.item, compare_names);
    if (a->previews)
        st = write_previews(a->previews, &packs, err);
    else if (a->json)
        print_list_json(&packs);
    else
        print_list(&packs);
    clear_packs(&packs);
    return st;
}
