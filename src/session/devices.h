/* SPDX-License-Identifier: MIT */
/* devices.h - lists the computing devices. */
#ifndef NST_SESSION_DEVICES_H
#define NST_SESSION_DEVICES_H

#include <stdbool.h>

/*
 * List the devices for --device, one per line or as a JSON list: a new string. The CPU
 * has its instruction set; each GPU its model, compute capability, total and free
 * memory in bytes, and the CUDA version of its driver. Without a GPU the last line, or
 * an element with "error", states the reason.
 */
char *nst_describe_devices(bool as_json);

#endif
