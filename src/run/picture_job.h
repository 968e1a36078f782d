/* SPDX-License-Identifier: MIT */
/*
 * picture_job.h - what the run of one picture holds, for who reads what it needs
 * (picture_job.c) and who makes it and says so (picture_run.c).
 */
#ifndef NST_RUN_PICTURE_JOB_H
#define NST_RUN_PICTURE_JOB_H

#include "image/frames.h"
#include "image/picture.h"
#include "image/save.h"
#include "job/job.h"
#include "job/plan.h"
#include "record/provenance.h"
#include "run/picture_run.h"
#include "run/styles.h"
#include "run/stylise.h"
#include "run/temporal.h"

/* Everything that one picture's run holds; freed in one place. */
struct nst_picture_job {
    const struct nst_picture_runner *runner;
    const struct nst_batch_item *item;
    struct nst_params params; /* the plan is applied to it; borrows from the maker's */
    struct nst_params effective; /* the same, adapted to the pictures */
    char *inputs;                /* of nst_provenance_inputs() */
    bool skipped, cancelled, fatal;
    struct nst_output *output;
    struct nst_trace *trace;
    struct nst_frame_reader *frames; /* that content is one of; or NULL */
    struct nst_frame_writer *writer; /* that they are put into */
    struct nst_coherence coherence;  /* of the frame before content */
    int frame;                       /* from 0 */
    struct nst_job_result totals;    /* sums of the frames before */
    int64_t steps_done;              /* planned for these */
    struct nst_picture *content, *init_image, *keep_mask;
    struct nst_style_set styles;
    struct nst_plan plan;
    void *progress; /* of events->picture_begun() */
    struct nst_job_result result;
    float *rgb; /* the result */
};

/* Reserve the output and read everything, so that what is wrong shows at once; with
 * job->skipped the result is there already. What is held stays w's, on errors too:
 * those of the files, or NST_ERR_ARG, NST_ERR_MEM. */
enum nst_status nst_picture_job_prepare(struct nst_picture_job *job,
                                        struct nst_err *err);

/* Recolour the paintings by the content, as --colour match does. */
enum nst_status nst_picture_job_match_colours(struct nst_picture_job *job,
                                              struct nst_err *err);

/* How many a picture has. */
size_t nst_picture_pixels(const struct nst_picture *p);

/* All pictures read, for the plan. */
struct nst_baseline nst_picture_job_baseline(const struct nst_picture_job *job);

/* The run as it is recorded; borrows from w. */
struct nst_provenance nst_picture_job_provenance(const struct nst_picture_job *job);

#endif
