/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/events.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "nst.h"
#include "serve/tasks.h"

#define BLOCK 1024 /* of the reader */
#define RETRY_SECONDS 10

struct stream {
    char id[SERVE_TASK_ID + 1];
    struct MHD_Connection *connection;
    unsigned version; /* the last that was told */
    bool begun, waiting, beat, last;
    char *text; /* what is being sent, and how far that is */
    size_t at, size;
};

static struct {
    pthread_mutex_t lock;
    GHashTable *streams;
    bool ending;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void say(struct stream *s, char *text)
{
    free(s->text);
    s->text = text;
    s->at = 0;
    s->size = strlen(text);
}

/* Find something to send. False if there is nothing new. */
static bool find(struct stream *s)
{
    unsigned version;
    bool over;
    json_t *j = serve_tasks_progress(s->id, &version, &over);
    char *text;

    if (!j && errno != ENOENT) { /* the queue is away, and will be back */
        if (s->beat)
            say(s, nst_xstrdup(":\n\n"));
        return s->beat;
    }
    if (!j) { /* it was forgotten */
        s->last = true;
        say(s, nst_xstrdup("event: gone\ndata: {}\n\n"));
        return true;
    }
    if (s->begun && s->version == version) {
        json_decref(j);
        if (s->beat)
            say(s, nst_xstrdup(":\n\n"));
        return s->beat;
    }
    text = json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(15));
    say(s, nst_xasprintf("%sid: %u\ndata: %s\n\n", s->begun ? "" : "retry: 2000\n",
                         version, text));
    free(text);
    json_decref(j);
    s->begun = true;
    s->version = version;
    s->last = over;
    return true;
}

/* MHD_ContentReaderCallback */
static ssize_t read_some(void *cls, uint64_t pos, char *buffer, size_t most)
{
    struct stream *s = cls;
    ssize_t n = 0;

    (void)pos;
    pthread_mutex_lock(&all.lock);
    if (s->at == s->size && (s->last || all.ending))
        n = MHD_CONTENT_READER_END_OF_STREAM;
    else if (s->at < s->size || find(s)) {
        n = (ssize_t)(s->size - s->at < most ? s->size - s->at : most);
        memcpy(buffer, s->text + s->at, (size_t)n);
        s->at += (size_t)n;
        s->beat = false;
    } else {
        s->waiting = true;
        MHD_suspend_connection(s->connection);
    }
    pthread_mutex_unlock(&all.lock);
    return n;
}

/* MHD_ContentReaderFreeCallback */
static void end(void *cls)
{
    struct stream *s = cls;

    pthread_mutex_lock(&all.lock);
    g_hash_table_remove(all.streams, s);
    pthread_mutex_unlock(&all.lock);
    free(s->text);
    free(s);
}

/* False if there are too many already: they have no end, and others want to be
 * answered, too. */
static bool add(struct stream *s, size_t most)
{
    bool room;

    pthread_mutex_lock(&all.lock);
    if (!all.streams)
        all.streams = g_hash_table_new(NULL, NULL);
    room = g_hash_table_size(all.streams) < most;
    if (room)
        g_hash_table_add(all.streams, s);
    pthread_mutex_unlock(&all.lock);
    return room;
}

struct serve_answer serve_events(struct MHD_Connection *c, const char *id, size_t most)
{
    struct stream *s;
    struct MHD_Response *r;
    json_t *j = serve_tasks_progress(id, NULL, NULL);

    if (!j)
        return errno == ENOENT ? serve_answer_error(MHD_HTTP_NOT_FOUND,
                                                    "task: '%.64s' is not known", id)
                               : serve_answer_away();
    json_decref(j);
    s = nst_xcalloc(1, sizeof *s);
    s->connection = c;
    memcpy(s->id, id, strnlen(id, SERVE_TASK_ID));
    if (!add(s, most)) {
        free(s);
        return serve_answer_later(MHD_HTTP_SERVICE_UNAVAILABLE, RETRY_SECONDS,
                                  "%zu event streams are open already: try again later",
                                  most);
    }
    r = serve_response(
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_some, s, end),
        "text/event-stream");
    MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(r, "X-Accel-Buffering", "no"); /* nginx */
    return (struct serve_answer){MHD_HTTP_OK, r};
}

/* Those of that task, or all of them, go on. */
static void wake(const char *id, bool beat)
{
    GHashTableIter at;
    gpointer p;

    pthread_mutex_lock(&all.lock);
    if (all.streams) {
        g_hash_table_iter_init(&at, all.streams);
        while (g_hash_table_iter_next(&at, &p, NULL)) {
            struct stream *s = p;

            if (!s->waiting || (id && strcmp(s->id, id) != 0))
                continue;
            s->waiting = false;
            s->beat = beat;
            MHD_resume_connection(s->connection);
        }
    }
    pthread_mutex_unlock(&all.lock);
}

void serve_events_changed(const char *id)
{
    wake(id, false);
}

void serve_events_beat(void)
{
    wake(NULL, true);
}

void serve_events_end(void)
{
    pthread_mutex_lock(&all.lock);
    all.ending = true;
    pthread_mutex_unlock(&all.lock);
    wake(NULL, false);
}
