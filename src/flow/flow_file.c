/* SPDX-License-Identifier: MIT */
/* flow_file.c - Middlebury .flo files: the float 202021.25, width and height as 32-bit
 * integers, then u and v of each pixel as floats; all little-endian. */
#include "config.h"

#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "flow/flow.h"

#define TAG 202021.25F

static float float_of(uint32_t bits)
{
    float value;

    bits = le32toh(bits);
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Read the header of f and compare its size. */
static enum nst_status read_header(FILE *f, const char *path, int height, int width,
                                   struct nst_err *err)
{
    uint32_t head[3];
    int w, h;

    if (fread(head, sizeof *head, 3, f) != 3 || float_of(head[0]) != TAG)
        return nst_err_set(err, NST_ERR_FORMAT, "%s: is no .flo file of Middlebury",
                           path);
    w = (int)le32toh(head[1]);
    h = (int)le32toh(head[2]);
    if (w != width || h != height)
        return nst_err_set(err, NST_ERR_FORMAT,
                           "%s: has the flow of %dx%d pixels, but the frame has %dx%d",
                           path, w, h, width, height);
    return NST_OK;
}

static enum nst_status read_rows(FILE *f, const char *path, float *flow, int height,
                                 int width, struct nst_err *err)
{
    size_t n = nst_area(height, width), w = (size_t)width;
    uint32_t *row = nst_xcalloc(2 * w, sizeof *row);
    enum nst_status status = NST_OK;

    for (size_t y = 0; status == NST_OK && y < (size_t)height; y++) {
        if (fread(row, sizeof *row, 2 * w, f) != 2 * w) {
            status = nst_err_set(err, NST_ERR_FORMAT, "%s: is cut short", path);
            break;
        }
        for (size_t x = 0; x < w; x++) {
            flow[y * w + x] = float_of(row[2 * x]);
            flow[n + y * w + x] = float_of(row[2 * x + 1]);
        }
    }
    free(row);
    return status;
}

enum nst_status nst_flow_read(float **out, const char *path, int height, int width,
                              struct nst_err *err)
{
    FILE *f = fopen(path, "re");
    enum nst_status status;

    *out = NULL;
    if (!f)
        return nst_err_set(err, errno == ENOENT ? NST_ERR_ARG : NST_ERR_IO, "%s: %s",
                           path, strerror(errno));
    status = read_header(f, path, height, width, err);
    if (status == NST_OK)
        status = nst_floats_new(out, 2, (size_t)height, (size_t)width, err);
    if (status == NST_OK)
        status = read_rows(f, path, *out, height, width, err);
    fclose(f);
    if (status != NST_OK) {
        free(*out);
        *out = NULL;
    }
    return status;
}
