/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/motion.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "flow/flow.h"

/* Planes of the size of a frame: both flows, and what is moved along them. */
#define FLOW_PLANES 4
#define MOVED_PLANES 16

size_t nst_motion_kept_bytes(const char *flow, int height, int width)
{
    if (strcmp(flow, "none") == 0)
        return 0;
    return FLOW_PLANES * nst_area(height, width) * sizeof(float) +
           (strcmp(flow, "auto") == 0 ? nst_flow_estimator_bytes(height, width) : 0);
}

size_t nst_motion_bytes(const char *flow, int height, int width)
{
    return strcmp(flow, "none") == 0
               ? 0
               : MOVED_PLANES * nst_area(height, width) * sizeof(float);
}

static void forget_flows(struct nst_motion *m)
{
    free(m->forward);
    free(m->back);
    m->forward = m->back = NULL;
}

void nst_motion_clear(struct nst_motion *m)
{
    forget_flows(m);
    nst_flow_estimator_free(m->estimator);
    m->estimator = NULL;
}

/* Begin with the first frame, and make what is kept. */
static enum nst_status begin(struct nst_motion *m, struct nst_image first,
                             struct nst_threads *threads, struct nst_err *err)
{
    size_t h = (size_t)first.height, w = (size_t)first.width;
    enum nst_status st =
        nst_flow_estimator_new(&m->estimator, first.height, first.width, threads, err);

    if (st == NST_OK)
        st = nst_floats_new(&m->back, 2, h, w, err);
    if (st == NST_OK)
        st = nst_floats_new(&m->forward, 2, h, w, err);
    if (st == NST_OK)
        nst_flow_estimator_next(m->estimator, first);
    return st;
}

static enum nst_status estimate(struct nst_motion *m, struct nst_image before,
                                struct nst_image now, struct nst_threads *threads,
                                struct nst_err *err)
{
    enum nst_status st = m->estimator ? NST_OK : begin(m, before, threads, err);

    if (st != NST_OK)
        return st;
    nst_flow_estimator_next(m->estimator, now);
    nst_flow_estimate(m->estimator, true, m->back);
    nst_flow_estimate(m->estimator, false, m->forward);
    return NST_OK;
}

static enum nst_status read_flow(float **out, const char *folder, int from, int to,
                                 struct nst_image size, struct nst_err *err)
{
    char *path = nst_xasprintf("%s/%s_%d_%d.flo", folder,
                               from < to ? "forward" : "backward", from, to);
    enum nst_status st = nst_flow_read(out, path, size.height, size.width, err);

    free(path);
    return st;
}

enum nst_status nst_motion_find(struct nst_motion *m, const char *flow,
                                struct nst_frame_pair number, struct nst_image before,
                                struct nst_image now, struct nst_threads *threads,
                                struct nst_err *err)
{
    enum nst_status st = NST_OK;

    if (strcmp(flow, "none") == 0 ||
        (strcmp(flow, "auto") == 0 && !nst_flow_is_possible(now)))
        return NST_OK;
    if (strcmp(flow, "auto") == 0)
        st = estimate(m, before, now, threads, err);
    else {
        forget_flows(m);
        st = read_flow(&m->back, flow, number.now, number.before, now, err);
        if (st == NST_OK)
            st = read_flow(&m->forward, flow, number.before, number.now, now, err);
    }
    if (st != NST_OK)
        nst_motion_clear(m);
    return st;
}
