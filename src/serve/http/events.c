/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/http/events.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "nst.h"

#define BLOCK_SIZE 1024 /* bytes of a read_stream() call */
#define RETRY_SECONDS 10

struct stream {
    char *id;
    serve_events_source *source;
    struct MHD_Connection *connection;
    unsigned version; /* of the last event sent */
    bool started, suspended, heartbeat, is_final;
    char *text; /* the event being sent; sent of size bytes are out */
    size_t sent, size;
};

static struct {
    pthread_mutex_t lock;
    GHashTable *streams;
    bool shutting_down;
} events = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void set_text(struct stream *s, char *text)
{
    free(s->text);
    s->text = text;
    s->sent = 0;
    s->size = strlen(text);
}

/* Prepare the next text to send. False if there is none. */
static bool next_event(struct stream *s)
{
    unsigned version = 0;
    bool is_final = false;
    json_t *j = s->source(s->id, &version, &is_final);
    char *text;

    if (!j && errno == ENOENT) { /* gone */
        s->is_final = true;
        set_text(s, nst_xstrdup("event: gone\ndata: {}\n\n"));
        return true;
    }
    if (!j || (s->started && s->version == version)) { /* unreachable, or unchanged */
        json_decref(j);
        if (s->heartbeat)
            set_text(s, nst_xstrdup(":\n\n"));
        return s->heartbeat;
    }
    text = json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(15));
    set_text(s, nst_xasprintf("%sid: %u\ndata: %s\n\n",
                              s->started ? "" : "retry: 2000\n", version, text));
    free(text);
    json_decref(j);
    s->started = true;
    s->version = version;
    s->is_final = is_final;
    return true;
}

/* MHD_ContentReaderCallback */
static ssize_t read_stream(void *cls, uint64_t pos, char *buffer, size_t max)
{
    struct stream *s = cls;
    ssize_t n = 0;

    (void)pos;
    pthread_mutex_lock(&events.lock);
    if (s->sent == s->size && (s->is_final || events.shutting_down))
        n = MHD_CONTENT_READER_END_OF_STREAM;
    else if (s->sent < s->size || next_event(s)) {
        n = (ssize_t)(s->size - s->sent < max ? s->size - s->sent : max);
        memcpy(buffer, s->text + s->sent, (size_t)n);
        s->sent += (size_t)n;
        s->heartbeat = false;
    } else {
        s->suspended = true;
        MHD_suspend_connection(s->connection);
    }
    pthread_mutex_unlock(&events.lock);
    return n;
}

/* MHD_ContentReaderFreeCallback */
static void free_stream(void *cls)
{
    struct stream *s = cls;

    pthread_mutex_lock(&events.lock);
    g_hash_table_remove(events.streams, s);
    pthread_mutex_unlock(&events.lock);
    free(s->text);
    free(s->id);
    free(s);
}

struct serve_response serve_events(struct MHD_Connection *c, const char *id,
                                   serve_events_source *source, size_t max_streams)
{
    struct stream *s = nst_xcalloc(1, sizeof *s);
    struct MHD_Response *r;
    bool has_room;

    *s = (struct stream){.id = nst_xstrdup(id), .source = source, .connection = c};
    pthread_mutex_lock(&events.lock);
    if (!events.streams)
        events.streams = g_hash_table_new(NULL, NULL);
    has_room = g_hash_table_size(events.streams) < max_streams;
    if (has_room)
        g_hash_table_add(events.streams, s);
    pthread_mutex_unlock(&events.lock);
    if (!has_room) { /* the other connections are for other requests */
        free(s->id);
        free(s);
        return serve_response_because(
            SERVE_REASON_BUSY,
            serve_response_retry_after(
                MHD_HTTP_SERVICE_UNAVAILABLE, RETRY_SECONDS,
                "%zu event streams are open already: try again later", max_streams));
    }
    r = serve_response_add_headers(
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_SIZE, read_stream, s,
                                          free_stream),
        "text/event-stream");
    MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(r, "X-Accel-Buffering", "no"); /* nginx */
    return (struct serve_response){
        .status = MHD_HTTP_OK, .mhd = r, .size = SERVE_SIZE_UNKNOWN};
}

/* Resume the suspended streams of a task; id NULL: of all tasks. */
static void resume_streams(const char *id, bool heartbeat)
{
    GHashTableIter iter;
    gpointer p;

    pthread_mutex_lock(&events.lock);
    if (events.streams) {
        g_hash_table_iter_init(&iter, events.streams);
        while (g_hash_table_iter_next(&iter, &p, NULL)) {
            struct stream *s = p;

            if (!s->suspended || (id && strcmp(s->id, id) != 0))
                continue;
            s->suspended = false;
            s->heartbeat = heartbeat;
            MHD_resume_connection(s->connection);
        }
    }
    pthread_mutex_unlock(&events.lock);
}

void serve_events_changed(const char *id)
{
    resume_streams(id, false);
}

void serve_events_heartbeat(void)
{
    resume_streams(NULL, true);
}

void serve_events_shutdown(void)
{
    pthread_mutex_lock(&events.lock);
    events.shutting_down = true;
    pthread_mutex_unlock(&events.lock);
    resume_streams(NULL, false);
}
