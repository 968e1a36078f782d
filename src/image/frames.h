/* SPDX-License-Identifier: MIT */
/*
 * frames.h - sequences of frames: a YUV4MPEG2 stream (y4m.h), concatenated PNM pictures
 * (pnm.h) or an animation (GIF, WebP). All are read
 * one frame at a time; an animation is encoded as a whole. Any other picture is a
 * single frame.
 */
#ifndef NST_IMAGE_FRAMES_H
#define NST_IMAGE_FRAMES_H

#include "image/save.h"

struct nst_frame_reader;

/* Open path ("-": standard input). stream is "y4m" or "pnm" for such a stream; NULL for
 * an animation or a picture. *out belongs to the caller:
 * nst_frame_reader_free(). Errors: see nst_picture_load(). */
enum nst_status nst_frame_reader_open(struct nst_frame_reader **out, const char *path,
                                      const char *stream,
                                      const struct nst_picture_size *size,
                                      struct nst_err *err);
void nst_frame_reader_free(struct nst_frame_reader *f); /* NULL is fine */

/* Ask stop() while a stream has no data. If it returns true, the frame fails with
 * NST_ERR_IO. */
void nst_frame_reader_set_stop(struct nst_frame_reader *f, bool (*stop)(void *ctx),
                               void *ctx);

/* Memory to read a frame of an animation and to collect all for the output; 0 for a
 * stream. */
size_t nst_frame_reader_bytes(const struct nst_frame_reader *f);

/* Number of frames; 0 if unknown until the stream ends. */
int nst_frame_reader_count(const struct nst_frame_reader *f);

/* Read the next frame. *out belongs to the caller; it is NULL after the last frame.
 * Errors: see nst_picture_load(). */
enum nst_status nst_frame_reader_next(struct nst_frame_reader *f,
                                      struct nst_picture **out, struct nst_err *err);

/* Writes frames to an output that was opened for the reader's stream format or for an
 * animated format. */
struct nst_frame_writer;

/* output and reader are borrowed. *out belongs to the caller:
 * nst_frame_writer_free(). */
void nst_frame_writer_new(struct nst_frame_writer **out, struct nst_output *output,
                          const struct nst_frame_reader *reader);
void nst_frame_writer_free(struct nst_frame_writer *f); /* NULL is fine */

/* Add a frame, with arguments as in nst_output_write(). A stream writes it at once; an
 * animation collects it. NST_ERR_IO, NST_ERR_MEM. */
enum nst_status nst_frame_writer_add(struct nst_frame_writer *f,
                                     const struct nst_picture *source, const float *rgb,
                                     struct nst_err *err);
/* Call once, after the last frame: writes a collected animation, with comment if the
 * format stores one, and gives the file its name. */
enum nst_status nst_frame_writer_finish(struct nst_frame_writer *f, const char *comment,
                                        struct nst_err *err);

#endif
