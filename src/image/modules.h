/* SPDX-License-Identifier: MIT */
/*
 * modules.h - libvips without its modules until a file needs one. Modules are loaders
 * and savers in libraries of their own (HEIC, AVIF, JPEG XL, PDF, ImageMagick); to load
 * them takes longer than to read a small JPEG.
 */
#ifndef NST_IMAGE_MODULES_H
#define NST_IMAGE_MODULES_H

#include <stdbool.h>

#include "base/err.h"

/* Start libvips; name is argv[0]. Modules are left out, unless $VIPSHOME says where
 * they are. False: vips_error_buffer() says why. Call before other threads start. */
bool nst_modules_init(const char *name);

/* Load the modules that were left out, once per process, from any thread. True if there
 * are any: a format that libvips did not know may be known now. */
bool nst_modules_load(void);
/* NST_ERR_MEM if they could not be loaded for lack of address space, and still cannot:
 * a format may be unknown for that reason. label begins the message. */
enum nst_status nst_modules_check_room(const char *label, struct nst_err *err);

#endif
