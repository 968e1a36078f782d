/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/owners.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "serve/log.h"
#include "serve/store.h"

#define FOLDER "owners"
#define ORPHAN_SECONDS 3600 /* longer than any upload to another front end */

static const char *const picture_folders[] = {"uploads", "styles", "results"};
#define PICTURE_FOLDERS (sizeof picture_folders / sizeof *picture_folders)

static int64_t picture_bytes(const char *name)
{
    int64_t bytes = 0;

    for (size_t i = 0; i < PICTURE_FOLDERS; i++) {
        char *path = serve_store_path(picture_folders[i], name);
        struct stat st;

        if (path && stat(path, &st) == 0)
            bytes += st.st_size;
        free(path);
    }
    return bytes;
}

static void remove_orphan(void *ctx, const char *name)
{
    const time_t *before = ctx;
    char *path = serve_store_path(FOLDER, name);
    struct stat st;

    if (picture_bytes(name) == 0 && stat(path, &st) == 0 && st.st_mtime <= *before)
        unlink(path);
    free(path);
}

void serve_owners_open(const struct serve_settings *s)
{
    /* with a queue on Redis, another process may be about to store the picture */
    time_t before = time(NULL) - (s->queue ? ORPHAN_SECONDS : 0);

    serve_store_foreach(FOLDER, remove_orphan, &before);
}

bool serve_owner_sees(const struct serve_identity *who, const char *owner)
{
    return !who || who->is_operator || !owner || !*owner ||
           strcmp(who->owner, owner) == 0;
}

bool serve_owner_set(const char *picture, const char *owner, const char *party)
{
    char *path = *owner ? serve_store_path(FOLDER, picture) : NULL;
    char *text = nst_xasprintf("%s\n%s\n", owner, party);
    struct nst_atomic_file *file;
    enum nst_status st = NST_OK;
    struct nst_err err;
    int error;

    if (path) {
        st = nst_atomic_file_open(&file, path, &err);
        if (st == NST_OK) {
            st = nst_atomic_file_write(file, text, strlen(text), &err);
            if (st == NST_OK)
                st = nst_atomic_file_commit(file, &err);
            nst_atomic_file_free(file);
        }
    }
    error = errno;
    if (st != NST_OK)
        serve_log(SERVE_ERROR, "%s", err.text);
    free(text);
    free(path);
    errno = error;
    return st == NST_OK;
}

struct record {
    char owner[SERVE_MAX_OWNER + 1], party[SERVE_MAX_OWNER + INET6_ADDRSTRLEN];
};

/* Read a record; owner "": the picture has none. An invalid record is an operator's. */
static struct record read_record(const char *picture)
{
    struct record r = {"", ""};
    uint64_t size = 0;
    int fd = serve_store_open_file(FOLDER, picture, &size);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "r");

    if (!f)
        return r;
    if (fscanf(f, "%40[^\n]\n%80[^\n]", r.owner, r.party) < 1)
        strcpy(r.owner, "*");
    fclose(f);
    return r;
}

char *serve_owner_get(const char *picture)
{
    struct record r = read_record(picture);

    return *r.owner ? nst_xstrdup(r.owner) : NULL;
}

char *serve_owner_party(const char *picture)
{
    return nst_xstrdup(read_record(picture).party);
}

bool serve_owner_sees_picture(const struct serve_identity *who, const char *picture)
{
    struct record r;

    if (!who || who->is_operator)
        return true;
    r = read_record(picture);
    return serve_owner_sees(who, r.owner);
}

struct sum {
    const char *party;
    int64_t bytes;
};

static void add_bytes(void *ctx, const char *name)
{
    struct sum *s = ctx;
    struct record r = read_record(name);

    if (strcmp(r.party, s->party) == 0)
        s->bytes += picture_bytes(name);
}

int64_t serve_party_bytes(const char *party)
{
    struct sum s = {party, 0};

    serve_store_foreach(FOLDER, add_bytes, &s);
    return s.bytes;
}

/* Of a token; a visitor has none. */
static bool has_name(const struct serve_identity *who)
{
    return *who->owner && !strchr(who->owner, ':');
}

const char *serve_party(const struct serve_identity *who)
{
    return has_name(who) ? who->owner : who->address;
}

int64_t serve_party_share(const struct serve_identity *who,
                          const struct serve_settings *s)
{
    if (who->is_operator && has_name(who))
        return 0;
    return who->quota.waiting ? who->quota.waiting : s->max_queue_per_owner;
}
