/* SPDX-License-Identifier: MIT */
/*
 * picture.h - pictures in and out, by libvips; the only floor that includes it.
 *
 * A picture reaches the rest of the program as planar sRGB floats. What the floats
 * cannot hold (alpha, bit depth, EXIF, XMP, ICC profile) stays in an opaque part of
 * struct nst_picture, and is put back when a result made from it is written.
 */
#ifndef NST_IMAGE_PICTURE_H
#define NST_IMAGE_PICTURE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Longest side of struct nst_picture's small. */
#define NST_PICTURE_SMALL_SIDE 256

/* Shortest side, in pixels, of a picture that is taken and of one that is made. */
#define NST_PICTURE_MIN_SIDE 16

/* The opaque part: alpha, bit depth, profile and metadata of the source. */
struct nst_source_info;

struct nst_picture {
    int width, height;
    int read_width, read_height; /* what it was resized from; 0: there was no file */
    float *rgb; /* 3 x height x width, sRGB, 0 to 1, owned; NULL if header_only */
    /* The same with a longest side of NST_PICTURE_SMALL_SIDE, resized from the file's
     * own pixels: its small scales do not depend on the size that was asked for. rgb is
     * NULL where the picture is no larger, has alpha, or is of no file. */
    struct {
        int width, height;
        float *rgb; /* 3 x height x width, owned */
    } small;
    struct nst_source_info *source_info; /* owned; NULL of one that no file holds */
};

struct nst_picture_size {
    int longest;          /* longest side in pixels; 0 keeps the picture's own size */
    bool square;          /* force longest x longest, whatever the aspect ratio */
    long long max_pixels; /* width x height above this is refused before decoding */
    bool header_only;     /* read its size alone: there are no pixels then */
};

/*
 * Once per process, before anything else here; name is argv[0]. Warnings of GLib's log,
 * where libvips and the libraries under it speak, are silenced for the whole process.
 */
enum nst_status nst_picture_init(const char *name, struct nst_err *err);
void nst_picture_shutdown(void);

/*
 * Read the picture at path ("-": standard input), the first page of several:
 * orientation applied, profile converted to sRGB, resized as asked. A sample v of 8
 * bits is exactly v/255.0f when nothing is converted or resized, one of 16 bits
 * v/65535.0f. A drawing (SVG, PDF) is drawn at the size asked.
 * *out belongs to the caller: nst_picture_free(). On failure *out is NULL.
 * Errors name the path. NST_ERR_IO, NST_ERR_FORMAT, NST_ERR_ARG (too small or
 * more than max_pixels), NST_ERR_MEM.
 */
enum nst_status nst_picture_load(struct nst_picture **out, const char *path,
                                 const struct nst_picture_size *size,
                                 struct nst_err *err);
void nst_picture_free(struct nst_picture *p); /* NULL is fine */
/* Bytes that it takes with its pixels, but for its metadata; 0 of NULL. */
size_t nst_picture_bytes(const struct nst_picture *p);

#define NST_BLACK 0.0f
#define NST_WHITE 1.0f
/*
 * Show the picture on paper of that grey, 0 to 1: nothing of it is transparent then.
 * What hides under transparent pixels is not kept when a picture is resized, so nothing
 * may depend on it. NULL is fine.
 */
void nst_picture_flatten(struct nst_picture *p, float background);

/*
 * Resample planes 3 x h x w of 0 to 1 to 3 x to_h x to_w, smoothed where they shrink.
 * *out belongs to the caller: free(). NST_ERR_MEM.
 */
enum nst_status nst_pixels_resize(float **out, const float *rgb, int h, int w, int to_h,
                                  int to_w, struct nst_err *err);

/*
 * Planes of h x w, extended by that many pixels on each side: mirrored at the border,
 * whose pixels are not doubled, or with the border's repeated. *out belongs to the
 * caller: free(). NST_ERR_MEM.
 */
enum nst_status nst_pixels_pad(float **out, const float *planes, int count, int h,
                               int w, int width, bool mirror, struct nst_err *err);
/* What nst_pixels_pad() made h x w planes from, or what has become of it, moved to
 * the beginning of planes. */
void nst_pixels_crop(float *planes, int count, int h, int w, int width);

/* Is this (".png") the ending of a format that nst_output_open() knows? Or of one that
 * pictures are read from? */
bool nst_output_supports(const char *suffix);
bool nst_picture_supports(const char *suffix);

/* What a picture that nst wrote says of its making, or would be such a text: a new
 * string; NULL if there is none, or no picture. */
char *nst_picture_comment(const char *path);

struct nst_output; /* a place that a picture will be written to */

/*
 * Reserve the place for a result before the work begins, so that an output that
 * cannot be written or a format that is not known is refused at once. path "-" is
 * standard output, as PNG. Nothing is visible at path until nst_output_write().
 * Symbolic links are followed; a pipe or a device is written straight. format
 * ("png"), unless NULL, says what is written whatever the name does; "y4m" is for films
 * (frames.h) alone.
 * *out belongs to the caller: nst_output_free(). On failure *out is NULL. NST_ERR_IO,
 * NST_ERR_ARG (the suffix).
 */
enum nst_status nst_output_open(struct nst_output **out, const char *path,
                                const char *format, struct nst_err *err);
/* Would that format, or the one that the path's ending says, have room for several
 * frames? */
bool nst_output_is_animated(const char *path, const char *format);
/* Is it a format that is written with more or less loss? */
bool nst_output_has_quality(const char *path, const char *format);
/* With that quality (1 to 100), where it has one; 0: with the format's own, as without
 * this. */
void nst_output_set_quality(struct nst_output *out, int quality);

/*
 * Write rgb (3 x H x W, clamped to 0..1, of the size of like) with like's alpha, bit
 * depth, profile and metadata. The file appears whole under its name, or not at all;
 * the same picture gives the same bytes. Once per output.
 *
 * comment (JSON in UTF-8, or NULL) says how it was made. PNG keeps it as a text chunk
 * named nst, TIFF as ImageDescription, JPEG, WebP and HEIF/AVIF as EXIF UserComment,
 * all with \uXXXX for what is not ASCII. Other formats have no place for it, and a
 * JPEG none for more than 64 KiB: there it is left out. A format without alpha shows
 * white where like is transparent. NST_ERR_IO, NST_ERR_MEM.
 */
enum nst_status nst_output_write(struct nst_output *out,
                                 const struct nst_picture *source, const float *rgb,
                                 const char *comment, struct nst_err *err);
/* Write rgb (3 x h x w, sRGB, 0 to 1), which no file holds, to path, by the format of
 * its ending, whole or not at all. Errors of nst_output_open() and
 * nst_output_write(). */
enum nst_status nst_pixels_write(const char *path, const float *rgb, int h, int w,
                                 struct nst_err *err);
/* The picture at path (as nst_picture_load() reads it; what is transparent is white) as
 * a small JPEG without metadata, whose longest side is at most so many pixels.
 * free(*bytes) is the caller's. Errors of nst_picture_load(). */
enum nst_status nst_picture_thumbnail_jpeg(void **bytes, size_t *size, const char *path,
                                           int longest, struct nst_err *err);
void nst_output_free(struct nst_output *out); /* drops what was not written */

#endif
