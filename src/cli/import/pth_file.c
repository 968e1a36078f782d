/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "cli/import/pth_file.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/path.h"
#include "model/dtype.h"
#include "nst.h"

#define MAX_SIDE 4096      /* of a tensor */
#define MAX_PARAMETERS 512 /* that are read */
#define MAX_PICKLE ((size_t)64 << 20)
/* In a legacy file: magic number, version, sizes of types, dictionary, keys. */
#define LEGACY_PICKLES 5

/* A tensor that is wanted, and the location of its elements. */
struct parameter {
    char *name;
    float **to; /* destination */
    const char *storage;
    enum nst_dtype type;
    uint64_t offset, count; /* in elements */
    bool found;
};

struct nst_pth_file {
    const char *path;
    struct nst_err *err;
    struct nst_value *values[LEGACY_PICKLES];
    const struct nst_value *dict; /* of tensors */
    const char **names;           /* of its tensors */
    size_t count;
    struct parameter parameter[MAX_PARAMETERS];
    int parameters;
    enum nst_status (*choose)(void *ctx, struct nst_pth_file *f, struct nst_err *err);
    void *ctx;
};

enum nst_status nst_pth_file_error(const struct nst_pth_file *r, const char *name,
                                   const char *what)
{
    return nst_err_set(r->err, NST_ERR_FORMAT, "%s: %s: %s", r->path, name, what);
}

static bool storage_type(const char *name, enum nst_dtype *type)
{
    static const struct {
        const char *name;
        enum nst_dtype type;
    } types[] = {{"torch.FloatStorage", NST_F32},
                 {"torch.HalfStorage", NST_F16},
                 {"torch.BFloat16Storage", NST_BF16},
                 {"torch.DoubleStorage", NST_F64}};

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(name, types[i].name) == 0) {
            *type = types[i].type;
            return true;
        }
    return false;
}

/* The sizes of a contiguous tensor. Returns the rank, or -1 if it is not contiguous or
 * not a convolution's. */
static int contiguous_shape(const struct nst_value *t, int64_t size[4])
{
    const struct nst_value *sizes = t->item[2], *strides = t->item[3];
    int64_t stride = 1;

    if (sizes->kind != NST_VALUE_LIST || strides->kind != NST_VALUE_LIST ||
        sizes->count > 4 || strides->count != sizes->count)
        return -1;
    for (size_t i = sizes->count; i-- > 0;) {
        size[i] = sizes->item[i]->number;
        if (size[i] < 1 || size[i] > MAX_SIDE ||
            (size[i] > 1 && strides->item[i]->number != stride))
            return -1;
        stride *= size[i];
    }
    return (int)sizes->count;
}

enum nst_status nst_pth_file_want(struct nst_pth_file *r, const char *name, float **to,
                                  int64_t size[4], int *rank)
{
    const struct nst_value *t = nst_value_get(r->dict, name), *s;
    struct parameter *p = &r->parameter[r->parameters];

    if (r->parameters == MAX_PARAMETERS)
        return nst_err_set(r->err, NST_ERR_ARG, "%s: holds more than %d tensors",
                           r->path, MAX_PARAMETERS);
    if (!t || t->kind != NST_VALUE_TENSOR || t->count < 4 ||
        t->item[0]->kind != NST_VALUE_STORAGE || t->item[1]->number < 0)
        return nst_pth_file_error(r, name,
                                  t ? "is not a tensor" : "is not in the file");
    s = t->item[0];
    r->parameters++;
    *p = (struct parameter){.name = nst_xstrdup(name),
                            .to = to,
                            .storage = s->item[2]->text,
                            .offset = (uint64_t)t->item[1]->number};
    if (!storage_type(s->item[1]->text, &p->type))
        return nst_pth_file_error(r, name,
                                  "the type is not float, half, bfloat16 or double");
    *rank = contiguous_shape(t, size);
    if (*rank < 1)
        return nst_pth_file_error(r, name,
                                  "is not contiguous, or does not have the shape of a "
                                  "convolution");
    p->count = 1;
    for (int i = 0; i < *rank; i++)
        p->count *= (uint64_t)size[i];
    return NST_OK;
}

const char *const *nst_pth_file_tensors(const struct nst_pth_file *f, size_t *count)
{
    *count = f->count;
    return f->names;
}

/* List the names of a dictionary's tensors. */
static void list_tensors(struct nst_pth_file *r, const struct nst_value *dict)
{
    free(r->names);
    r->names = nst_xcalloc(dict->count + 1, sizeof *r->names);
    r->count = 0;
    r->dict = dict;
    for (size_t i = 0; dict->kind == NST_VALUE_DICT && i + 1 < dict->count; i += 2)
        if (dict->item[i]->kind == NST_VALUE_TEXT &&
            dict->item[i + 1]->kind == NST_VALUE_TENSOR)
            r->names[r->count++] = dict->item[i]->text;
}

/* Find the dictionary of tensors, and let the caller choose. */
static enum nst_status choose(struct nst_pth_file *r, const struct nst_value *root)
{
    list_tensors(r, root);
    for (size_t i = 1; !r->count && root->kind == NST_VALUE_DICT && i < root->count;
         i += 2)
        list_tensors(r, root->item[i]);
    return r->choose(r->ctx, r, r->err);
}

/* Copy the wanted parameters out of a storage of size bytes. */
static enum nst_status copy_storage(struct nst_pth_file *r, const char *key,
                                    const unsigned char *bytes, size_t size)
{
    enum nst_status st = NST_OK;

    for (int i = 0; st == NST_OK && i < r->parameters; i++) {
        struct parameter *p = &r->parameter[i];
        size_t element_size = nst_dtype_size(p->type);
        struct nst_array a = {.type = p->type, .count = p->count};

        if (p->found || strcmp(p->storage, key) != 0)
            continue;
        if (p->offset > size / element_size ||
            p->count > size / element_size - p->offset)
            return nst_pth_file_error(r, p->name,
                                      "the storage is too short for the tensor");
        a.bytes = bytes + p->offset * element_size;
        st = nst_array_to_floats(&a, p->to, r->err);
        if (st == NST_ERR_FORMAT)
            st = nst_pth_file_error(r, p->name, "holds a value that is not finite");
        p->found = true;
    }
    return st;
}

static bool is_needed(const struct nst_pth_file *r, const char *key)
{
    for (int i = 0; i < r->parameters; i++)
        if (!r->parameter[i].found && strcmp(r->parameter[i].storage, key) == 0)
            return true;
    return false;
}

static enum nst_status all_found(const struct nst_pth_file *r)
{
    for (int i = 0; i < r->parameters; i++)
        if (!r->parameter[i].found)
            return nst_pth_file_error(r, r->parameter[i].name,
                                      "its numbers are not in the file");
    return NST_OK;
}

/* Read the data of a zip entry. *bytes is the caller's, even after an error: free(). */
static enum nst_status read_entry(struct nst_pth_file *r, struct archive *zip,
                                  struct archive_entry *entry, size_t max_size,
                                  unsigned char **bytes, size_t *size)
{
    const char *name = archive_entry_pathname(entry);
    la_int64_t length = archive_entry_size(entry);
    la_ssize_t n = 0;

    *bytes = NULL;
    if (!archive_entry_size_is_set(entry) || length < 0 || (size_t)length > max_size)
        return nst_pth_file_error(r, name, "is too large, or its size is unknown");
    *size = (size_t)length;
    *bytes = malloc(*size ? *size : 1);
    if (!*bytes)
        return nst_err_set(r->err, NST_ERR_MEM, "out of memory: %zu bytes", *size);
    for (size_t at = 0; at < *size; at += (size_t)n) {
        n = archive_read_data(zip, *bytes + at, *size - at);
        if (n <= 0)
            return nst_pth_file_error(
                r, name, n < 0 ? archive_error_string(zip) : "is truncated");
    }
    return NST_OK;
}

/* The name of an entry without the archive's top directory. */
static const char *entry_name(struct archive_entry *entry)
{
    const char *name = archive_entry_pathname(entry),
               *slash = name ? strchr(name, '/') : 0;

    return slash ? slash + 1 : "";
}

typedef enum nst_status handle_entry(struct nst_pth_file *r, const char *name,
                                     struct archive *zip, struct archive_entry *entry);

/* Call handle for all entries of the zip. */
static enum nst_status each_entry(struct nst_pth_file *r, handle_entry *handle)
{
    struct archive *zip = archive_read_new();
    struct archive_entry *entry;
    enum nst_status st = NST_OK;
    int got = ARCHIVE_OK;

    archive_read_support_format_zip(zip);
    if (archive_read_open_filename(zip, r->path, 1 << 16) != ARCHIVE_OK)
        st = nst_err_set(r->err, NST_ERR_IO, "%s: %s", r->path,
                         archive_error_string(zip));
    while (st == NST_OK && (got = archive_read_next_header(zip, &entry)) == ARCHIVE_OK)
        st = handle(r, entry_name(entry), zip, entry);
    if (st == NST_OK && got != ARCHIVE_EOF)
        st = nst_pth_file_error(r, "zip", archive_error_string(zip));
    archive_read_free(zip);
    return st;
}

static enum nst_status read_pickle_entry(struct nst_pth_file *r, const char *name,
                                         struct archive *zip,
                                         struct archive_entry *entry)
{
    unsigned char *bytes;
    size_t size, used;
    enum nst_status st;

    if (strcmp(name, "data.pkl") != 0 || r->values[0])
        return NST_OK;
    st = read_entry(r, zip, entry, MAX_PICKLE, &bytes, &size);
    if (st == NST_OK)
        st = nst_unpickle(&r->values[0], bytes, size, &used, r->path, r->err);
    free(bytes);
    return st;
}

static enum nst_status read_data_entry(struct nst_pth_file *r, const char *name,
                                       struct archive *zip, struct archive_entry *entry)
{
    unsigned char *bytes;
    size_t size;
    enum nst_status st;

    if (strncmp(name, "data/", 5) != 0 || !is_needed(r, name + 5))
        return NST_OK;
    st = read_entry(r, zip, entry, (size_t)1 << 31, &bytes, &size);
    if (st == NST_OK)
        st = copy_storage(r, name + 5, bytes, size);
    free(bytes);
    return st;
}

static enum nst_status load_zip(struct nst_pth_file *r)
{
    enum nst_status st = each_entry(r, read_pickle_entry);

    if (st == NST_OK && !r->values[0])
        st = nst_pth_file_error(
            r, "data.pkl", "is not in the zip file: it is not a PyTorch checkpoint");
    if (st == NST_OK)
        st = choose(r, r->values[0]->item[0]);
    if (st == NST_OK)
        st = each_entry(r, read_data_entry);
    return st;
}

/* Bytes per element of a storage of a legacy file; 0 if unknown. The file has a list of
 * keys, then, in that order, the storages, each as a count and its elements. Only the
 * dictionary says their types. */
static size_t storage_element_size(const struct nst_pth_file *r, const char *key)
{
    for (const struct nst_value *v = r->values[3]; v; v = v->next) {
        enum nst_dtype type;

        if (v->kind != NST_VALUE_STORAGE || strcmp(v->item[2]->text, key) != 0)
            continue;
        if (storage_type(v->item[1]->text, &type))
            return nst_dtype_size(type);
        return strcmp(v->item[1]->text, "torch.LongStorage") == 0 ? 8 : 0;
    }
    return 0;
}

static enum nst_status load_storages(struct nst_pth_file *r,
                                     const struct nst_value *keys,
                                     const unsigned char *at, const unsigned char *end)
{
    enum nst_status st = NST_OK;

    if (keys->kind != NST_VALUE_LIST)
        return nst_pth_file_error(r, "keys", "is not a list");
    for (size_t i = 0; st == NST_OK && i < keys->count; i++) {
        const char *key = keys->item[i]->text;
        size_t element_size = key ? storage_element_size(r, key) : 0;
        uint64_t n = 0;

        if (!element_size)
            return nst_pth_file_error(r, key ? key : "keys",
                                      "the storage has an unknown type");
        if ((size_t)(end - at) < sizeof n)
            return nst_pth_file_error(r, key, "is truncated");
        memcpy(&n, at, sizeof n);
        at += sizeof n;
        if (n > (size_t)(end - at) / element_size)
            return nst_pth_file_error(r, key, "is truncated");
        st = copy_storage(r, key, at, n * element_size);
        at += n * element_size;
    }
    return st;
}

static enum nst_status load_legacy(struct nst_pth_file *r, const unsigned char *bytes,
                                   size_t size)
{
    const unsigned char *at = bytes, *end = bytes + size;
    enum nst_status st = NST_OK;

    for (int i = 0; st == NST_OK && i < LEGACY_PICKLES; i++) {
        size_t left = (size_t)(end - at), used;

        st = nst_unpickle(&r->values[i], at, left < MAX_PICKLE ? left : MAX_PICKLE,
                          &used, r->path, r->err);
        at += used;
    }
    if (st == NST_OK)
        st = choose(r, r->values[3]->item[0]);
    if (st == NST_OK)
        st = load_storages(r, r->values[4]->item[0], at, end);
    return st;
}

static enum nst_status map_legacy(struct nst_pth_file *r)
{
    int fd = open(r->path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    enum nst_status st;
    void *bytes;

    if (fd < 0 || fstat(fd, &info) != 0) {
        st = nst_err_set(r->err, NST_ERR_IO, "%s: %s", r->path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return st;
    }
    bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (bytes == MAP_FAILED)
        return nst_err_set(r->err, NST_ERR_IO, "%s: %s", r->path, strerror(errno));
    st = load_legacy(r, bytes, (size_t)info.st_size);
    munmap(bytes, (size_t)info.st_size);
    return st;
}

enum nst_status nst_pth_file_read(
    const char *path,
    enum nst_status (*choose_tensors)(void *ctx, struct nst_pth_file *f,
                                      struct nst_err *err),
    void *ctx, struct nst_err *err)
{
    struct nst_pth_file *r;
    unsigned char first = 0;
    FILE *f = fopen(path, "re");
    enum nst_status st;

    if (!f)
        return nst_err_set(err, nst_open_status(errno), "%s: %s", path,
                           strerror(errno));
    if (fread(&first, 1, 1, f) != 1)
        first = 0;
    fclose(f);
    r = nst_xcalloc(1, sizeof *r);
    *r = (struct nst_pth_file){
        .path = path, .err = err, .choose = choose_tensors, .ctx = ctx};
    st = first == 'P' ? load_zip(r) : map_legacy(r);
    if (st == NST_OK)
        st = all_found(r);
    for (int i = 0; i < LEGACY_PICKLES; i++)
        nst_values_free(r->values[i]);
    for (int i = 0; i < r->parameters; i++)
        free(r->parameter[i].name);
    free(r->names);
    free(r);
    return st;
}
