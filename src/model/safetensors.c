/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "model/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/atomic_file.h"
#include "base/path.h"

#define MAX_HEADER ((uint64_t)100 << 20) /* the format's own limit */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "arrays are written as they are");

struct nst_safetensors {
    char *path;
    const unsigned char *bytes; /* the whole file, mapped */
    uint64_t size, data;        /* data: offset of the arrays' bytes */
    json_t *header;
};

static enum nst_status map_file(struct nst_safetensors *f, struct nst_err *err)
{
    struct stat st;
    int fd = open(f->path, O_RDONLY | O_CLOEXEC);
    void *p;

    if (fd < 0)
        return nst_err_set(err, nst_open_status(errno), "%s: %s", f->path,
                           strerror(errno));
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return nst_err_set(err, NST_ERR_ARG, "%s: is not a regular file", f->path);
    }
    f->size = (uint64_t)st.st_size;
    p = f->size ? mmap(NULL, f->size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    close(fd);
    if (p == MAP_FAILED)
        return nst_err_set(err, NST_ERR_IO, "%s: %s", f->path,
                           f->size ? strerror(errno) : "is empty");
    f->bytes = p;
    return NST_OK;
}

/* Parse the header of n bytes. */
static enum nst_status parse_header(struct nst_safetensors *f, uint64_t n,
                                    struct nst_err *err)
{
    json_error_t je;

    f->data = 8 + n;
    f->header = json_loadb((const char *)f->bytes + 8, n, JSON_REJECT_DUPLICATES, &je);
    if (json_is_object(f->header))
        return NST_OK;
    if (!f->header && !*je.text) /* jansson has no words for it */
        return nst_err_set(err, NST_ERR_MEM, "%s: out of memory", f->path);
    return nst_err_set(err, NST_ERR_FORMAT, "%s: the header is not a JSON object: %s",
                       f->path, f->header ? "another type" : je.text);
}

static enum nst_status read_header(struct nst_safetensors *f, struct nst_err *err)
{
    uint64_t n;

    if (f->size < 8)
        return nst_err_set(err, NST_ERR_FORMAT,
                           "%s: is not a safetensors file: %llu bytes are too few",
                           f->path, (unsigned long long)f->size);
    memcpy(&n, f->bytes, 8);
    if (n <= f->size - 8 && n <= MAX_HEADER)
        return parse_header(f, n, err);
    if (memcmp(f->bytes, "PK\3\4", 4) == 0 || memcmp(f->bytes, "\x80\2", 2) == 0)
        return nst_err_set(err, NST_ERR_FORMAT,
                           "%s: is a PyTorch checkpoint; make a network for nst of it "
                           "with nst-model convert FILE -o NAME.safetensors",
                           f->path);
    return nst_err_set(err, NST_ERR_FORMAT,
                       "%s: is not a safetensors file, or is cut short: a header of "
                       "%llu bytes in a file of %llu",
                       f->path, (unsigned long long)n, (unsigned long long)f->size);
}

/* Reject a truncated file even if the arrays that this run needs are complete. */
static enum nst_status check_length(const struct nst_safetensors *f,
                                    struct nst_err *err)
{
    const char *key;
    json_t *j;

    json_object_foreach(f->header, key, j) {
        json_t *offsets = json_object_get(j, "data_offsets");
        json_int_t end = json_integer_value(json_array_get(offsets, 1));

        if (end > 0 && (uint64_t)end > f->size - f->data)
            return nst_err_set(
                err, NST_ERR_FORMAT,
                "%s: %s: its bytes lie past the end: the file is cut short", f->path,
                key);
    }
    return NST_OK;
}

static enum nst_status format_error(const struct nst_safetensors *f, const char *key,
                                    const char *what, struct nst_err *err)
{
    return nst_err_set(err, NST_ERR_FORMAT, "%s: %s: %s", f->path, key, what);
}

enum nst_status nst_safetensors_open(struct nst_safetensors **out, const char *path,
                                     struct nst_err *err)
{
    struct nst_safetensors *f = nst_xcalloc(1, sizeof *f);
    enum nst_status st;

    *out = NULL;
    f->path = nst_xstrdup(path);
    st = map_file(f, err);
    if (st == NST_OK)
        st = read_header(f, err);
    if (st == NST_OK)
        st = check_length(f, err);
    if (st != NST_OK) {
        nst_safetensors_close(f);
        return st;
    }
    *out = f;
    return NST_OK;
}

void nst_safetensors_close(struct nst_safetensors *f)
{
    if (!f)
        return;
    if (f->bytes)
        munmap((void *)f->bytes, f->size);
    json_decref(f->header);
    free(f->path);
    free(f);
}

const char *nst_safetensors_path(const struct nst_safetensors *f)
{
    return f->path;
}

#define METADATA "__metadata__"

const char *nst_safetensors_metadata(const struct nst_safetensors *f, const char *key)
{
    return json_string_value(
        json_object_get(json_object_get(f->header, METADATA), key));
}

bool nst_safetensors_has(const struct nst_safetensors *f, const char *key)
{
    return json_object_get(f->header, key) != NULL;
}

void nst_safetensors_foreach(const struct nst_safetensors *f,
                             void (*visit)(void *ctx, const char *key), void *ctx)
{
    const char *key;
    json_t *j;

    json_object_foreach(f->header, key, j)
        if (strcmp(key, METADATA) != 0)
            visit(ctx, key);
}

static bool read_dtype(json_t *j, struct nst_array *a)
{
    const char *type = json_string_value(j);

    for (int i = 0; type && i <= NST_U8; i++)
        if (strcmp(type, nst_dtype_name((enum nst_dtype)i)) == 0) {
            a->type = (enum nst_dtype)i;
            return true;
        }
    return false;
}

static bool read_shape(json_t *j, struct nst_array *a)
{
    size_t rank = json_array_size(j);

    if (!json_is_array(j) || rank > 4)
        return false;
    a->rank = (int)rank;
    a->count = 1;
    for (int i = 0; i < a->rank; i++) {
        json_t *d = json_array_get(j, (size_t)i);
        json_int_t v = json_integer_value(d);

        if (!json_is_integer(d) || v < 1)
            return false;
        a->shape[i] = (uint64_t)v;
        if (__builtin_mul_overflow(a->count, a->shape[i], &a->count))
            return false;
    }
    return true;
}

enum nst_status nst_safetensors_find(const struct nst_safetensors *f, const char *key,
                                     struct nst_array *a, struct nst_err *err)
{
    json_t *j = json_object_get(f->header, key),
           *offsets = json_object_get(j, "data_offsets");
    json_int_t from = json_integer_value(json_array_get(offsets, 0));
    json_int_t to = json_integer_value(json_array_get(offsets, 1));
    uint64_t bytes;

    if (!j)
        return format_error(f, key, "is not in the file", err);
    if (!read_dtype(json_object_get(j, "dtype"), a))
        return format_error(f, key, "the type is none that is known", err);
    if (!read_shape(json_object_get(j, "shape"), a))
        return format_error(f, key, "the shape is none of up to four sides", err);
    if (json_array_size(offsets) != 2 || !json_is_integer(json_array_get(offsets, 0)) ||
        !json_is_integer(json_array_get(offsets, 1)) || from < 0 || to < from)
        return format_error(f, key, "its bytes have no place in the file", err);
    if (__builtin_mul_overflow(a->count, nst_dtype_size(a->type), &bytes) ||
        (uint64_t)(to - from) != bytes)
        return format_error(f, key, "its shape and its number of bytes disagree", err);
    a->bytes = f->bytes + f->data + from;
    return NST_OK;
}

enum nst_status nst_safetensors_read_floats(const struct nst_safetensors *f,
                                            const char *key, const struct nst_array *a,
                                            float **out, struct nst_err *err)
{
    enum nst_status st = nst_array_to_floats(a, out, err);

    if (st == NST_ERR_FORMAT) {
        nst_err_prefix(err, key);
        nst_err_prefix(err, f->path);
    }
    return st;
}

struct nst_safetensors_writer {
    json_t *header, *metadata;
    int arrays, capacity;
    struct {
        const void *bytes;
        size_t size;
    } * array;
    uint64_t size; /* of all arrays */
};

struct nst_safetensors_writer *nst_safetensors_writer_new(void)
{
    struct nst_safetensors_writer *w = nst_xcalloc(1, sizeof *w);

    w->header = json_object();
    w->metadata = json_object();
    json_object_set(w->header, METADATA, w->metadata);
    return w;
}

void nst_safetensors_writer_free(struct nst_safetensors_writer *w)
{
    if (!w)
        return;
    json_decref(w->header);
    json_decref(w->metadata);
    free(w->array);
    free(w);
}

void nst_safetensors_write_metadata(struct nst_safetensors_writer *w, const char *key,
                                    const char *text)
{
    json_t *j = json_string(text);
    char *copy = nst_xstrdup(text);

    for (char *c = copy; !j && *c; c++)
        if (*c & 0x80) /* not UTF-8: replace all but ASCII */
            *c = '?';
    json_object_set_new(w->metadata, key, j ? j : json_string(copy));
    free(copy);
}

void nst_safetensors_write_array(struct nst_safetensors_writer *w, const char *key,
                                 const struct nst_array *a)
{
    size_t size = (size_t)a->count * nst_dtype_size(a->type);
    json_t *shape = json_array();

    for (int i = 0; i < a->rank; i++)
        json_array_append_new(shape, json_integer((json_int_t)a->shape[i]));
    json_object_set_new(w->header, key,
                        json_pack("{s:s, s:o, s:[I, I]}", "dtype",
                                  nst_dtype_name(a->type), "shape", shape,
                                  "data_offsets", (json_int_t)w->size,
                                  (json_int_t)(w->size + size)));
    if (w->arrays == w->capacity) {
        w->capacity = 2 * w->capacity + 16;
        w->array = nst_xrealloc(w->array, (size_t)w->capacity * sizeof *w->array);
    }
    w->array[w->arrays].bytes = a->bytes;
    w->array[w->arrays++].size = size;
    w->size += size;
}

/* Spaces pad the header so that the arrays begin at a multiple of 64 bytes. */
enum nst_status nst_safetensors_write_header(const struct nst_safetensors_writer *w,
                                             struct nst_atomic_file *file,
                                             struct nst_err *err)
{
    char *text = json_dumps(w->header, JSON_COMPACT);
    uint64_t length = (strlen(text) + 63) / 64 * 64 - 8;
    char *whole;
    enum nst_status st;

    if (length < strlen(text))
        length += 64;
    whole = nst_xasprintf("%-*s", (int)length, text);
    st = nst_atomic_file_write(file, &length, sizeof length, err);
    if (st == NST_OK)
        st = nst_atomic_file_write(file, whole, length, err);
    free(whole);
    free(text);
    return st;
}

enum nst_status nst_safetensors_write(struct nst_safetensors_writer *w,
                                      const char *path, struct nst_err *err)
{
    struct nst_atomic_file *file;
    enum nst_status st = nst_atomic_file_open(&file, path, err);

    if (st == NST_OK)
        st = nst_safetensors_write_header(w, file, err);
    for (int i = 0; st == NST_OK && i < w->arrays; i++)
        st = nst_atomic_file_write(file, w->array[i].bytes, w->array[i].size, err);
    if (st == NST_OK)
        st = nst_atomic_file_commit(file, err);
    nst_atomic_file_free(file);
    return st;
}
