/* SPDX-License-Identifier: MIT */
/* metadata.h - texts stored in picture files. */
#ifndef NST_IMAGE_METADATA_H
#define NST_IMAGE_METADATA_H

/* The comment that nst_output_write() stored in the file, or another text stored there:
 * a new string; NULL if there is none or path is not a picture. */
char *nst_picture_comment(const char *path);

#endif
