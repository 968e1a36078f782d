/* SPDX-License-Identifier: MIT */
/* save.h - writes pictures. */
#ifndef NST_IMAGE_SAVE_H
#define NST_IMAGE_SAVE_H

#include "image/picture.h"
#include "options/params.h"

/* Whether files with this suffix (".png") can be written, or can be read. */
bool nst_output_supports(const char *suffix);
bool nst_picture_supports(const char *suffix);

struct nst_output; /* the destination of a picture or a film */

/*
 * Reserve the destination of a result before the work begins, so that a path that
 * cannot be written or an unknown format is refused at once. path "-" is standard
 * output, as PNG. Nothing is visible at path until nst_output_write(). Symbolic links
 * are followed; a pipe or a device is written directly. format ("png"), unless NULL,
 * overrides the suffix of path; "y4m" is only for films (frames.h).
 * *out belongs to the caller: nst_output_free(). On failure *out is NULL. NST_ERR_IO,
 * NST_ERR_ARG (path, suffix or format).
 */
enum nst_status nst_output_open(struct nst_output **out, const char *path,
                                const char *format, struct nst_err *err);

/* Whether that format has a quality setting. */
bool nst_output_has_quality(const char *path, const char *format);
/* Set the quality, 1 to 100 (0: the format's default). Other formats ignore it. */
void nst_output_set_quality(struct nst_output *out, int quality);

/* Say what of the source's metadata the result gets. The default is NST_METADATA_KEEP.
 */
void nst_output_set_metadata(struct nst_output *out, enum nst_metadata_mode mode);

/*
 * Write rgb (3 x H x W, clamped to 0..1, of the size of source) with the alpha, bit
 * depth, profile and metadata of source. The file appears completely or not at all; the
 * same picture gives the same bytes. Call once per output.
 *
 * comment (JSON in UTF-8, or NULL) says how the picture was made. PNG stores it as a
 * text chunk named nst, TIFF in ImageDescription, JPEG, JPEG XL, WebP and HEIF/AVIF as
 * EXIF UserComment or, if that is taken, ImageDescription; characters outside ASCII
 * become \uXXXX. Other formats drop it, and
 * JPEG drops more than 64 KiB. A format without alpha shows white where source is
 * transparent. NST_ERR_IO, NST_ERR_MEM.
 */
enum nst_status nst_output_write(struct nst_output *out,
                                 const struct nst_picture *source, const float *rgb,
                                 const char *comment, struct nst_err *err);
void nst_output_free(struct nst_output *out); /* discards unwritten data */

/* Write an image that has no source file to path in the format of its suffix. Errors:
 * see nst_output_open() and nst_output_write(). */
enum nst_status nst_pixels_write(const char *path, struct nst_image image,
                                 struct nst_err *err);

/* Not in nst.h. */

/* What of the source's metadata the written file lacks: one line, borrowed; NULL if
 * nothing. */
const char *nst_output_note(const struct nst_output *out);

/* Refuse a suffix or format as nst_output_open() does. NST_ERR_ARG, NST_ERR_IO. */
enum nst_status nst_output_check_format(const char *path, const char *format,
                                        struct nst_err *err);

/* Whether format, or else the suffix of path, can store several frames. */
bool nst_output_is_animated(const char *path, const char *format);

#endif
