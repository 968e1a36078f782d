/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "train/photos.h"

#include <errno.h>
#include <fts.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "image/load.h"
#include "image/save.h"
#include "train/crop.h"

/* Bytes that the pool takes about, and the photographs that it has at least. */
#define POOL_BYTES ((size_t)160 << 20)
#define POOL_LEAST 8
/* Shorter side of a photograph in the pool: in pixels, but at least in sides of a crop.
 */
#define SHORTER 640
#define SHORTER_SIDES 2.5
/* Steps between replacements. */
#define REPLACE_STEPS 4
/* One picture in so many is synthetic. */
#define SYNTHETIC 12

/* Streams of random numbers. */
enum { ORDER_STREAM = 1, CROP_STREAM };

struct nst_photos {
    struct nst_photos_config config;
    char **files; /* paths, in order; owned */
    size_t count;
    int slots;
    struct nst_photo *slot;
    int64_t replaced; /* photographs that have replaced others so far */

    /* the next one, which a thread reads */
    pthread_t thread;
    bool reading;
    struct nst_photo next;
    enum nst_status status;
    struct nst_err err;
};

static double shorter_side(const struct nst_photos_config *c)
{
    return fmax(SHORTER, SHORTER_SIDES * c->size);
}

static size_t slot_bytes(const struct nst_photos_config *c)
{
    double shorter = shorter_side(c);

    return (size_t)(3 * shorter * shorter * 1.5);
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static bool is_photo(const FTSENT *e)
{
    const char *suffix = strrchr(e->fts_name, '.');

    return e->fts_info == FTS_F && suffix && nst_picture_supports(suffix);
}

/* Tell of what cannot be read, or would be read for ever. */
static void report_entry(const struct nst_photos *p, const FTSENT *e)
{
    struct nst_err line;

    nst_err_set(&line, NST_OK, "photos: %s: %s; continuing without it", e->fts_path,
                e->fts_info == FTS_DC ? "is a directory above itself"
                                      : strerror(e->fts_errno));
    p->config.message(p->config.ctx, line.text);
}

/* List the pictures in the directory and below it. */
static enum nst_status list_files(struct nst_photos *p, struct nst_err *err)
{
    const char *directory = p->config.directory;
    char *roots[] = {(char *)directory, NULL};
    FTS *tree = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, by_name);
    enum nst_status st = NST_OK;
    FTSENT *e;

    while (tree && st == NST_OK && (e = fts_read(tree))) {
        if (e->fts_level == 0 && e->fts_info != FTS_D && e->fts_info != FTS_DP)
            st = nst_err_set(err, NST_ERR_ARG, "photos: %s: %s", directory,
                             e->fts_info == FTS_F ? "is not a directory"
                                                  : strerror(e->fts_errno));
        else if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR ||
                 e->fts_info == FTS_NS || e->fts_info == FTS_DC)
            report_entry(p, e);
        if (!is_photo(e) || e->fts_level == 0)
            continue;
        p->files = nst_xrealloc(p->files, (p->count + 1) * sizeof *p->files);
        p->files[p->count++] = nst_xstrdup(e->fts_path);
    }
    if (!tree)
        st = nst_err_set(err, NST_ERR_IO, "photos: %s: %s", directory, strerror(errno));
    else
        fts_close(tree);
    return st;
}

enum nst_status nst_photos_new(struct nst_photos **out,
                               const struct nst_photos_config *config,
                               struct nst_err *err)
{
    struct nst_photos *p = nst_xcalloc(1, sizeof *p);
    enum nst_status st;
    size_t slots = POOL_BYTES / slot_bytes(config);

    *out = NULL;
    p->config = *config;
    st = list_files(p, err);
    if (st == NST_OK && p->count < NST_PHOTOS_LEAST)
        st = nst_err_set(err, NST_ERR_ARG,
                         "photos: %s has %zu photographs, but a training needs at "
                         "least %d, and better %d or more",
                         config->directory, p->count, NST_PHOTOS_LEAST, NST_PHOTOS_FEW);
    if (st != NST_OK) {
        nst_photos_free(p);
        return st;
    }
    if (slots < POOL_LEAST)
        slots = POOL_LEAST;
    p->slots = (int)(slots < p->count ? slots : p->count);
    p->slot = nst_xcalloc((size_t)p->slots, sizeof *p->slot);
    *out = p;
    return NST_OK;
}

static void finish_reading(struct nst_photos *p)
{
    if (p->reading)
        pthread_join(p->thread, NULL);
    p->reading = false;
}

void nst_photos_free(struct nst_photos *p)
{
    if (!p)
        return;
    finish_reading(p);
    for (int i = 0; i < p->slots; i++)
        free(p->slot[i].rgb);
    free(p->slot);
    free(p->next.rgb);
    for (size_t i = 0; i < p->count; i++)
        free(p->files[i]);
    free(p->files);
    free(p);
}

size_t nst_photos_count(const struct nst_photos *p)
{
    return p->count;
}

/* The name of a file below the directory, however that ends. */
static const char *below(const struct nst_photos *p, const char *file)
{
    file += strlen(p->config.directory);
    return file + strspn(file, "/");
}

uint64_t nst_photos_fingerprint(const struct nst_photos *p)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */

    for (size_t i = 0; i < p->count; i++)
        for (const char *c = below(p, p->files[i]); *c; c++)
            hash = (hash ^ (unsigned char)*c) * 0x100000001b3u;
    return hash;
}

/* The file of the number-th photograph of the endless sequence: all files in one order,
 * then in another one, and so on. */
static size_t file_of(const struct nst_photos *p, int64_t number)
{
    size_t n = p->count, at = (size_t)number % n, file;
    struct nst_random r =
        nst_random_stream(p->config.seed, ORDER_STREAM, (uint64_t)number / n);
    size_t *order = nst_xcalloc(n, sizeof *order);

    for (size_t i = 0; i < n; i++)
        order[i] = i;
    for (size_t i = n; i-- > 1;) {
        size_t other = nst_random_below(&r, i + 1), swapped = order[i];

        order[i] = order[other];
        order[other] = swapped;
    }
    file = order[at];
    free(order);
    return file;
}

static enum nst_status load(const struct nst_photos *p, size_t file,
                            struct nst_photo *to, struct nst_err *err)
{
    const char *path = p->files[file];
    struct nst_picture_size size = {.header_only = true};
    struct nst_picture *picture;
    int shorter;
    size_t area;
    enum nst_status st = nst_picture_load(&picture, path, &size, err);

    if (st != NST_OK)
        return st;
    shorter = picture->height < picture->width ? picture->height : picture->width;
    size = (struct nst_picture_size){.for_view = true};
    if (shorter > shorter_side(&p->config))
        size.longest = (int)lround(shorter_side(&p->config) / shorter *
                                   nst_longest(picture->height, picture->width));
    nst_picture_free(picture);
    st = nst_picture_load(&picture, path, &size, err);
    if (st != NST_OK)
        return st;
    nst_picture_flatten(picture, NST_WHITE);
    area = nst_area(picture->height, picture->width);
    *to = (struct nst_photo){picture->height, picture->width, malloc(3 * area)};
    if (!to->rgb)
        st = nst_err_set(err, NST_ERR_MEM, "out of memory: a photograph of %d x %d",
                         picture->width, picture->height);
    for (size_t i = 0; st == NST_OK && i < area; i++)
        for (size_t c = 0; c < 3; c++)
            to->rgb[3 * i + c] =
                (unsigned char)lroundf(255 * picture->rgb[c * area + i]);
    nst_picture_free(picture);
    return st;
}

/* Read the number-th photograph; of files that cannot be read, the next one. */
static enum nst_status load_number(const struct nst_photos *p, int64_t number,
                                   struct nst_photo *to, struct nst_err *err)
{
    size_t file = file_of(p, number), tried;

    for (tried = 0; tried < p->count; tried++) {
        struct nst_err problem;
        enum nst_status st = load(p, (file + tried) % p->count, to, &problem);

        if (st == NST_OK)
            return NST_OK;
        if (st == NST_ERR_MEM)
            return nst_err_set(err, st, "%s", problem.text);
        p->config.message(p->config.ctx, problem.text);
    }
    return nst_err_set(err, NST_ERR_FORMAT, "photos: %s: no file can be read",
                       p->config.directory);
}

static void *read_next(void *ctx)
{
    struct nst_photos *p = ctx;

    p->status = load_number(p, p->slots + p->replaced, &p->next, &p->err);
    return NULL;
}

/* Let a thread read the next photograph, if not all are in the pool. */
static void start_reading(struct nst_photos *p)
{
    if ((size_t)p->slots < p->count) {
        if (pthread_create(&p->thread, NULL, read_next, p) == 0)
            p->reading = true;
        else
            read_next(p);
    }
}

enum nst_status nst_photos_begin(struct nst_photos *p, int64_t step,
                                 struct nst_err *err)
{
    enum nst_status st = NST_OK;

    p->replaced = (size_t)p->slots < p->count ? step / REPLACE_STEPS : 0;
    for (int i = 0; st == NST_OK && i < p->slots; i++) {
        /* the last of those with the numbers i, i + slots, ... that were read so far */
        int64_t rounds = (p->replaced + p->slots - 1 - i) / p->slots;

        st = load_number(p, i + rounds * p->slots, &p->slot[i], err);
    }
    if (st == NST_OK)
        start_reading(p);
    return st;
}

static enum nst_status replace_one(struct nst_photos *p, struct nst_err *err)
{
    int slot = (int)(p->replaced % p->slots);

    finish_reading(p);
    if (p->status != NST_OK)
        return nst_err_set(err, p->status, "%s", p->err.text);
    free(p->slot[slot].rgb);
    p->slot[slot] = p->next;
    p->next = (struct nst_photo){0};
    p->replaced++;
    start_reading(p);
    return NST_OK;
}

enum nst_status nst_photos_crop(struct nst_photos *p, int64_t step, int number,
                                float *rgb, struct nst_err *err)
{
    struct nst_random r = nst_random_stream(p->config.seed, CROP_STREAM,
                                            ((uint64_t)step << 8) + (uint64_t)number);

    while ((size_t)p->slots < p->count && p->replaced < step / REPLACE_STEPS) {
        enum nst_status st = replace_one(p, err);

        if (st != NST_OK)
            return st;
    }
    if (nst_random_below(&r, SYNTHETIC) == 0)
        nst_crop_synthetic(p->config.size, &r, rgb);
    else
        nst_crop_photo(&p->slot[nst_random_below(&r, (uint64_t)p->slots)],
                       p->config.size, &r, rgb);
    return NST_OK;
}
