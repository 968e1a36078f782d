/* SPDX-License-Identifier: MIT */
/* gpu.h - the first GPU, as `nst --list-devices` describes it. */
#ifndef NST_SERVE_GPU_H
#define NST_SERVE_GPU_H

#include <jansson.h>
#include <stdbool.h>

/* Query the GPU for the first time. */
void serve_gpu_open(void);
void serve_gpu_close(void);
/* Query it again; a failure keeps the previous description and is logged once. */
void serve_gpu_refresh(void);
/* True if there was a GPU at the start. */
bool serve_gpu_present(void);
/* The last description, a new reference that no other thread uses; NULL: no GPU. */
json_t *serve_gpu_current(void);

#endif
