/* SPDX-License-Identifier: MIT */
/*
 * work.h - what the run of one picture holds, for who reads what it needs (prepare.c)
 * and who makes it and says so (making.c).
 */
#ifndef NST_RUN_WORK_H
#define NST_RUN_WORK_H

#include "image/frames.h"
#include "image/output.h"
#include "image/picture.h"
#include "job/job.h"
#include "job/plan.h"
#include "record/record.h"
#include "run/film.h"
#include "run/making.h"
#include "run/styles.h"
#include "run/stylise.h"

/* Everything that one picture's run holds; freed in one place. */
struct nst_work {
    const struct nst_maker *maker;
    const struct nst_item *item;
    struct nst_params asked; /* the plan is applied to it; borrows from the maker's */
    struct nst_params p;     /* the same, adapted to the pictures */
    char *inputs;            /* of nst_record_inputs() */
    bool skipped, left, hopeless;
    struct nst_output *output;
    struct nst_trace *trace;
    struct nst_frames *frames;    /* that content is one of; or NULL */
    struct nst_film *film;        /* that they are put into */
    struct nst_follow follow;     /* of the frame before content */
    int frame;                    /* from 0 */
    struct nst_job_result before; /* sums of the frames before */
    int64_t steps_before;         /* planned for these */
    struct nst_picture *content, *init, *keep;
    struct nst_styles_read styles;
    struct nst_plan plan;
    void *told; /* of events->picture_begun() */
    struct nst_job_result result;
    float *rgb; /* the result */
};

/* Reserve the output and read everything, so that what is wrong shows at once; with
 * w->skipped the result is there already. What is held stays w's, on errors too: those
 * of the files, or NST_ERR_ARG, NST_ERR_MEM. */
enum nst_status nst_work_prepare(struct nst_work *w, struct nst_err *err);

/* Recolour the paintings by the content, as --colour match does. */
enum nst_status nst_work_match_colours(struct nst_work *w, struct nst_err *err);

/* How many a picture has. */
size_t nst_work_pixels(const struct nst_picture *p);

/* All pictures read, for the plan. */
struct nst_held nst_work_held(const struct nst_work *w);

/* The run as it is recorded; borrows from w. */
struct nst_record nst_work_record(const struct nst_work *w);

#endif
