/* SPDX-License-Identifier: MIT */
/* save_internal.h - the destination of a picture or a film, for the writers of films.
 */
#ifndef NST_IMAGE_SAVE_INTERNAL_H
#define NST_IMAGE_SAVE_INTERNAL_H

#include "base/atomic_file.h"
#include "image/metadata_internal.h"
#include "image/save.h"

struct nst_format {
    const char *suffix;
    /* libvips' suffix and options for 8-bit samples; NULL: not encoded by libvips */
    const char *saver;
    const char *saver_16bit; /* the same for 16-bit sources, or NULL */
    int bits;                /* significant bits of a 16-bit sample */
    bool alpha, profile, animated;
    enum nst_comment_location comment;
    bool pam;
    int quality; /* default quality (1 to 100); 0: no quality setting */
};

struct nst_output {
    struct nst_atomic_file *file;
    char *path; /* name for messages */
    const struct nst_format *format;
    int quality; /* overrides the format's unless 0 */
    enum nst_metadata_mode metadata;
    char *note; /* of nst_output_note(), owned */
};

/* Interleave planar rgb, and the alpha of source if the format has one, to 8-bit
 * samples. Without it, transparent pixels are composited over white. NST_ERR_MEM. */
enum nst_status nst_output_quantise(const struct nst_output *o,
                                    const struct nst_picture *source, const float *rgb,
                                    unsigned char *to, struct nst_err *err);

/* Encode the picture in the format of suffix (".ppm"), which becomes the format of o.
 * *data belongs to the caller: g_free(). NST_ERR_IO, NST_ERR_MEM. */
enum nst_status nst_output_encode_picture(struct nst_output *o, const char *suffix,
                                          const struct nst_picture *source,
                                          const float *rgb, void **data, size_t *size,
                                          struct nst_err *err);

/* Encode image in the format and quality of o. *data belongs to the caller: g_free().
 * Returns 0, or -1 with libvips' error set. */
int nst_output_encode(struct nst_output *o, VipsImage *image, bool high_depth,
                      void **data, size_t *size);

/* Add the metadata of the source and comment to an image, as o asks. */
void nst_output_add_metadata(struct nst_output *o, VipsImage *image,
                             const struct nst_source_info *source, bool profile,
                             const char *comment);

/* Report libvips' error as a failure to encode: NST_ERR_IO. */
enum nst_status nst_output_encode_error(const struct nst_output *o,
                                        struct nst_err *err);

#endif
