/* SPDX-License-Identifier: MIT */
/*
 * picture_job.h - state of the run of one picture, shared by picture_job.c (load and
 * plan), picture_frames.c (stylise) and picture_run.c (write and report).
 */
#ifndef NST_RUN_PICTURE_JOB_H
#define NST_RUN_PICTURE_JOB_H

#include "image/frames.h"
#include "image/save.h"
#include "record/provenance.h"
#include "run/frame_store.h"
#include "run/job.h"
#include "run/picture_run.h"
#include "run/report.h"
#include "run/plan.h"
#include "run/styles.h"
#include "run/stylise.h"
#include "run/temporal.h"

struct nst_net;
struct nst_frame_link;

/* Everything that the run of one picture holds; freed in one place. */
struct nst_picture_job {
    const struct nst_picture_runner *runner;
    const struct nst_batch_item *item;
    /* The request with the plan applied, which is recorded; and the same adapted to the
     * pictures, which is run. Both borrow from the request. */
    struct nst_params recorded, effective;
    char *inputs; /* of nst_provenance_inputs() */
    bool skipped, cancelled, fatal;
    struct nst_output *output;
    struct nst_frame_reader *frames; /* source of content; or NULL */
    struct nst_frame_writer *writer; /* of the result */
    struct nst_frame_store *store;   /* with several passes; or NULL */
    struct nst_motion motion;        /* between the previous frame and content */
    struct nst_coherence coherence;  /* between them */
    struct nst_frame_link *link;     /* to the frame before, of --frames; or NULL */
    float *painted;  /* with link: the result without --colour content, owned */
    int frame, pass; /* from 0 */
    int frames_done; /* in all passes */
    struct nst_job_result totals; /* sums of the frames done */
    int64_t steps_done;           /* planned steps of the frames done */
    struct nst_picture *content, *init_image, *keep_mask;
    struct nst_style_set styles;
    struct nst_plan plan;
    struct nst_net *net; /* paints in place of an optimisation (net_run.h); or NULL */
    size_t net_room;     /* bytes of memory that it may take */
    struct nst_reporter reporter;
    struct nst_job_result result;
    float *rgb; /* the result */
};

/* Open the output and read all inputs, so that errors show at once, and plan an
 * optimisation. Sets job->skipped
 * if the result is up to date. job owns what was read, also on errors: those of the
 * files, or NST_ERR_ARG, NST_ERR_MEM. */
enum nst_status nst_picture_job_prepare(struct nst_picture_job *job,
                                        struct nst_err *err);

/* Refuse to replace a result that was made from another image of the same name:
 * NST_ERR_ARG. Call again before writing, since another process may have made it. */
enum nst_status nst_picture_job_check_replacement(const struct nst_picture_job *job,
                                                  struct nst_err *err);

/* Open the frames of the content as job->frames, which job owns, also on errors.
 * Errors: see nst_frame_reader_open(). */
enum nst_status nst_picture_job_open_frames(struct nst_picture_job *job,
                                            struct nst_err *err);

/* Steps of the picture or of all frames in all passes; 0 if their number is unknown. */
int64_t nst_picture_job_planned_steps(const struct nst_picture_job *job);

/* Stylise the picture into job->rgb, or all frames, which go to job->writer. Errors:
 * those of nst_stylise(), the reader and the writer. */
enum nst_status nst_picture_job_stylise(struct nst_picture_job *job,
                                        struct nst_err *err);

/* With job->link, once the result is written: leave to the next frame what it needs. */
void nst_picture_job_pass_on(struct nst_picture_job *job);

/* Number of pixels of a picture. */
size_t nst_picture_pixels(const struct nst_picture *p);

/* Memory of all loaded pictures, for the plan. */
struct nst_baseline nst_picture_job_baseline(const struct nst_picture_job *job);

/* Record of the run; borrows from job. */
struct nst_provenance nst_picture_job_provenance(const struct nst_picture_job *job);

/* Whether --skip-done is given and the result exists and is up to date. */
bool nst_picture_job_is_done(const struct nst_picture_job *job);

#endif
