/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/batch.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/atomic_file.h"
#include "base/path.h"
#include "base/template.h"
#include "base/text_file.h"
#include "image/save.h"
#include "run/pyramid.h"

/* Files that are left out and named. */
#define LEFT_OUT_NAMES 3

static bool is_stdio(const char *path)
{
    return strcmp(path, "-") == 0;
}

static bool is_directory(const char *path)
{
    struct stat st;

    return !is_stdio(path) && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A FIFO, a socket or a device in a directory is no picture: opening it may block. A
 * file that cannot be examined fails later, with a message. */
static bool is_special(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

static void add_item(struct nst_batch *b, const char *content, const char *subdirectory,
                     bool found)
{
    b->item = nst_xrealloc(b->item, (b->items + 1) * sizeof *b->item);
    b->item[b->items++] =
        (struct nst_batch_item){.content = nst_xstrdup(content),
                                .subdirectory = nst_xstrdup(subdirectory),
                                .found = found};
}

void nst_batch_add_samples(struct nst_batch *b, const char *name,
                           const struct nst_samples *picture,
                           const struct nst_samples *keep,
                           const struct nst_samples *result)
{
    struct nst_batch_item *item;

    add_item(b, name, "", false);
    item = &b->item[b->items - 1];
    item->picture = *picture;
    if (keep)
        item->keep = *keep;
    item->result = *result;
}

/* Count a file that is passed over, and list it if it is one of the first. */
static void leave_out(struct nst_batch *b, const char *subdirectory, const char *name)
{
    const char *list = b->left_out_names ? b->left_out_names : "";
    const char *comma = b->left_out ? ", " : "";
    char *longer = NULL;

    if (b->left_out < LEFT_OUT_NAMES)
        longer = nst_xasprintf("%s%s%s%s", list, comma, subdirectory, name);
    else if (b->left_out == LEFT_OUT_NAMES)
        longer = nst_xasprintf("%s, ...", list);
    b->left_out++;
    if (!longer)
        return;
    free(b->left_out_names);
    b->left_out_names = longer;
}

static int is_visible(const struct dirent *d)
{
    return d->d_name[0] != '.';
}

/* Symbolic links to directories are not followed: they may form a loop. The output
 * directory, which exists when a run is repeated, is skipped. */
static bool should_recurse(const struct nst_batch *b, const char *path)
{
    struct stat st, excluded;

    if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return false;
    return !b->excluded_directory || stat(b->excluded_directory, &excluded) != 0 ||
           st.st_dev != excluded.st_dev || st.st_ino != excluded.st_ino;
}

/* subdirectory: prefix of the results of this directory. */
static enum nst_status add_directory(struct nst_batch *b, const char *path,
                                     const char *subdirectory, bool recursive,
                                     struct nst_err *err)
{
    bool slash = path[strlen(path) - 1] == '/';
    enum nst_status st = NST_OK;
    struct dirent **entry;
    int n = scandir(path, &entry, is_visible, alphasort);

    if (n < 0)
        return nst_err_set(err, nst_open_status(errno), "%s: %s", path,
                           strerror(errno));
    for (int i = 0; i < n; i++) {
        const char *name = entry[i]->d_name, *dot = strrchr(name, '.');
        char *path_inside = nst_xasprintf("%s%s%s", path, slash ? "" : "/", name);
        char *subdirectory_inside = nst_xasprintf("%s%s/", subdirectory, name);

        if (st == NST_OK && recursive && should_recurse(b, path_inside)) {
            st = add_directory(b, path_inside, subdirectory_inside, true, err);
            if (st != NST_OK) { /* it fails later; the others are processed */
                add_item(b, path_inside, subdirectory_inside, true);
                st = NST_OK;
            }
        } else if (st == NST_OK && dot && nst_picture_supports(dot) &&
                   !is_special(path_inside))
            add_item(b, path_inside, subdirectory, true);
        else if (st == NST_OK && !is_directory(path_inside))
            leave_out(b, subdirectory, name);
        free(path_inside);
        free(subdirectory_inside);
        free(entry[i]);
    }
    free(entry);
    return st;
}

enum nst_status nst_batch_add(struct nst_batch *b, const char *name, bool recursive,
                              struct nst_err *err)
{
    size_t before = b->items;
    enum nst_status st;

    if (!is_directory(name)) {
        add_item(b, name, "", false);
        return NST_OK;
    }
    st = add_directory(b, name, "", recursive, err);
    if (st == NST_OK && b->items == before)
        st = nst_err_set(err, NST_ERR_ARG, "%s: contains no images%s%s%s", name,
                         b->left_out ? ", but " : "",
                         b->left_out ? b->left_out_names : "",
                         recursive ? "" : "; use -r to include subdirectories");
    return st;
}

/* Cut off the carriage return at the end of a line of n bytes, as editors of Windows
 * write it, unless it belongs to the name of a file. */
static void drop_return(char *line, size_t n)
{
    struct stat st;

    if (n && line[n - 1] == '\r' && lstat(line, &st) != 0)
        line[n - 1] = 0;
}

static enum nst_status add_lines(struct nst_batch *b, FILE *f, const char *path,
                                 bool null, bool recursive, struct nst_err *err)
{
    enum nst_status st = NST_OK;
    char *line = NULL;
    size_t capacity = 0;
    ssize_t n;

    while (st == NST_OK && (n = getdelim(&line, &capacity, null ? 0 : '\n', f)) > 0) {
        if (line[n - 1] == (null ? 0 : '\n'))
            line[--n] = 0;
        if (!null)
            drop_return(line, (size_t)n);
        if (is_stdio(line))
            st = nst_err_set(err, NST_ERR_ARG,
                             "files-from: %s: contains -, which is not a file", path);
        else if (*line)
            st = nst_batch_add(b, line, recursive, err);
    }
    if (st == NST_OK && ferror(f))
        st = nst_err_set(err, nst_open_status(errno), "files-from: %s: %s", path,
                         strerror(errno));
    free(line);
    return st;
}

enum nst_status nst_batch_add_list(struct nst_batch *b, const char *path, bool null,
                                   bool recursive, struct nst_err *err)
{
    FILE *f = is_stdio(path) ? stdin : fopen(path, "re");
    enum nst_status st;

    if (!f)
        return nst_err_set(err, nst_open_status(errno), "files-from: %s: %s", path,
                           strerror(errno));
    st = nst_text_file_begin(f, path, err);
    if (st == NST_OK)
        st = add_lines(b, f, path, null, recursive, err);
    else
        nst_err_prefix(err, "files-from");
    if (f != stdin)
        fclose(f);
    return st;
}

/* Length of the file name in a path without its extension; *suffix is the extension. */
static int split_stem(const char **name, const char **suffix)
{
    const char *dot;

    *name = nst_base_name(*name);
    dot = strrchr(*name, '.');
    *suffix = dot && dot != *name ? dot : *name + strlen(*name);
    return (int)(*suffix - *name);
}

/* Names of the styles, joined by +. */
static char *style_stem(const struct nst_styles *styles)
{
    char *all = nst_xstrdup("");

    for (int i = 0; i < styles->count; i++) {
        const char *name = styles->item[i].file, *suffix;
        int n = split_stem(&name, &suffix);
        char *joined = nst_xasprintf("%s%s%.*s", all, i ? "+" : "", n, name);

        free(all);
        all = joined;
    }
    return all;
}

/* Values of the words in --name. */
struct name_words {
    const char *content, *style, *format; /* format: or NULL */
    size_t index;
};

/* The name of the folder that path is in: a new string. */
static char *folder_name(const char *path)
{
    const char *name = nst_base_name(path);
    char *folder = nst_xasprintf("%.*s.", (int)(name - path), path);
    char *real = nst_path_canonical(folder), *copy = nst_xstrdup(nst_base_name(real));

    free(folder);
    free(real);
    return copy;
}

static char *expand_word(const void *ctx, const char *word, size_t length)
{
    const struct name_words *n = ctx;
    const char *stem = n->content, *suffix;
    int stem_length = split_stem(&stem, &suffix);

    if (length == 4 && strncmp(word, "stem", 4) == 0)
        return nst_xasprintf("%.*s", stem_length, stem);
    if (length == 5 && strncmp(word, "style", 5) == 0)
        return nst_xstrdup(n->style);
    if (length == 3 && strncmp(word, "ext", 3) == 0)
        return nst_xstrdup(n->format                     ? n->format
                           : nst_output_supports(suffix) ? suffix + 1
                                                         : "png");
    if (length == 6 && strncmp(word, "folder", 6) == 0)
        return folder_name(n->content);
    if (length == 5 && strncmp(word, "index", 5) == 0)
        return nst_xasprintf("%04zu", n->index + 1);
    return NULL;
}

static enum nst_status check_name(const char *name, struct nst_err *err)
{
    const char *base = nst_base_name(name);

    if (!*base || name[0] == '/' || strcmp(base, "..") == 0 ||
        strncmp(name, "../", 3) == 0 || strstr(name, "/../"))
        return nst_err_set(err, NST_ERR_ARG,
                           "name: '%s' does not name a file below the -o directory",
                           name);
    return NST_OK;
}

static enum nst_status nameless_error(const struct nst_params *p, struct nst_err *err)
{
    return nst_err_set(err, NST_ERR_ARG,
                       "-o %s: standard input has no name; use -o FILE", p->output);
}

static enum nst_status name_output(struct nst_batch *b, size_t i,
                                   const struct nst_params *p, const char *style,
                                   struct nst_err *err)
{
    struct nst_batch_item *item = &b->item[i];
    bool slash = p->output[strlen(p->output) - 1] == '/';
    const char *stream = nst_params_stream(p);
    const struct name_words name_words = {item->content, style,
                                          stream ? stream : p->format, i};
    const struct nst_template_vars words = {expand_word, &name_words, "name",
                                            "{stem}, {folder}, {style}, {ext} and "
                                            "{index}"};
    enum nst_status st;
    char *name;

    if (is_stdio(item->content))
        return nameless_error(p, err);
    st = nst_template_expand(&name, p->name, &words, err);
    if (st != NST_OK)
        return st;
    st = check_name(name, err);
    item->named = strstr(p->name, "{stem}") != NULL;
    item->output = nst_xasprintf("%s%s%s%s", p->output, slash ? "" : "/",
                                 item->subdirectory, name);
    free(name);
    return st;
}

/* An output and its canonical path: links may lead two paths to one file. */
struct output_path {
    const struct nst_batch_item *item;
    char *real_path;
};

static int compare_paths(const void *a, const void *b)
{
    return strcmp(((const struct output_path *)a)->real_path,
                  ((const struct output_path *)b)->real_path);
}

/* After sorting, outputs with the same path are adjacent. */
static enum nst_status check_distinct_outputs(const struct nst_batch *b,
                                              struct nst_err *err)
{
    struct output_path *sorted = nst_xcalloc(b->items, sizeof *sorted);
    const struct nst_batch_item *first = NULL, *second = NULL;
    size_t n = 0;

    for (size_t i = 0; i < b->items; i++)
        if (b->item[i].output)
            sorted[n++] = (struct output_path){&b->item[i],
                                               nst_path_canonical(b->item[i].output)};
    qsort(sorted, n, sizeof *sorted, compare_paths);
    for (size_t i = 1; i < n; i++)
        if (strcmp(sorted[i - 1].real_path, sorted[i].real_path) == 0)
            first = sorted[i - 1].item, second = sorted[i].item;
    for (size_t i = 0; i < n; i++)
        free(sorted[i].real_path);
    free(sorted);
    if (!second)
        return NST_OK;
    return nst_err_set(err, NST_ERR_ARG,
                       "%s and %s would both be written to %s; use --name with "
                       "{folder} or {index}",
                       first->content, second->content, second->output);
}

/* Regular files, identified by device and inode. */
struct file_set {
    struct stat *stat;
    size_t count;
};

static int compare_files(const void *a, const void *b)
{
    const struct stat *x = a, *y = b;

    if (x->st_dev != y->st_dev)
        return x->st_dev < y->st_dev ? -1 : 1;
    return x->st_ino < y->st_ino ? -1 : x->st_ino > y->st_ino;
}

static void add_file(struct file_set *f, const char *path, int fd)
{
    if ((is_stdio(path) ? fstat(fd, &f->stat[f->count])
                        : stat(path, &f->stat[f->count])) == 0 &&
        S_ISREG(f->stat[f->count].st_mode))
        f->count++;
}

static struct file_set input_files(const struct nst_batch *b,
                                   const struct nst_params *p)
{
    struct file_set f = {
        nst_xcalloc(b->items + 2 * NST_STYLES_MAX + 4, sizeof(struct stat)), 0};

    for (size_t i = 0; i < b->items; i++)
        if (!b->item[i].picture.data)
            add_file(&f, b->item[i].content, STDIN_FILENO);
    for (int i = 0; i < p->styles.count; i++) {
        add_file(&f, p->styles.item[i].file, STDIN_FILENO);
        if (p->styles.item[i].mask)
            add_file(&f, p->styles.item[i].mask, STDIN_FILENO);
    }
    if (nst_params_init_is_file(p))
        add_file(&f, p->init, STDIN_FILENO);
    if (p->keep_mask)
        add_file(&f, p->keep_mask, STDIN_FILENO);
    if (p->files_from)
        add_file(&f, p->files_from, STDIN_FILENO);
    if (p->model)
        add_file(&f, p->model, STDIN_FILENO);
    qsort(f.stat, f.count, sizeof *f.stat, compare_files);
    return f;
}

static enum nst_status protect(const struct file_set *f, const char *path,
                               struct nst_err *err)
{
    struct stat target;
    struct file_set out = {&target, 0};

    add_file(&out, path, STDOUT_FILENO);
    if (out.count &&
        bsearch(&target, f->stat, f->count, sizeof *f->stat, compare_files))
        return nst_err_set(err, NST_ERR_ARG,
                           "%s: is an input file and will not be overwritten",
                           is_stdio(path) ? "standard output" : path);
    return NST_OK;
}

enum nst_status nst_batch_protect_inputs(const struct nst_batch *b,
                                         const struct nst_params *p, const char *path,
                                         struct nst_err *err)
{
    struct file_set f = input_files(b, p);
    enum nst_status st = path ? protect(&f, path, err) : NST_OK;

    free(f.stat);
    return st;
}

static enum nst_status name_outputs(struct nst_batch *b, const struct nst_params *p,
                                    const char *style, struct nst_err *err)
{
    enum nst_status st = NST_OK;

    if (b->items > 1 && !b->to_directory)
        return nst_err_set(err, NST_ERR_ARG,
                           "%zu images need an output directory; use -o DIR/",
                           b->items);
    for (int i = 0; b->to_directory && i < p->styles.count; i++)
        if (is_stdio(p->styles.item[i].file))
            return nameless_error(p, err);
    for (size_t i = 0; st == NST_OK && i < b->items; i++)
        if (b->item[i].picture.data)
            continue;
        else if (b->to_directory)
            st = name_output(b, i, p, style, err);
        else
            b->item[i].output = nst_xstrdup(p->output);
    return st;
}

enum nst_status nst_batch_name_outputs(struct nst_batch *b, const struct nst_params *p,
                                       struct nst_err *err)
{
    size_t length = strlen(p->output);
    char *style = style_stem(&p->styles);
    struct file_set f = input_files(b, p);
    enum nst_status st;

    b->to_directory =
        (length && p->output[length - 1] == '/') || is_directory(p->output);
    st = name_outputs(b, p, style, err);
    for (size_t i = 0; st == NST_OK && i < b->items; i++)
        if (b->item[i].output)
            st = protect(&f, b->item[i].output, err);
    if (st == NST_OK)
        st = check_distinct_outputs(b, err);
    free(f.stat);
    free(style);
    return st;
}

/* Call visit for each directory of path, outermost first, until it fails. */
static enum nst_status each_directory(const char *path, int (*visit)(const char *path),
                                      struct nst_err *err)
{
    char *copy = nst_xstrdup(path);
    enum nst_status st = NST_OK;

    for (char *c = copy + 1; st == NST_OK && *c; c++)
        if (*c == '/') {
            *c = 0;
            if (visit(copy) != 0)
                st = nst_err_set(err, nst_open_status(errno),
                                 "%s: cannot be created: %s", copy, strerror(errno));
            *c = '/';
        }
    free(copy);
    return st;
}

static int fail(int error)
{
    errno = error;
    return -1;
}

static int make_directory(const char *path)
{
    if (mkdir(path, 0777) == 0 || is_directory(path))
        return 0;
    return errno == EEXIST ? fail(ENOTDIR) : -1;
}

enum nst_status nst_batch_make_directories(const struct nst_batch_item *item,
                                           struct nst_err *err)
{
    return each_directory(item->output, make_directory, err);
}

/* Whether make_directory() would succeed, or its parent is missing as well. */
static int check_directory(const char *path)
{
    const char *name = nst_base_name(path);
    char *parent = name == path ? nst_xstrdup(".")
                                : nst_xasprintf("%.*s", (int)(name - path), path);
    int failed = 0;

    if (access(path, F_OK) == 0)
        failed = is_directory(path) ? 0 : fail(ENOTDIR);
    else if (access(parent, F_OK) == 0)
        failed = access(parent, W_OK | X_OK);
    free(parent);
    return failed;
}

enum nst_status nst_batch_check_output(const struct nst_batch_item *item,
                                       bool make_directories, const char *format,
                                       struct nst_err *err)
{
    char *directory = nst_xasprintf(
        "%.*s.", (int)(nst_base_name(item->output) - item->output), item->output);
    bool exists = access(directory, F_OK) == 0;
    struct nst_output *output = NULL;
    enum nst_status st = NST_OK;

    free(directory);
    if (make_directories)
        st = each_directory(item->output, check_directory, err);
    if (st == NST_OK && make_directories && !exists)
        return nst_output_check_format(item->output, format, err);
    if (st == NST_OK)
        st = nst_output_open(&output, item->output, format, err);
    nst_output_free(output);
    return st;
}

void nst_batch_clear(struct nst_batch *b)
{
    for (size_t i = 0; i < b->items; i++) {
        free(b->item[i].content);
        free(b->item[i].subdirectory);
        free(b->item[i].output);
    }
    free(b->item);
    free(b->left_out_names);
}
