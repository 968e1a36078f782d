/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "image/pnm.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "image/size.h"
#include "image/source_info.h"

#define MAX_HEADER_LINES 1000 /* of a PAM */

struct pnm_header {
    int kind; /* '1' to '7', 'f' or 'F', as in P1 to P7, Pf and PF */
    bool cmyk;
    bool little_endian; /* of floats */
    unsigned width, height, bands, max;
};

/* Read a number after blanks and comments, and the character after it. 0: none. */
static unsigned read_number(FILE *f)
{
    unsigned long v = 0;
    int c;

    while ((c = getc(f)) == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '#')
        while (c == '#' && (c = getc(f)) != EOF && c != '\n')
            c = '#';
    for (; c >= '0' && c <= '9' && v <= 1 << 30; c = getc(f))
        v = 10 * v + (unsigned long)(c - '0');
    return c == EOF || v > 1 << 30 ? 0 : (unsigned)v;
}

/* Read the lines after P7. The number of samples counts; of the tuple types, only CMYK
 * says more. */
static bool read_pam_header(struct pnm_header *h, FILE *f)
{
    char line[256], word[16];
    unsigned value;

    for (int i = 0; i < MAX_HEADER_LINES && fgets(line, sizeof line, f); i++) {
        if (strncmp(line, "ENDHDR", 6) == 0)
            return true;
        h->cmyk |= strncmp(line, "TUPLTYPE CMYK", 13) == 0;
        if (sscanf(line, "%15s %9u", word, &value) < 2)
            continue; /* a comment, an empty line, a tuple type */
        if (strcmp(word, "WIDTH") == 0)
            h->width = value;
        else if (strcmp(word, "HEIGHT") == 0)
            h->height = value;
        else if (strcmp(word, "DEPTH") == 0)
            h->bands = value;
        else if (strcmp(word, "MAXVAL") == 0)
            h->max = value;
    }
    return false;
}

static bool is_bitmap(const struct pnm_header *h)
{
    return h->kind == '1' || h->kind == '4';
}

static bool is_float(const struct pnm_header *h)
{
    return h->kind == 'f' || h->kind == 'F';
}

static bool read_header(struct pnm_header *h, FILE *f)
{
    char scale[32];

    if (h->kind == '7')
        return getc(f) == '\n' && read_pam_header(h, f);
    h->bands = h->kind == '3' || h->kind == '6' || h->kind == 'F' ? 3 : 1;
    h->width = read_number(f);
    h->height = read_number(f);
    h->max = is_bitmap(h) || is_float(h) ? 1 : read_number(f);
    if (!is_float(h))
        return true;
    /* Its sign is the byte order; its size, a unit of light, has no fixed meaning. */
    if (fscanf(f, "%31s", scale) != 1)
        return false;
    h->little_endian = *scale == '-';
    return getc(f) != EOF;
}

/* Read a bit of a plain PBM, whose digits need no blanks between them. 1 is black. */
static int read_bit(FILE *f)
{
    int c;

    while ((c = getc(f)) != EOF && c != '0' && c != '1')
        while (c == '#' && (c = getc(f)) != EOF && c != '\n')
            c = '#';
    return c == '0';
}

/* Read the samples of h as bytes, or as big-endian words if the maximum exceeds 255. */
static void read_raster(const struct pnm_header *h, FILE *f, unsigned char *to,
                        size_t size)
{
    bool wide = h->max > 255;
    size_t samples = size / (wide ? 2 : 1);
    int byte = 0;

    for (size_t i = 0; h->kind == '1' && i < samples; i++)
        to[i] = (unsigned char)read_bit(f);
    for (size_t i = 0; h->kind < '4' && h->kind > '1' && i < samples; i++) {
        unsigned v = read_number(f);

        if (wide)
            *to++ = (unsigned char)(v < 65535 ? v >> 8 : 255);
        *to++ = (unsigned char)v;
    }
    for (size_t i = 0; h->kind == '4' && i < samples; i++) {
        unsigned bit = (unsigned)(i % h->width) % 8;

        if (bit == 0)
            byte = getc(f);
        to[i] = !(byte & 0x80 >> bit);
    }
    if (h->kind > '4' && !is_float(h) && fread(to, 1, size, f) != size)
        getc(f); /* sets the end of the file */
}

/* Read the floats of h, whose rows are stored from the bottom to the top. */
static void read_floats(const struct pnm_header *h, FILE *f, float *to)
{
    size_t row = (size_t)h->width * h->bands;

    for (size_t y = h->height; y-- > 0;) {
        unsigned char *bytes = (unsigned char *)(to + y * row);

        if (fread(bytes, 4, row, f) != row) {
            getc(f); /* sets the end of the file */
            return;
        }
        for (size_t i = 0; i < row; i++, bytes += 4) {
            uint32_t v = h->little_endian ? bytes[0] | bytes[1] << 8 | bytes[2] << 16 |
                                                (uint32_t)bytes[3] << 24
                                          : bytes[3] | bytes[2] << 8 | bytes[1] << 16 |
                                                (uint32_t)bytes[0] << 24;

            memcpy(bytes, &v, sizeof v);
        }
    }
}

/* Scale samples of 0 to max to the full range of 8 or 16 bits, in place. */
static void widen(unsigned char *bytes, size_t samples, unsigned max)
{
    uint16_t *wide = (uint16_t *)(void *)bytes;

    for (size_t i = 0; max < 255 && i < samples; i++)
        bytes[i] =
            (unsigned char)(bytes[i] < max ? (bytes[i] * 255U + max / 2) / max : 255);
    for (size_t i = 0; max > 255 && i < samples; i++) {
        unsigned v = (unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1];

        wide[i] = (uint16_t)(v < max ? ((uint64_t)v * 65535 + max / 2) / max : 65535);
    }
}

static VipsImage *wrap(const struct pnm_header *h, void *samples, size_t size)
{
    bool wide = h->max > 255;
    VipsImage *image = vips_image_new_from_memory_copy(samples, size, (int)h->width,
                                                       (int)h->height, (int)h->bands,
                                                       is_float(h) ? VIPS_FORMAT_FLOAT
                                                       : wide      ? VIPS_FORMAT_USHORT
                                                                   : VIPS_FORMAT_UCHAR);

    if (image && h->cmyk && h->bands == 4)
        image->Type = VIPS_INTERPRETATION_CMYK;
    else if (image && h->bands < 3)
        image->Type = wide ? VIPS_INTERPRETATION_GREY16 : VIPS_INTERPRETATION_B_W;
    else if (image)
        image->Type = wide ? VIPS_INTERPRETATION_RGB16 : VIPS_INTERPRETATION_sRGB;
    return image;
}

static enum nst_status read_samples(VipsImage **out, const struct pnm_header *h,
                                    FILE *f, const char *label, struct nst_err *err)
{
    size_t samples = (size_t)h->width * h->height * h->bands;
    size_t size = samples * (is_float(h) ? 4 : h->max > 255 ? 2 : 1);
    unsigned char *bytes = vips_malloc(NULL, size);
    enum nst_status st = NST_OK;

    if (!bytes)
        return nst_err_set(err, NST_ERR_MEM, "%s: out of memory", label);
    if (is_float(h))
        read_floats(h, f, (float *)(void *)bytes);
    else
        read_raster(h, f, bytes, size);
    if (ferror(f) || feof(f))
        st = ferror(f) ? nst_err_set(err, NST_ERR_IO, "%s: %s", label, strerror(errno))
                       : nst_err_set(err, NST_ERR_FORMAT, "%s: is cut short", label);
    if (st == NST_OK) {
        if (!is_float(h))
            widen(bytes, samples, h->max);
        *out = wrap(h, bytes, size);
        if (!*out)
            st = nst_err_set(err, NST_ERR_MEM, "%s: out of memory", label);
    }
    g_free(bytes);
    return st;
}

enum nst_status nst_pnm_read(VipsImage **out, bool *pam, FILE *f, const char *label,
                             const struct nst_picture_size *size, struct nst_err *err)
{
    struct pnm_header h = {0};
    enum nst_status st;
    int p = getc(f);

    *out = NULL;
    if (p == EOF)
        return ferror(f)
                   ? nst_err_set(err, NST_ERR_IO, "%s: %s", label, strerror(errno))
                   : NST_OK;
    h.kind = getc(f);
    if (p != 'P' || ((h.kind < '1' || h.kind > '7') && !is_float(&h)))
        return nst_err_set(err, NST_ERR_FORMAT,
                           "%s: is not a stream of PBM, PGM, PPM, PAM or PFM images",
                           label);
    if (!read_header(&h, f))
        return nst_err_set(err, NST_ERR_FORMAT, "%s: a header is cut short", label);
    if (!h.width || !h.height || !h.bands || h.bands > 4 || !h.max || h.max > 65535)
        return nst_err_set(err, NST_ERR_FORMAT,
                           "%s: %u x %u pixels of %u samples to %u: not 1 to 4 samples "
                           "to 1 to 65535",
                           label, h.width, h.height, h.bands, h.max);
    st = nst_picture_check_size(label, (int)(h.width < INT32_MAX ? h.width : INT32_MAX),
                                (int)(h.height < INT32_MAX ? h.height : INT32_MAX),
                                size, err);
    *pam = h.kind == '7';
    return st == NST_OK ? read_samples(out, &h, f, label, err) : st;
}

bool nst_pnm_is_needed(const void *bytes, size_t size)
{
    const char *c = bytes;

    return size > 2 && c[0] == 'P' && c[1] && strchr("17fF", c[1]) && c[2] &&
           strchr(" \t\r\n#", c[2]);
}

void nst_pnm_write_pam(VipsImage *image, void **data, size_t *size)
{
    static const char *const types[] = {"GRAYSCALE", "GRAYSCALE_ALPHA", "RGB",
                                        "RGB_ALPHA"};
    bool wide = image->BandFmt == VIPS_FORMAT_USHORT;
    size_t samples = VIPS_IMAGE_N_ELEMENTS(image) * (size_t)image->Ysize, n;
    const void *from = vips_image_get_data(image);
    const uint16_t *words = from;
    unsigned char *to;
    char header[160];

    *size = 0;
    n = (size_t)snprintf(header, sizeof header,
                         "P7\nWIDTH %d\nHEIGHT %d\nDEPTH %d\nMAXVAL %d\nTUPLTYPE %s\n"
                         "ENDHDR\n",
                         image->Xsize, image->Ysize, image->Bands, wide ? 65535 : 255,
                         types[image->Bands - 1]);
    *data = from ? vips_malloc(NULL, n + samples * (wide ? 2 : 1)) : NULL;
    if (!*data)
        return;
    to = memcpy(*data, header, n);
    to += n;
    for (size_t i = 0; wide && i < samples; i++) {
        *to++ = (unsigned char)(words[i] >> 8);
        *to++ = (unsigned char)words[i];
    }
    if (!wide)
        memcpy(to, from, samples);
    *size = n + samples * (wide ? 2 : 1);
}
