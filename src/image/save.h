/* SPDX-License-Identifier: MIT */
/* save.h - a place that a picture, or a film, is written to; private to this folder.
 */
#ifndef NST_IMAGE_SAVE_H
#define NST_IMAGE_SAVE_H

#include "base/atomic_file.h"
#include "image/picture.h"
#include "image/source_info.h"

struct nst_format {
    const char *suffix;
    const char
        *saver; /* libvips' own suffix and options, 8 bits a sample; NULL: ours */
    const char *saver_16bit; /* the same for a deeper source, or NULL */
    int bits;                /* significant bits of a deep sample */
    bool alpha, profile, animated;
    enum nst_comment_location comment;
    bool pam;
    int quality; /* what is written without another (1 to 100); 0: it has none */
};

struct nst_output {
    struct nst_atomic_file *file;
    char *path; /* how messages call it */
    const struct nst_format *format;
    int quality; /* in place of the format's, if not 0 */
};

/* n pixels of three planes, and alpha if it is not NULL, to 8-bit samples side by side;
 * where the format has no alpha, white shows where like is transparent. NST_ERR_MEM. */
enum nst_status nst_output_quantise(const struct nst_output *o,
                                    const struct nst_picture *source, const float *rgb,
                                    unsigned char *to, struct nst_err *err);

/* The picture as a file of that format (".ppm"), which becomes o's; g_free(*data) is
 * the caller's. NST_ERR_IO, NST_ERR_MEM. */
enum nst_status nst_output_encode_picture(struct nst_output *o, const char *suffix,
                                          const struct nst_picture *source,
                                          const float *rgb, void **data, size_t *size,
                                          struct nst_err *err);

/* The bytes of the file, with options as the format and the quality want them;
 * g_free(*data) is the caller's. 0, or -1 with libvips' error set. */
int nst_output_encode(const struct nst_output *o, VipsImage *image, bool high_depth,
                      void **data, size_t *size);

/* It could not be encoded. */
enum nst_status nst_output_encode_error(const struct nst_output *o,
                                        struct nst_err *err);

#endif
