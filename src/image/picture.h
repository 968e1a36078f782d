/* SPDX-License-Identifier: MIT */
/*
 * picture.h - a picture in memory, as load.h reads and save.h writes it. Only this
 * folder includes libvips.
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
    size_t read_bytes; /* memory that reading takes at its peak; an estimate */
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
    /* With header_only: the frames that an animated result gets; 1 for other files. */
    int frames;
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
    /* If resized, make the sides multiples of these; 0: any size. */
    int multiple_width, multiple_height;
    bool all_frames; /* with header_only: the memory is that of all frames */
    /* A picture that needs more bytes to be read is refused before decoding; 0: no
     * limit. */
    size_t max_bytes;
    /* Only to be looked at: the file's samples are resized before their colours are
     * converted, which is faster, and the picture has no small one, and none of the
     * colours that sRGB cannot hold. */
    bool for_view;
};

/* Call once per process, before all other functions here; name is argv[0]. Silences
 * GLib's log for the whole process, because libvips and its libraries print warnings
 * there. Under ulimit -v new threads get small stacks. NST_ERR_MEM: it leaves too
 * little address space. NST_ERR_IO: libvips cannot be used. */
enum nst_status nst_picture_init(const char *name, struct nst_err *err);
void nst_picture_shutdown(void);

void nst_picture_free(struct nst_picture *p); /* NULL is fine */

#define NST_BLACK 0.0f
#define NST_WHITE 1.0f
/* Composite the picture over a grey background (0 to 1) and drop its alpha. Resizing
 * loses the colours under transparent pixels, so nothing may depend on them. NULL is
 * fine. */
void nst_picture_flatten(struct nst_picture *p, float background);

/* Not in nst.h. */

/* What the file of the picture holds that was not used (further pages or frames): one
 * line, borrowed; NULL if nothing. */
const char *nst_picture_note(const struct nst_picture *p);

/* Memory of the pixels in bytes, without metadata; 0 for NULL. */
size_t nst_picture_bytes(const struct nst_picture *p);

#endif
