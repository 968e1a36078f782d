/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/share_picture.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nst.h"
#include "serve/sandbox.h"
#include "serve/store.h"

#define SIDE 1200  /* pixels: what messengers show at most */
#define QUALITY 84 /* of the JPEG; some messengers take no more than 600 kB */
#define SECONDS 20 /* of CPU time; results are the service's own */
#define WALL_FACTOR 2
#define MEMORY (SERVE_ADDRESS_OVERHEAD + ((size_t)2 << 30))
#define WRITE_FAILED 3 /* exit status: cannot write */

enum serve_share_made serve_share_picture_make(struct serve_share_picture *p,
                                               const char *path)
{
    char *folder = serve_store_new_work_dir(&p->job, &p->lock), *text = NULL;
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    const struct serve_sandbox_limits limits = {.memory = MEMORY,
                                                .seconds = SECONDS,
                                                .folder = folder,
                                                .inputs =
                                                    (const char *const[]){path, NULL}};
    int status;

    p->path = nst_xasprintf("%s/picture.jpg", folder ? folder : "");
    if (!folder)
        return SERVE_SHARE_NO_SPACE;
    self[n < 0 ? 0 : n] = 0;
    status = serve_sandbox_run(
        (const char *const[]){self, "--share-picture", path, p->path, NULL}, &limits,
        WALL_FACTOR * SECONDS, &text, NULL);
    if (status == 0 && sscanf(text, "%d %d", &p->width, &p->height) != 2)
        status = W_EXITCODE(1, 0);
    free(text);
    free(folder);
    if (status == 0)
        return SERVE_SHARE_MADE;
    return WIFEXITED(status) && WEXITSTATUS(status) == WRITE_FAILED
               ? SERVE_SHARE_NO_SPACE
               : SERVE_SHARE_FAILED;
}

void serve_share_picture_clear(struct serve_share_picture *p)
{
    serve_store_remove_work_dir(p->job);
    if (p->lock >= 0)
        close(p->lock);
    free(p->job);
    free(p->path);
}

static enum nst_status write_jpeg(const char *path, const struct nst_picture *p,
                                  struct nst_err *err)
{
    struct nst_output *o;
    enum nst_status st = nst_output_open(&o, path, NULL, err);

    if (st != NST_OK)
        return st;
    nst_output_set_quality(o, QUALITY);
    nst_output_set_metadata(o, NST_METADATA_NONE);
    st = nst_output_write(o, p, p->rgb, NULL, err);
    nst_output_free(o);
    return st;
}

/* The longest side for a picture; that of a panorama may exceed SIDE, so that the other
 * one is not too short. 0: as it is. */
static int longest_side(int width, int height)
{
    int longest = width > height ? width : height;
    int shortest = width > height ? height : width;
    int least = (NST_PICTURE_MIN_SIDE * longest + shortest - 1) / shortest;
    int limit = least > SIDE ? least : SIDE;

    return longest > limit ? limit : 0;
}

static enum nst_status read_picture(struct nst_picture **p, const char *in,
                                    struct nst_err *err)
{
    struct nst_picture_size size = {.header_only = true};
    enum nst_status st = nst_picture_load(p, in, &size, err);

    if (st != NST_OK)
        return st;
    size =
        (struct nst_picture_size){.longest = longest_side((*p)->width, (*p)->height)};
    nst_picture_free(*p);
    *p = NULL;
    return nst_picture_load(p, in, &size, err);
}

int serve_share_picture_child(const char *in, const char *out)
{
    struct nst_picture *p = NULL;
    struct nst_err err;
    int failure = EXIT_FAILURE;
    enum nst_status st = nst_picture_init("nst-serve", &err);

    if (st == NST_OK)
        st = read_picture(&p, in, &err);
    if (st == NST_OK) {
        st = write_jpeg(out, p, &err);
        failure = WRITE_FAILED;
    }
    if (st == NST_OK)
        printf("%d %d\n", p->width, p->height);
    else
        fprintf(stderr, "nst-serve: %s\n", err.text);
    nst_picture_free(p);
    nst_picture_shutdown();
    return st == NST_OK ? EXIT_SUCCESS : failure;
}
