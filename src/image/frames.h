/* SPDX-License-Identifier: MIT */
/*
 * frames.h - pictures that follow one another in time: a YUV4MPEG2 stream (y4m.h), PPMs
 * or PAMs one behind the other (pnm.h), or an animation (GIF, WebP), read a frame at a
 * time and written likewise. A picture that is none of these is one frame.
 */
#ifndef NST_IMAGE_FRAMES_H
#define NST_IMAGE_FRAMES_H

#include "image/picture.h"

struct nst_frame_reader;

/*
 * Open what is at path ("-": standard input); stream is "y4m" or "pnm" for such a
 * stream, or NULL. An animation is decoded at once. *out belongs to the caller:
 * nst_frame_reader_free(). Errors as of nst_picture_load().
 */
enum nst_status nst_frame_reader_open(struct nst_frame_reader **out, const char *path,
                                      const char *stream,
                                      const struct nst_picture_size *size,
                                      struct nst_err *err);
void nst_frame_reader_free(struct nst_frame_reader *f); /* NULL is fine */

/* How many frames there are; 0: that shows in the end. */
int nst_frame_reader_count(const struct nst_frame_reader *f);

/* The next frame, or NULL after the last; it belongs to the caller. Errors as of
 * nst_picture_load(). */
enum nst_status nst_frame_reader_next(struct nst_frame_reader *f,
                                      struct nst_picture **out, struct nst_err *err);

/* What frames are written to: an output that was opened for the stream's format, or
 * that has room for several pictures. */
struct nst_frame_writer;

/* Both are borrowed. *out belongs to the caller: nst_frame_writer_free(). */
void nst_frame_writer_new(struct nst_frame_writer **out, struct nst_output *output,
                          const struct nst_frame_reader *reader);
void nst_frame_writer_free(struct nst_frame_writer *f); /* NULL is fine */

/* Add a frame, as nst_output_write() would write it; of a stream it is written.
 * NST_ERR_IO, NST_ERR_MEM. */
enum nst_status nst_frame_writer_add(struct nst_frame_writer *f,
                                     const struct nst_picture *source, const float *rgb,
                                     struct nst_err *err);
/* All frames are there: write what there is to be written, with the comment if there is
 * a place for it, and give the file its name. Once. */
enum nst_status nst_frame_writer_finish(struct nst_frame_writer *f, const char *comment,
                                        struct nst_err *err);

#endif
