/* SPDX-License-Identifier: MIT */
/* share_picture.h - the picture of a link: a JPEG without metadata that messengers
 * take, made of a result in a child process (sandbox.h). */
#ifndef NST_SERVE_SHARE_PICTURE_H
#define NST_SERVE_SHARE_PICTURE_H

enum serve_share_made {
    SERVE_SHARE_MADE,
    SERVE_SHARE_NO_SPACE,
    SERVE_SHARE_FAILED /* the child failed or was killed */
};

/* A picture in a folder of its own. */
struct serve_share_picture {
    char *path;        /* of the JPEG */
    int width, height; /* in pixels */
    char *job;         /* the folder, below work/ */
    int lock;          /* of the folder, or -1 */
};

/* Make the picture of the file at path. Call serve_share_picture_clear() in any case.
 */
enum serve_share_made serve_share_picture_make(struct serve_share_picture *p,
                                               const char *path);
/* Remove the folder and what is still in it. */
void serve_share_picture_clear(struct serve_share_picture *p);

/* The child, nst-serve --share-picture IN OUT, which prints the sides. Returns its exit
 * status. */
int serve_share_picture_child(const char *in, const char *out);

#endif
