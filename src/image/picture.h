/* SPDX-License-Identifier: MIT */
/*
 * picture.h - loads and saves pictures with libvips; no other floor includes libvips.
 *
 * Pixels are planar sRGB floats. What floats cannot hold (alpha, bit depth, EXIF, XMP,
 * ICC profile) stays in an opaque part of struct nst_picture, and is restored when a
 * result made from it is written.
 */
#ifndef NST_IMAGE_PICTURE_H
#define NST_IMAGE_PICTURE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/image.h"

/* Longest side of nst_picture.small, in pixels. */
#define NST_PICTURE_SMALL_SIDE 256

/* Shortest side that an input or a result may have, in pixels. */
#define NST_PICTURE_MIN_SIDE 16

/* The opaque part: alpha, bit depth, profile and metadata of the source. */
struct nst_source_info;

struct nst_picture {
    int width, height;
    int read_width, read_height; /* before resizing; 0 if no pixels were read */
    float *rgb; /* 3 x height x width, sRGB, 0 to 1, owned; NULL if header_only */
    /*
     * The same picture with a longest side of NST_PICTURE_SMALL_SIDE, resized from the
     * file's own pixels, so that small scales do not depend on the requested size.
     * small.rgb is NULL for Y4M frames and for pictures with alpha, or that are no
     * larger or too narrow.
     */
    struct {
        int width, height;
        float *rgb; /* 3 x height x width, owned */
    } small;
    struct nst_source_info *source_info; /* owned; NULL if no file was read */
};

static inline struct nst_image nst_picture_image(const struct nst_picture *p)
{
    return (struct nst_image){p->rgb, p->height, p->width};
}

struct nst_picture_size {
    int longest;          /* longest side in pixels; 0 keeps the picture's size */
    bool square;          /* force longest x longest, ignoring the aspect ratio */
    long long max_pixels; /* larger pictures are refused before decoding; 0: no limit */
    bool header_only;     /* read the size only, no pixels */
};

/* Call once per process, before all other functions here; name is argv[0]. Silences
 * GLib's log for the whole process, because libvips and its libraries print warnings
 * there. */
enum nst_status nst_picture_init(const char *name, struct nst_err *err);
void nst_picture_shutdown(void);

/*
 * Read the picture at path ("-": standard input), or the first page of several. Applies
 * the orientation, converts the profile to sRGB and resizes as requested. Without
 * conversion and resizing, an 8-bit sample v is exactly v/255.0f and a 16-bit one
 * v/65535.0f. Vector images (SVG, PDF) are rendered at the requested size.
 * *out belongs to the caller: nst_picture_free(). On failure *out is NULL. Errors name
 * the path: NST_ERR_IO, NST_ERR_FORMAT, NST_ERR_ARG (too small, or more than
 * max_pixels), NST_ERR_MEM.
 */
enum nst_status nst_picture_load(struct nst_picture **out, const char *path,
                                 const struct nst_picture_size *size,
                                 struct nst_err *err);
void nst_picture_free(struct nst_picture *p); /* NULL is fine */

#define NST_BLACK 0.0f
#define NST_WHITE 1.0f
/* Composite the picture over a grey background (0 to 1) and drop its alpha. Resizing
 * loses the colours under transparent pixels, so nothing may depend on them. NULL is
 * fine. */
void nst_picture_flatten(struct nst_picture *p, float background);

/* Resample an image to 3 x h x w (Lanczos 3, smoothed when shrinking). *out belongs to
 * the caller: free(). NST_ERR_MEM. */
enum nst_status nst_pixels_resize(float **out, struct nst_image image, int h, int w,
                                  struct nst_err *err);

/* Pad count planes by border pixels on each side: mirrored at the edge without doubling
 * its pixels, or with the edge's pixels repeated. *out belongs to the caller: free().
 * NST_ERR_MEM. */
enum nst_status nst_pixels_pad(float **out, const float *planes, int count,
                               struct nst_size size, int border, bool mirror,
                               struct nst_err *err);

/* Whether files with this suffix (".png") can be written, or can be read. */
bool nst_output_supports(const char *suffix);
bool nst_picture_supports(const char *suffix);

/* The comment that nst_output_write() stored in the file, or another text stored there:
 * a new string; NULL if there is none or path is not a picture. */
char *nst_picture_comment(const char *path);

struct nst_output; /* the destination of a picture or a film */

/*
 * Reserve the destination of a result before the work begins, so that a path that
 * cannot be written or an unknown format is refused at once. path "-" is standard
 * output, as PNG. Nothing is visible at path until nst_output_write(). Symbolic links
 * are followed; a pipe or a device is written directly. format ("png"), unless NULL,
 * overrides the suffix of path; "y4m" is only for films (frames.h).
 * *out belongs to the caller: nst_output_free(). On failure *out is NULL. NST_ERR_IO,
 * NST_ERR_ARG (suffix or format).
 */
enum nst_status nst_output_open(struct nst_output **out, const char *path,
                                const char *format, struct nst_err *err);
/* Whether that format has a quality setting. */
bool nst_output_has_quality(const char *path, const char *format);
/* Set the quality, 1 to 100 (0: the format's default). Other formats ignore it. */
void nst_output_set_quality(struct nst_output *out, int quality);

/*
 * Write rgb (3 x H x W, clamped to 0..1, of the size of source) with the alpha, bit
 * depth, profile and metadata of source. The file appears completely or not at all; the
 * same picture gives the same bytes. Call once per output.
 *
 * comment (JSON in UTF-8, or NULL) says how the picture was made. PNG stores it as a
 * text chunk named nst, TIFF as ImageDescription, JPEG, JPEG XL, WebP and HEIF/AVIF as
 * EXIF UserComment; characters outside ASCII become \uXXXX. Other formats drop it, and
 * JPEG drops more than 64 KiB. A format without alpha shows white where source is
 * transparent. NST_ERR_IO, NST_ERR_MEM.
 */
enum nst_status nst_output_write(struct nst_output *out,
                                 const struct nst_picture *source, const float *rgb,
                                 const char *comment, struct nst_err *err);
/* Write an image that has no source file to path in the format of its suffix. Errors:
 * see nst_output_open() and nst_output_write(). */
enum nst_status nst_pixels_write(const char *path, struct nst_image image,
                                 struct nst_err *err);
/* Encode the picture at path, composited over white, as a JPEG without metadata whose
 * longest side is at most longest pixels. *bytes belongs to the caller: free(). Errors:
 * see nst_picture_load(). */
enum nst_status nst_picture_thumbnail_jpeg(void **bytes, size_t *size, const char *path,
                                           int longest, struct nst_err *err);
void nst_output_free(struct nst_output *out); /* discards unwritten data */

/* Not in nst.h. */

/* Memory of the pixels in bytes, without metadata; 0 for NULL. */
size_t nst_picture_bytes(const struct nst_picture *p);

/* Undo nst_pixels_pad(), even after the planes have changed: move the inner pixels of
 * each plane to the beginning of planes. size: without the border. */
void nst_pixels_crop(float *planes, int count, struct nst_size size, int border);

/* Whether format, or else the suffix of path, can store several frames. */
bool nst_output_is_animated(const char *path, const char *format);

#endif
