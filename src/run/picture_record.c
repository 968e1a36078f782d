/* SPDX-License-Identifier: MIT */
/* picture_record.c - the record of a picture's run, and what those of results that
 * exist say. */
#include "config.h"

#include "run/picture_job.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/path.h"
#include "image/metadata.h"
#include "record/history.h"
#include "run/report.h"

struct nst_provenance nst_picture_job_provenance(const struct nst_picture_job *job)
{
    return (struct nst_provenance){.params = &job->recorded,
                                   .content = job->item->content,
                                   .output = job->item->output,
                                   .session = job->runner->session,
                                   .inputs = job->inputs,
                                   .width = job->content ? job->content->width : 0,
                                   .height = job->content ? job->content->height : 0,
                                   .frames = job->frames ? job->frame + 1 : 0,
                                   .result = &job->result};
}

/* The record in a result that exists, or NULL. Reading a pipe would block. */
static char *recorded_comment(const struct nst_picture_job *job)
{
    const char *output = job->item->output;
    struct stat st;

    if (!output || stat(output, &st) != 0 || !S_ISREG(st.st_mode))
        return NULL;
    return nst_picture_comment(output);
}

bool nst_picture_job_is_done(const struct nst_picture_job *job)
{
    struct nst_provenance provenance = nst_picture_job_provenance(job);
    char *comment;
    bool done;

    if (!job->effective.skip_done)
        return false;
    comment = recorded_comment(job);
    done = nst_provenance_matches(&provenance, comment);
    free(comment);
    if (done && !job->effective.quiet)
        nst_run_message(job->runner->events, "%s: is up to date; skipped",
                        job->item->output);
    return done;
}

/* Whether a is older than b, or both are unknown. */
static bool is_older(const char *a, const char *b)
{
    struct stat x, y;

    if (stat(a, &x) != 0 || stat(b, &y) != 0)
        return true;
    return x.st_mtim.tv_sec != y.st_mtim.tv_sec ? x.st_mtim.tv_sec < y.st_mtim.tv_sec
                                                : x.st_mtim.tv_nsec < y.st_mtim.tv_nsec;
}

static bool is_same_path(const char *a, const char *b)
{
    char *x = nst_path_canonical(a), *y = nst_path_canonical(b);
    bool same = strcmp(x, y) == 0;

    free(x);
    free(y);
    return same;
}

/*
 * Whether the image called name, with that digest, from which the result was made, is
 * another file than today's content, rather than the same one before a change. The
 * metadata have no folders, so the history decides, or else the times.
 */
static bool is_other_image(const struct nst_picture_job *job, char **name,
                           const char *sha256)
{
    const char *content = job->item->content, *output = job->item->output;
    char *history = nst_history_path(job->effective.history);
    char *from = history ? nst_history_content(history, output, sha256) : NULL;
    bool other = **name && strcmp(*name, nst_base_name(content)) != 0;

    free(history);
    if (!from)
        return other || is_older(content, output);
    free(*name);
    *name = from;
    return !is_same_path(from, content);
}

enum nst_status nst_picture_job_check_replacement(const struct nst_picture_job *job,
                                                  struct nst_err *err)
{
    struct nst_provenance provenance = nst_picture_job_provenance(job);
    enum nst_status st = NST_OK;
    char *comment, *name, *sha256;

    if (!job->item->named)
        return NST_OK;
    comment = recorded_comment(job);
    name = nst_provenance_other_content(&provenance, comment, &sha256);
    if (name && is_other_image(job, &name, sha256))
        st =
            nst_err_set(err, NST_ERR_ARG,
                        "%s: was made from another image%s%s, and is not replaced by "
                        "that of %s; use --name with {folder}, -o FILE, or remove it",
                        job->item->output, *name ? ", " : "", name, job->item->content);
    free(name);
    free(sha256);
    free(comment);
    return st;
}
