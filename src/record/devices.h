/* SPDX-License-Identifier: MIT */
/* devices.h - what there is to compute on, in words. */
#ifndef NST_RECORD_DEVICES_H
#define NST_RECORD_DEVICES_H

#include <stdbool.h>

/*
 * The devices that --device takes, a line each, or as a JSON list: a new string. Of the
 * CPU its instruction set, of each GPU its model, compute capability, memory and that
 * which is free in bytes, and the CUDA that its driver supports. Without a GPU the last
 * line, or an element with "error", says why.
 */
char *nst_describe_devices(bool as_json);

#endif
