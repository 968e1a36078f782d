/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "model/weights.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

/* torchvision's index of each convolution within "features". */
static const int feature_index[NST_VGG_CONVS] = {0,  2,  5,  7,  10, 12, 14, 16,
                                                 19, 21, 23, 25, 28, 30, 32, 34};
#define MAX_CHANNELS 4096
#define MAX_HEADER ((uint64_t)100 << 20) /* the format's own limit */

struct file {
    const char *path;
    const unsigned char *bytes; /* the whole file, mapped */
    uint64_t size, data;        /* data: where the tensors' bytes begin */
    json_t *header;
};

struct entry {
    enum { F32, F16, BF16 } type;
    int rank;
    uint64_t shape[4], count;
    const unsigned char *bytes;
};

static enum nst_status map_file(struct file *f, struct nst_err *err)
{
    struct stat st;
    int fd = open(f->path, O_RDONLY | O_CLOEXEC);
    void *p;

    if (fd < 0)
        return nst_err_set(err, NST_ERR_IO, "%s: %s", f->path, strerror(errno));
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return nst_err_set(err, NST_ERR_IO, "%s: is not a regular file", f->path);
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

static uint64_t little_endian(const unsigned char *b, int n)
{
    uint64_t v = 0;

    while (n--)
        v = v << 8 | b[n];
    return v;
}

static enum nst_status read_header(struct file *f, struct nst_err *err)
{
    json_error_t je;
    uint64_t n;

    if (f->size < 8)
        return nst_err_set(err, NST_ERR_FORMAT,
                           "%s: is not a safetensors file: %llu bytes are too few",
                           f->path, (unsigned long long)f->size);
    n = little_endian(f->bytes, 8);
    if (n > f->size - 8 || n > MAX_HEADER)
        return nst_err_set(
            err, NST_ERR_FORMAT,
            "%s: is not a safetensors file, or is cut short: a header of "
            "%llu bytes in a file of %llu",
            f->path, (unsigned long long)n, (unsigned long long)f->size);
    f->data = 8 + n;
    f->header = json_loadb((const char *)f->bytes + 8, n, JSON_REJECT_DUPLICATES, &je);
    if (!json_is_object(f->header))
        return nst_err_set(err, NST_ERR_FORMAT,
                           "%s: the header is not a JSON object: %s", f->path,
                           f->header ? "another type" : je.text);
    return NST_OK;
}

/* Even if all that this run needs is there, half a file is not to be trusted. */
static enum nst_status check_length(const struct file *f, struct nst_err *err)
{
    const char *key;
    json_t *j;

    json_object_foreach(f->header, key, j)
    {
        json_t *place = json_object_get(j, "data_offsets");
        json_int_t end = json_integer_value(json_array_get(place, 1));

        if (end > 0 && (uint64_t)end > f->size - f->data)
            return nst_err_set(
                err, NST_ERR_FORMAT,
                "%s: %s: its bytes lie past the end: the file is cut short", f->path,
                key);
    }
    return NST_OK;
}

static enum nst_status wrong(const struct file *f, const char *key, const char *what,
                             struct nst_err *err)
{
    return nst_err_set(err, NST_ERR_FORMAT, "%s: %s: %s", f->path, key, what);
}

static bool read_type(json_t *j, struct entry *e)
{
    const char *type = json_string_value(j);

    if (!type)
        return false;
    e->type = strcmp(type, "F32") == 0 ? F32 : strcmp(type, "F16") == 0 ? F16 : BF16;
    return e->type != BF16 || strcmp(type, "BF16") == 0;
}

static bool read_shape(json_t *j, struct entry *e)
{
    e->rank = (int)json_array_size(j);
    if (!json_is_array(j) || e->rank < 1 || e->rank > 4)
        return false;
    e->count = 1;
    for (int i = 0; i < e->rank; i++) {
        json_t *d = json_array_get(j, (size_t)i);
        json_int_t v = json_integer_value(d);

        if (!json_is_integer(d) || v < 1 || v > MAX_CHANNELS)
            return false;
        e->shape[i] = (uint64_t)v;
        e->count *= (uint64_t)v; /* at most 2^48 */
    }
    return true;
}

static enum nst_status find_entry(const struct file *f, const char *key,
                                  struct entry *e, struct nst_err *err)
{
    json_t *j = json_object_get(f->header, key),
           *place = json_object_get(j, "data_offsets");
    json_int_t from = json_integer_value(json_array_get(place, 0));
    json_int_t to = json_integer_value(json_array_get(place, 1));
    uint64_t bytes;

    if (!j)
        return wrong(f, key, "is not in the file", err);
    if (!read_type(json_object_get(j, "dtype"), e))
        return wrong(f, key, "the type is none of F32, F16 and BF16", err);
    if (!read_shape(json_object_get(j, "shape"), e))
        return wrong(f, key, "the shape is not one of a convolution", err);
    if (json_array_size(place) != 2 || !json_is_integer(json_array_get(place, 0)) ||
        !json_is_integer(json_array_get(place, 1)) || from < 0 || to < from)
        return wrong(f, key, "its bytes have no place in the file", err);
    bytes = e->count * (e->type == F32 ? 4 : 2);
    if ((uint64_t)(to - from) != bytes)
        return wrong(f, key, "its shape and its number of bytes disagree", err);
    e->bytes = f->bytes + f->data + from;
    return NST_OK;
}

static float half_to_float(unsigned h)
{
    int exponent = (int)(h >> 10 & 31);
    float m = (float)(h & 1023), v;

    if (exponent == 31)
        v = m != 0 ? NAN : INFINITY;
    else if (exponent == 0)
        v = ldexpf(m, -24);
    else
        v = ldexpf(m + 1024, exponent - 25);
    return h >> 15 ? -v : v;
}

static float bits_to_float(uint32_t bits)
{
    float v;

    memcpy(&v, &bits, sizeof v);
    return v;
}

static enum nst_status read_floats(const struct file *f, const char *key,
                                   const struct entry *e, float **out,
                                   struct nst_err *err)
{
    enum nst_status st = nst_floats_new(out, e->count, 1, 1, err);
    const unsigned char *b = e->bytes;

    for (uint64_t i = 0; st == NST_OK && i < e->count; i++) {
        float v = 0;

        switch (e->type) {
        case F32:
            v = bits_to_float((uint32_t)little_endian(b + 4 * i, 4));
            break;
        case F16:
            v = half_to_float((unsigned)little_endian(b + 2 * i, 2));
            break;
        case BF16:
            v = bits_to_float((uint32_t)little_endian(b + 2 * i, 2) << 16);
            break;
        }
        if (!isfinite(v))
            st = wrong(f, key, "holds a value that is not finite", err);
        (*out)[i] = v;
    }
    return st;
}

/* cin is what the convolution before this one puts out. */
static enum nst_status read_conv(const struct file *f, int conv, int cin,
                                 struct nst_layer_weights *l, struct nst_err *err)
{
    char key[40], text[128];
    struct entry w, b;
    int block, place;
    enum nst_status st;

    nst_conv_place(conv, &block, &place);
    snprintf(key, sizeof key, "features.%d.weight", feature_index[conv]);
    if (!json_object_get(f->header, key))
        return nst_err_set(err, NST_ERR_FORMAT,
                           "%s: has no layer conv%d_%d (conv_%d), which this run needs",
                           f->path, block, place, conv + 1);
    if ((st = find_entry(f, key, &w, err)) != NST_OK)
        return st;
    snprintf(text, sizeof text, "the shape is not N x %d x 3 x 3", cin);
    if (w.rank != 4 || w.shape[1] != (uint64_t)cin || w.shape[2] != 3 ||
        w.shape[3] != 3)
        return wrong(f, key, text, err);
    l->cin = cin;
    l->cout = (int)w.shape[0];
    if ((st = read_floats(f, key, &w, &l->weight, err)) != NST_OK)
        return st;
    snprintf(key, sizeof key, "features.%d.bias", feature_index[conv]);
    if ((st = find_entry(f, key, &b, err)) != NST_OK)
        return st;
    snprintf(text, sizeof text, "the shape is not %d", l->cout);
    if (b.rank != 1 || b.shape[0] != w.shape[0])
        return wrong(f, key, text, err);
    return read_floats(f, key, &b, &l->bias, err);
}

enum nst_status nst_weights_load(struct nst_weights **out, const char *path, int convs,
                                 struct nst_err *err)
{
    struct nst_weights *w = nst_xcalloc(1, sizeof *w);
    struct file f = {.path = path};
    enum nst_status st;

    *out = NULL;
    w->convs = convs;
    st = map_file(&f, err);
    if (st == NST_OK)
        st = read_header(&f, err);
    if (st == NST_OK)
        st = check_length(&f, err);
    for (int i = 0; st == NST_OK && i < convs; i++)
        st = read_conv(&f, i, i ? w->conv[i - 1].cout : 3, &w->conv[i], err);
    if (f.bytes)
        munmap((void *)f.bytes, f.size);
    json_decref(f.header);
    if (st != NST_OK) {
        nst_weights_free(w);
        return st;
    }
    *out = w;
    return NST_OK;
}

void nst_weights_free(struct nst_weights *w)
{
    if (!w)
        return;
    for (int i = 0; i < NST_VGG_CONVS; i++) {
        free(w->conv[i].weight);
        free(w->conv[i].bias);
    }
    free(w);
}
