/* SPDX-License-Identifier: MIT */
/*
 * net_film.h - the frames of a film that is painted as it comes: one is read and
 * another one written on threads of their own, while a third is painted.
 */
#ifndef NST_RUN_NET_FILM_H
#define NST_RUN_NET_FILM_H

#include "image/frames.h"
#include "run/run.h"

struct nst_net_film;

/* Frames at once in memory, beside the one that is painted: the most floats of a pixel
 * that they take. */
#define NST_NET_FILM_FLOATS 9

/* Start the threads. All is borrowed until nst_net_film_end(). NST_ERR_MEM. */
enum nst_status nst_net_film_new(struct nst_net_film **out,
                                 struct nst_frame_reader *reader,
                                 struct nst_frame_writer *writer,
                                 const struct nst_run_events *events,
                                 struct nst_err *err);

/* The next frame, which belongs to the caller; NULL after the last one, after an error
 * of reading or writing, and if events ask to stop. */
struct nst_picture *nst_net_film_next(struct nst_net_film *f);

/* Write a painted frame, which is taken over. */
void nst_net_film_add(struct nst_net_film *f, struct nst_picture *frame);

/* Wait until all is written, and free f. The first error of reading or writing; none if
 * events ask to stop. */
enum nst_status nst_net_film_end(struct nst_net_film *f, struct nst_err *err);

#endif
