/* SPDX-License-Identifier: MIT */
/*
 * store.h - the folder of all that the service keeps:
 *   uploads/ styles/ results/ thumbs/   pictures, under names made up here
 *   tasks/   a JSON file for each task
 *   work/    a folder for each task that is not over
 *   queue    an empty file, if tasks are not in tasks/ but in a queue on Redis
 * Names of clients never get here.
 */
#ifndef NST_SERVE_STORE_H
#define NST_SERVE_STORE_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "nst.h"

#define SERVE_PARTIAL_SUFFIX ".part" /* the ending of what is being received */
#define SERVE_MAX_PICTURE_NAME 80    /* characters of a picture's name, at most */

/*
 * Make what is missing of it, take what a crash left half done away, and lock it: two
 * services on one folder would do the same work, unless they have one queue and share
 * it. prefix, or NULL, is what the paths of URLs begin with. Once. NST_ERR_IO.
 */
enum nst_status serve_store_open(const char *dir, bool shared, const char *prefix,
                                 struct nst_err *err);
void serve_store_close(void);

/* May it be the name of a file here? Letters of the lower case, digits, and . _ - but
 * for the first. */
bool serve_store_is_valid_name(const char *name);

/* 32 random hexadecimal digits, and the ending. A new string. */
char *serve_store_new_name(const char *ending);

/* The path of a file. A new string; NULL if the name may not be one. */
char *serve_store_path(const char *folder, const char *name);
bool serve_store_has(const char *folder, const char *name);
/* Open it for reading: its size too, or -1 if it is a link, or no file. */
int serve_file_open(const char *path, uint64_t *size);
/* Move a file whose bytes are on the disk, so that its new name is, too. False: errno.
 */
bool serve_file_move(const char *from, const char *to);
int serve_store_open_file(const char *folder, const char *name, uint64_t *size);
void serve_store_remove(const char *folder, const char *name);
/* And its thumbnail. */
void serve_store_remove_picture(const char *folder, const char *name);

/* Where clients find it: a JSON text. Of its thumbnail: null if there is none. */
json_t *serve_url(const char *folder, const char *name);
json_t *serve_thumb_url(const char *name);

/* Write j as tasks/NAME, whole or not at all. NST_ERR_IO: errno. */
enum nst_status serve_store_write_task(const char *name, const json_t *j,
                                       struct nst_err *err);

/* Tell of all files in a folder, in no order. */
void serve_store_foreach(const char *folder, void (*visit)(void *ctx, const char *name),
                         void *ctx);

/* When a file was last added to it or removed: nanoseconds since 1970. */
int64_t serve_store_mtime(const char *folder);

/* Remove uploads, and their thumbnails, whose names are not in that set of strings:
 * those that are as old as that, and all but so many of the newest. */
void serve_store_sweep(GHashTable *used, int64_t max_age, size_t max_files);

/* The folder work/NAME, which is made if need be: a new string, or NULL. */
char *serve_store_work_dir(const char *name);
/* Remove it and what is in it. False if it is still there. */
bool serve_store_remove_work_dir(const char *name);

/* Is that errno one of a disk that is full? */
bool serve_store_is_disk_full(int error);
/* Is there room for so many bytes of a client, and some left for what the service has
 * to write down of its tasks? */
bool serve_store_has_space(uint64_t bytes);

/* Bytes free on its disk, and the part in use, 0 to 1. */
void serve_store_disk_usage(uint64_t *free_bytes, double *used);

#endif
