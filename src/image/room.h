/* SPDX-License-Identifier: MIT */
/*
 * room.h - whether libvips and the libraries of formats can have the threads and the
 * address space (ulimit -v) that they need. They do not all report what they lack: GLib
 * and libjxl end the process, and x265 waits for ever for a thread that did not start.
 */
#ifndef NST_IMAGE_ROOM_H
#define NST_IMAGE_ROOM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Whether there is room to read or write one image, and for this many bytes more. It
 * starts threads to know, and ends them. */
bool nst_room_is_left(size_t bytes);
/* NST_ERR_MEM if there is none; label begins the message. */
enum nst_status nst_room_check(const char *label, size_t bytes, struct nst_err *err);

#endif
