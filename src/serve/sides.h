/* SPDX-License-Identifier: MIT */
/* sides.h - the sides and frames of stored pictures: read from their headers in a child
 * process (sandbox.h), and remembered. Thread-safe. */
#ifndef NST_SERVE_SIDES_H
#define NST_SERVE_SIDES_H

#include <stdbool.h>

/* The sides of a picture that stands upright, in pixels. False if they cannot be read
 * now. */
bool serve_sides_read(const char *path, int *width, int *height);

/* The number of frames of an animation, 1 for a still picture; 0 if it cannot be read
 * now. */
int serve_sides_frames(const char *path);

/* Forget all. */
void serve_sides_close(void);

/* The child, nst-serve --sides PATH, which prints sides and frames. Returns its exit
 * status. */
int serve_sides_print(const char *path);

#endif
