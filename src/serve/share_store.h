/* SPDX-License-Identifier: MIT */
/*
 * share_store.h - which results have a public link: the files of shares/ in the data
 * folder.
 *   TOKEN.json  what is shared
 *   of-ID.json  a second name of that file; ID is the task's
 *   TOKEN.jpg   the picture that strangers get
 * A link is valid while both names say so. The second one is made last and removed
 * first, so that a kill leaves no link that nobody knows. Front ends that share a
 * folder agree on the token, because only one of them can make the second name.
 */
#ifndef NST_SERVE_SHARE_STORE_H
#define NST_SERVE_SHARE_STORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct serve_share {
    const char *task;   /* the ID */
    const char *result; /* its file in results/ */
    const char *party;  /* whose number of links counts */
    const char *title;
    int width, height; /* of the picture, in pixels */
};

/* Remove what killed services have left, and links of results that no longer exist. */
void serve_share_sweep(void);

/* The token of a task's link, a new string, or NULL. */
char *serve_share_find(const char *task);
/* What the link with this token shares, a new reference: "task", "title", "width" and
 * "height"; NULL if there is no such link. */
json_t *serve_share_load(const char *token);
/* The path of its picture, a new string, or NULL. */
char *serve_share_picture(const char *token);
/* The number of links of a party. */
size_t serve_share_count(const char *party);

/* Make a link; the JPEG at path is moved. The token, a new string: that of an earlier
 * link of the task, if there is one. NULL: errno. */
char *serve_share_add(const struct serve_share *s, const char *path);
/* Remove the link of a task. False if there is none. */
bool serve_share_remove(const char *task);

#endif
