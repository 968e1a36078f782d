/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "image/y4m.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/y4m_colour.h"

#define MAGIC "YUV4MPEG2"
#define FRAME "FRAME"
/* Read a line without its end. Returns 1; 0 at the end of the stream; -1 if the line is
 * longer than size or incomplete. */
static int read_line(FILE *f, char *to, size_t size)
{
    size_t n = 0;
    int c;

    while ((c = getc(f)) != EOF && c != '\n') {
        if (n + 1 >= size)
            return -1;
        to[n++] = (char)c;
    }
    to[n] = 0;
    return c == EOF ? (n ? -1 : 0) : 1;
}

static bool starts_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* Parse the word after the C. Returns false if the format is not supported. */
static bool parse_chroma(struct nst_y4m *y, const char *word)
{
    static const struct {
        const char *name;
        int subsample_x, subsample_y;
    } kinds[] = {
        {"420", 2, 2}, {"422", 2, 1}, {"411", 4, 1}, {"444", 1, 1}, {"mono", 0, 0}};
    const char *variant = NULL;
    char *end = NULL;

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !variant; i++)
        if (starts_with(word, kinds[i].name)) {
            y->subsample_x = kinds[i].subsample_x;
            y->subsample_y = kinds[i].subsample_y;
            variant = word + strlen(kinds[i].name);
        }
    y->bits = 8;
    if (!variant || !*variant || strcmp(variant, "jpeg") == 0 ||
        strcmp(variant, "mpeg2") == 0 || strcmp(variant, "paldv") == 0)
        return variant != NULL;
    if (!y->subsample_x ? variant[0] < '0' || variant[0] > '9'
                        : variant[0] != 'p' || variant[1] < '0' || variant[1] > '9')
        return false;
    y->bits = (int)strtol(variant + (y->subsample_x ? 1 : 0), &end, 10);
    return !*end && y->bits >= 8 && y->bits <= 16;
}

static bool parse_dimension(int *to, const char *word)
{
    char *end;
    long n = strtol(word, &end, 10);

    *to = (int)n;
    return !*end && n > 0 && n <= 1 << 20;
}

/* Parse one parameter of the header. Returns what is wrong with it, or NULL. */
static const char *parse_param(struct nst_y4m *y, const char *word)
{
    if (*word == 'W')
        return parse_dimension(&y->width, word + 1) ? NULL : "no width";
    if (*word == 'H')
        return parse_dimension(&y->height, word + 1) ? NULL : "no height";
    if (*word == 'I' && strcmp(word, "Ip") != 0 && strcmp(word, "I?") != 0)
        return "interlaced frames are not supported; deinterlace them first, as ffmpeg "
               "-vf bwdif does";
    if (*word == 'C' && !parse_chroma(y, word + 1))
        return "frames are not 4:2:0, 4:2:2, 4:1:1, 4:4:4 or grey of 8 to 16 bits";
    if (strcmp(word, "XCOLORRANGE=FULL") == 0)
        y->full = true;
    strcat(y->extra_params, " ");
    strcat(y->extra_params, word);
    return NULL;
}

enum nst_status nst_y4m_read_header(struct nst_y4m *y, FILE *f, const char *label,
                                    struct nst_err *err)
{
    char line[NST_Y4M_LINE], *at = NULL;
    int c;

    *y = (struct nst_y4m){.subsample_x = 2, .subsample_y = 2, .bits = 8};
    if ((c = getc(f)) == EOF && !ferror(f))
        return nst_err_set(err, NST_ERR_FORMAT, "%s: is empty; did its writer fail?",
                           label);
    ungetc(c, f);
    if (read_line(f, line, sizeof line) != 1 || !starts_with(line, MAGIC " "))
        return nst_err_set(err, ferror(f) ? NST_ERR_IO : NST_ERR_FORMAT,
                           "%s: is not a YUV4MPEG2 stream", label);
    for (char *word = strtok_r(line + strlen(MAGIC), " ", &at); word;
         word = strtok_r(NULL, " ", &at)) {
        const char *problem = parse_param(y, word);

        if (problem)
            return nst_err_set(err, NST_ERR_FORMAT, "%s: '%s': %s", label, word,
                               problem);
    }
    if (!y->width || !y->height)
        return nst_err_set(err, NST_ERR_FORMAT,
                           "%s: does not say the size of its frames", label);
    return NST_OK;
}

void nst_y4m_format_header(const struct nst_y4m *y, int width, int height, char *to,
                           size_t size)
{
    snprintf(to, size, MAGIC " W%d H%d%s\n", width, height, y->extra_params);
}

size_t nst_y4m_frame_bytes(const struct nst_y4m *y, int width, int height)
{
    return ((size_t)width * (size_t)height +
            2 * nst_y4m_chroma_samples(y, width, height)) *
           nst_y4m_sample_bytes(y);
}

/* Read the line at the start of a frame. Returns as read_line(), and -1 for another
 * line. */
static int read_frame_line(struct nst_y4m *y, FILE *f)
{
    char line[NST_Y4M_LINE] = FRAME;
    size_t n = y->begun ? strlen(FRAME) : 0;
    int got = read_line(f, line + n, sizeof line - n);

    if (got == 0 && y->begun)
        got = -1;
    y->begun = false;
    if (got == 1 && (!starts_with(line, FRAME) ||
                     (line[strlen(FRAME)] && line[strlen(FRAME)] != ' ')))
        got = -1;
    return got;
}

/* Move the chroma rows of w samples, which lack their last byte, to their places. Their
 * last samples become those before them. */
static void restore_rows(const struct nst_y4m *y, unsigned char *chroma, size_t w)
{
    size_t rows = 2 * (size_t)nst_y4m_div_ceil(y->height, y->subsample_y);

    while (rows--) {
        unsigned char *row = chroma + rows * 2 * w;

        memmove(row, chroma + rows * (2 * w - 1), 2 * w - 1);
        memcpy(row + 2 * w - 2, row + 2 * w - 4, 2);
    }
}

/* Read the samples of a frame. Returns false if there are too few. */
static bool read_samples(struct nst_y4m *y, FILE *f, unsigned char *frame)
{
    size_t luma = (size_t)y->width * (size_t)y->height * nst_y4m_sample_bytes(y);
    size_t size = nst_y4m_frame_bytes(y, y->width, y->height), got;
    size_t cut =
        2 * (size_t)(y->subsample_x ? nst_y4m_div_ceil(y->height, y->subsample_y) : 0);
    const size_t ahead = strlen(FRAME);

    if (y->bits == 8 || y->subsample_x != 2 || y->width % 2 == 0)
        return fread(frame, 1, size, f) == size;
    /* If the next frame or the end follows already here, the rows are cut. There are
     * more than strlen(FRAME) rows, since pictures have 16 pixels. */
    if (cut < ahead || fread(frame, 1, size - cut, f) != size - cut)
        return false;
    got = fread(frame + size - cut, 1, ahead, f);
    if (got && (got != ahead || memcmp(frame + size - cut, FRAME, ahead) != 0))
        return got == ahead &&
               fread(frame + size - cut + ahead, 1, cut - ahead, f) == cut - ahead;
    y->begun = got;
    restore_rows(y, frame + luma, (size_t)nst_y4m_div_ceil(y->width, y->subsample_x));
    return true;
}

enum nst_status nst_y4m_read_frame(struct nst_y4m *y, FILE *f, const char *label,
                                   float *rgb, bool *end, struct nst_err *err)
{
    size_t size = nst_y4m_frame_bytes(y, y->width, y->height);
    unsigned char *frame;
    int got = read_frame_line(y, f);

    *end = got == 0 && !ferror(f);
    if (*end)
        return NST_OK;
    if (ferror(f))
        return nst_err_set(err, NST_ERR_IO, "%s: %s", label, strerror(errno));
    if (got != 1)
        return nst_err_set(err, NST_ERR_FORMAT,
                           "%s: is damaged: no frame where one should begin", label);
    frame = malloc(size);
    if (!frame)
        return nst_err_set(err, NST_ERR_MEM, "%s: out of memory: a frame of %zu MiB",
                           label, size >> 20);
    if (!read_samples(y, f, frame)) {
        free(frame);
        return nst_err_set(err, NST_ERR_FORMAT, "%s: its last frame is cut short",
                           label);
    }
    nst_y4m_to_rgb(y, frame, rgb);
    free(frame);
    return NST_OK;
}
