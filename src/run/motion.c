/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/motion.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "flow/flow.h"

/* Planes of the size of a frame: both flows, and what is moved along them. */
#define MOTION_PLANES 20

size_t nst_motion_bytes(const char *flow, int height, int width)
{
    if (strcmp(flow, "none") == 0)
        return 0;
    return MOTION_PLANES * nst_area(height, width) * sizeof(float) +
           (strcmp(flow, "auto") == 0 ? nst_flow_bytes(height, width) : 0);
}

void nst_motion_clear(struct nst_motion *m)
{
    free(m->forward);
    free(m->back);
    *m = (struct nst_motion){0};
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

    *m = (struct nst_motion){0};
    if (strcmp(flow, "none") == 0 ||
        (strcmp(flow, "auto") == 0 && !nst_flow_is_possible(now)))
        return NST_OK;
    if (strcmp(flow, "auto") == 0) {
        st = nst_flow_estimate(&m->back, now, before, threads, err);
        if (st == NST_OK)
            st = nst_flow_estimate(&m->forward, before, now, threads, err);
    } else {
        st = read_flow(&m->back, flow, number.now, number.before, now, err);
        if (st == NST_OK)
            st = read_flow(&m->forward, flow, number.before, number.now, now, err);
    }
    if (st != NST_OK)
        nst_motion_clear(m);
    return st;
}
