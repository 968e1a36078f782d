/* SPDX-License-Identifier: MIT */
/* size.h - limits of picture sizes, and the size to load at; private to this folder. */
#ifndef NST_IMAGE_SIZE_H
#define NST_IMAGE_SIZE_H

#include "image/load.h"

/*
 * Refuse sides that are too short, and more than max pixels (0: no limit). what names
 * the size in the message, as in "resized to ". NST_ERR_FORMAT.
 */
enum nst_status nst_picture_check_dimensions(const char *label, int w, int h,
                                             long long max, const char *what,
                                             struct nst_err *err);

/* Refuse a picture that is too small or has too many pixels, at its own or at the
 * requested size. NST_ERR_FORMAT; the message begins with label. */
enum nst_status nst_picture_check_size(const char *label, int w, int h,
                                       const struct nst_picture_size *size,
                                       struct nst_err *err);
#endif
