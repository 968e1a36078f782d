/* SPDX-License-Identifier: MIT */
/*
 * store.h - the data folder of the service:
 *   uploads/ styles/ results/   pictures, under generated names
 *   thumbs/ renditions/         versions of them: NAME.jpg (pictures.h)
 *   labels/  the name that its owner gave to a style (labels.h)
 *   owners/  the owner of each picture that has one (owners.h)
 *   tasks/   a JSON file for each task
 *   work/    a folder for each unfinished task, and for each thumbnail in the making
 *   spent    the work of today (spent.h)
 *   quality/ the figures of results (quality.h)
 *   previews/ uploads in a style, small (previews.h)
 *   keys/    idempotency keys (idempotency.h)
 *   hooks/   URLs to tell of the end of tasks (webhook.h)
 *   shares/  public links of results (share_store.h)
 *   lock     the file that locks the folder
 *   queue    an empty file, if the tasks are not in tasks/ but in a queue on Redis
 * File names sent by clients are never used.
 */
#ifndef NST_SERVE_STORE_H
#define NST_SERVE_STORE_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "nst.h"

#define SERVE_PARTIAL_SUFFIX ".part" /* of an upload in progress */
#define SERVE_MAX_PICTURE_NAME 80    /* characters */

/*
 * Create the folders, remove partial uploads of a crash, and lock the folder: two
 * services on one folder would run the same tasks. shared: services with one Redis
 * queue share it. prefix: path prefix of URLs, or NULL, borrowed. Call it once.
 * NST_ERR_IO.
 */
enum nst_status serve_store_open(const char *dir, bool shared, const char *prefix,
                                 struct nst_err *err);
void serve_store_close(void);

/* True for names of lower case letters, digits, and . _ - (not first). */
bool serve_store_is_valid_name(const char *name);

/* 32 random hexadecimal digits and the ending, a new string. */
char *serve_store_new_name(const char *ending);
/* True for 32 hexadecimal digits and an extension of letters. */
bool serve_store_is_generated_name(const char *name);

/* The path of a file, a new string; NULL if the name is not valid. */
char *serve_store_path(const char *folder, const char *name);
bool serve_store_has(const char *folder, const char *name);
/* Open a regular file for reading; -1 for symbolic links and all others. */
int serve_file_open(const char *path, uint64_t *size);
/* Rename a file and sync the folder. The caller has synced the contents. False: errno.
 */
bool serve_file_move(const char *from, const char *to);
/* Move a file that a sandboxed program made, if it is a plain file that is not empty:
 * links and pipes are not served. False: errno. */
bool serve_file_take(const char *from, const char *to);
int serve_store_open_file(const char *folder, const char *name, uint64_t *size);
void serve_store_remove(const char *folder, const char *name);
/* Remove a picture, its versions, its label and the record of its owner. */
void serve_store_remove_picture(const char *folder, const char *name);

/* The path of a version of a picture, thumbs or renditions, a new string; NULL if the
 * name is not valid. */
char *serve_store_version_path(const char *folder, const char *picture);
bool serve_store_has_version(const char *folder, const char *picture);

/* The URL of a file, and of a version of a picture (or null), as new JSON values. */
json_t *serve_url(const char *folder, const char *name);
json_t *serve_version_url(const char *folder, const char *picture);
json_t *serve_thumb_url(const char *picture);

/* Write j to FOLDER/NAME atomically. NST_ERR_IO: errno. */
enum nst_status serve_store_write(const char *folder, const char *name, const json_t *j,
                                  struct nst_err *err);

/* Visit all files of a folder, in no order. */
void serve_store_foreach(const char *folder, void (*visit)(void *ctx, const char *name),
                         void *ctx);

/* The time of a folder's last change, in nanoseconds since 1970. */
int64_t serve_store_mtime(const char *folder);

/* The path of work/NAME, created if needed: a new string, or NULL. */
char *serve_store_work_dir(const char *name);
/* Create work/thumb-*, for a program that is no task: a new string, or NULL. *name: a
 * new string for serve_store_remove_work_dir(). *lock: a descriptor to close after
 * that, or -1: the next start of a service on this folder removes what nobody has
 * locked. */
char *serve_store_new_work_dir(char **name, int *lock);
/* Remove work/NAME and its files. False if it still exists. */
bool serve_store_remove_work_dir(const char *name);

/* True if the errno means that the disk or quota is full. */
bool serve_store_is_disk_full(int error);
/* True if the disk has room for an upload and a reserve for the service's own files. */
bool serve_store_has_space(uint64_t bytes);

/* True if the disk has room to start a task, which may use the reserve. */
bool serve_store_has_room(void);
/* True if a task may have found the disk or the quota full: the disk has less room than
 * the largest file of a task, or 1 MiB cannot be written. */
bool serve_store_is_short(void);

/* Bytes free on the disk, and the fraction in use, 0 to 1. */
void serve_store_disk_usage(uint64_t *free_bytes, double *used);

#endif
