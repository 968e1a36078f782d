/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/sides.h"

#include <glib.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nst.h"
#include "serve/sandbox.h"

#define READ_SECONDS 5
#define READ_MEMORY ((size_t)2 << 30)
#define MAX_KNOWN 4096

struct sides {
    int width, height, frames;
    ino_t inode; /* of the file that has them: a style's file may be replaced */
    struct timespec changed;
};

static struct {
    pthread_mutex_t lock;
    GHashTable *known; /* path -> struct sides */
} sides = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool find(const char *path, const struct stat *st, struct sides *out)
{
    const struct sides *s;
    bool found;

    pthread_mutex_lock(&sides.lock);
    s = sides.known ? g_hash_table_lookup(sides.known, path) : NULL;
    found = s && s->inode == st->st_ino && s->changed.tv_sec == st->st_mtim.tv_sec &&
            s->changed.tv_nsec == st->st_mtim.tv_nsec;
    if (found)
        *out = *s;
    pthread_mutex_unlock(&sides.lock);
    return found;
}

static void remember(const char *path, const struct sides *s)
{
    pthread_mutex_lock(&sides.lock);
    if (!sides.known)
        sides.known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    if (g_hash_table_size(sides.known) >= MAX_KNOWN)
        g_hash_table_remove_all(sides.known);
    g_hash_table_replace(sides.known, g_strdup(path), g_memdup2(s, sizeof *s));
    pthread_mutex_unlock(&sides.lock);
}

static bool ask_child(const char *path, struct sides *out)
{
    const struct serve_sandbox_limits limits = {.memory = READ_MEMORY,
                                                .seconds = READ_SECONDS,
                                                .inputs =
                                                    (const char *const[]){path, NULL}};
    char self[PATH_MAX], *text = NULL;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    bool read;

    self[n < 0 ? 0 : n] = 0;
    read = serve_sandbox_run((const char *const[]){self, "--sides", path, NULL},
                             &limits, READ_SECONDS, &text, NULL) == 0 &&
           sscanf(text, "%d %d %d", &out->width, &out->height, &out->frames) == 3 &&
           out->width > 0 && out->height > 0 && out->frames > 0;
    free(text);
    return read;
}

static bool look_up(const char *path, struct sides *s)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return false;
    if (find(path, &st, s))
        return true;
    *s = (struct sides){.inode = st.st_ino, .changed = st.st_mtim};
    if (!ask_child(path, s))
        return false;
    remember(path, s);
    return true;
}

bool serve_sides_read(const char *path, int *width, int *height)
{
    struct sides s;

    if (!look_up(path, &s))
        return false;
    *width = s.width;
    *height = s.height;
    return true;
}

int serve_sides_frames(const char *path)
{
    struct sides s;

    return look_up(path, &s) ? s.frames : 0;
}

void serve_sides_close(void)
{
    if (sides.known)
        g_hash_table_destroy(sides.known);
    sides.known = NULL;
}

int serve_sides_print(const char *path)
{
    const struct nst_picture_size size = {.header_only = true};
    struct nst_picture *p = NULL;
    struct nst_err err;
    enum nst_status st = nst_picture_init("nst-serve", &err);

    if (st == NST_OK)
        st = nst_picture_load(&p, path, &size, &err);
    if (st == NST_OK)
        printf("%d %d %d\n", p->width, p->height, p->frames);
    else
        fprintf(stderr, "nst-serve: %s\n", err.text);
    nst_picture_free(p);
    nst_picture_shutdown();
    return st == NST_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
