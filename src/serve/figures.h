/* SPDX-License-Identifier: MIT */
/*
 * figures.h - image quality metrics of stored pictures, computed by nst-compare. It
 * uses the whole machine, so one comparison runs at a time.
 */
#ifndef NST_SERVE_FIGURES_H
#define NST_SERVE_FIGURES_H

#include <jansson.h>
#include <stdbool.h>

#include "serve/http/response.h"
#include "serve/settings.h"

/* Paths. */
struct serve_pictures {
    char *original, *result, *style; /* style may be NULL */
};

/* Fill with the pictures of a task's progress object. False: one no longer exists. Free
 * with serve_pictures_clear() in both cases. */
bool serve_pictures_of_task(struct serve_pictures *p, const json_t *progress);
void serve_pictures_clear(struct serve_pictures *p);

/* The end of a comparison: figures, or why there are none. */
struct serve_figures {
    json_t *figures; /* or NULL */
    int status;      /* of serve_sandbox_run() */
    char *message;   /* the standard error of nst-compare */
};

/* Compare; waits for other comparisons. Free with serve_figures_clear(). */
void serve_figures_compute(struct serve_figures *f, const struct serve_settings *s,
                           const struct serve_pictures *p);
void serve_figures_clear(struct serve_figures *f);

/* 200 with the figures, or the error. */
struct serve_response serve_figures_response(const struct serve_figures *f);

#endif
