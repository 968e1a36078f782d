/* SPDX-License-Identifier: MIT */
/*
 * modules.h - libvips without its modules until a file needs one. Modules are loaders
 * and savers in libraries of their own (HEIC, AVIF, JPEG XL, PDF, ImageMagick); to load
 * them takes longer than to read a small JPEG.
 */
#ifndef NST_IMAGE_MODULES_H
#define NST_IMAGE_MODULES_H

#include <stdbool.h>

/* Start libvips; name is argv[0]. Modules are left out, unless $VIPSHOME says where
 * they are. False: vips_error_buffer() says why. Call before other threads start. */
bool nst_modules_init(const char *name);

/* Load the modules that were left out, once per process, from any thread. True if there
 * are any: a format that libvips did not know may be known now. */
bool nst_modules_load(void);

#endif
