/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/http/access_log.h"

#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "nst.h"
#include "serve/clock.h"
#include "serve/http/response.h"
#include "serve/log.h"
#include "serve/log_file.h"

#define MAX_WAITING_BYTES ((size_t)4 << 20)
#define WRITE_BYTES 65536         /* at once; less than a file */
#define PAUSE_US 20000            /* between writes, to write many lines at once */
#define CLIENT_CLOSED_REQUEST 499 /* no status was sent; the number is nginx's */

static struct {
    bool is_open;
    enum serve_access_format format;
    pthread_t writer;
    atomic_uint_least64_t dropped;
    pthread_mutex_t file_lock; /* protects file; taken before lock */
    struct serve_log_file file;
    pthread_mutex_t lock; /* protects the members below */
    pthread_cond_t not_empty;
    GString *waiting; /* whole lines */
    bool closing;
} access_log = {.file_lock = PTHREAD_MUTEX_INITIALIZER,
                .lock = PTHREAD_MUTEX_INITIALIZER,
                .not_empty = PTHREAD_COND_INITIALIZER};

bool serve_access_format_parse(const char *name, enum serve_access_format *format)
{
    static const char *const names[] = {"common", "combined", "json"};

    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) {
            *format = (enum serve_access_format)i;
            return true;
        }
    return false;
}

/* Write whole lines in parts that fit into a file. */
static void write_lines(const char *text, size_t size)
{
    pthread_mutex_lock(&access_log.file_lock);
    while (size > 0) {
        size_t n = MIN(size, WRITE_BYTES);

        while (n < size && text[n - 1] != '\n')
            n++;
        if (!serve_log_file_write(&access_log.file, text, n))
            for (size_t i = 0; i < n; i++)
                if (text[i] == '\n')
                    atomic_fetch_add(&access_log.dropped, 1);
        text += n;
        size -= n;
    }
    pthread_mutex_unlock(&access_log.file_lock);
}

static void *run_writer(void *unused)
{
    GString *lines = g_string_new(NULL), *empty;
    bool closing = false;

    (void)unused;
    while (!closing) {
        pthread_mutex_lock(&access_log.lock);
        while (access_log.waiting->len == 0 && !access_log.closing)
            pthread_cond_wait(&access_log.not_empty, &access_log.lock);
        closing = access_log.closing;
        empty = lines;
        lines = access_log.waiting;
        access_log.waiting = empty;
        pthread_mutex_unlock(&access_log.lock);
        write_lines(lines->str, lines->len);
        g_string_truncate(lines, 0);
        if (!closing)
            g_usleep(PAUSE_US);
    }
    g_string_free(lines, TRUE);
    return NULL;
}

bool serve_access_log_open(const char *path, enum serve_access_format format)
{
    if (!serve_log_file_open(&access_log.file, path))
        return false;
    access_log.format = format;
    access_log.waiting = g_string_new(NULL);
    errno = pthread_create(&access_log.writer, NULL, run_writer, NULL);
    access_log.is_open = errno == 0;
    return access_log.is_open;
}

void serve_access_log_close(void)
{
    if (!access_log.is_open)
        return;
    pthread_mutex_lock(&access_log.lock);
    access_log.closing = true;
    pthread_cond_signal(&access_log.not_empty);
    pthread_mutex_unlock(&access_log.lock);
    pthread_join(access_log.writer, NULL);
    access_log.is_open = false;
    g_string_free(access_log.waiting, TRUE);
    serve_log_file_close(&access_log.file);
}

void serve_access_log_reopen(void)
{
    int error = 0;

    if (!access_log.is_open)
        return;
    pthread_mutex_lock(&access_log.file_lock);
    if (!serve_log_file_reopen(&access_log.file))
        error = errno;
    pthread_mutex_unlock(&access_log.file_lock);
    if (error)
        serve_log(SERVE_ERROR, "cannot open the access log again: %s", strerror(error));
}

uint64_t serve_access_log_dropped(void)
{
    return atomic_load(&access_log.dropped);
}

void serve_access_begin(struct serve_access *a, const char *method, const char *path,
                        bool nul, const char *version)
{
    a->start = nst_clock_seconds();
    if (!access_log.is_open)
        return;
    a->time = time(NULL);
    a->method = g_strdup(method);
    a->path = nul ? g_strconcat(path, "%00", NULL) : g_strdup(path);
    a->version = g_strdup(version);
}

/* Append text between quotes as nginx does: quotes, backslashes, control characters and
 * bytes above 126 become \xHH, so that a line is always one line. At most n bytes. */
static void append_escaped(GString *s, const char *text, size_t n)
{
    for (const char *c = text; *c && n-- > 0; c++)
        if (*c < ' ' || *c > '~' || *c == '"' || *c == '\\')
            g_string_append_printf(s, "\\x%02X", (unsigned char)*c);
        else
            g_string_append_c(s, *c);
}

/* The bytes of a Referer without its query, which may contain a secret. */
static size_t referer_length(const char *referer)
{
    return strcspn(referer, "?#");
}

static const char *request_header(struct MHD_Connection *c, const char *name)
{
    const char *text = MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);

    return text ? text : "-";
}

static const char *or_dash(const char *text)
{
    return *text ? text : "-";
}

static void append_common(GString *s, const struct serve_access *a,
                          const struct serve_access_end *end, double seconds)
{
    char when[sizeof "DD/Mon/YYYY:hh:mm:ss +0000"];
    struct tm tm;

    strftime(when, sizeof when, "%d/%b/%Y:%H:%M:%S +0000", gmtime_r(&a->time, &tm));
    g_string_append_printf(s, "%s - %s [%s] \"", or_dash(end->identity->address),
                           or_dash(end->identity->owner), when);
    append_escaped(s, a->method, SIZE_MAX);
    g_string_append_c(s, ' ');
    append_escaped(s, a->path, SIZE_MAX);
    g_string_append_c(s, ' ');
    append_escaped(s, a->version, SIZE_MAX);
    g_string_append_printf(s, "\" %u ", end->status);
    if (end->size == SERVE_SIZE_UNKNOWN)
        g_string_append_c(s, '-');
    else
        g_string_append_printf(s, "%" PRIu64, end->size);
    if (access_log.format == SERVE_ACCESS_COMBINED) {
        const char *referer = request_header(end->connection, MHD_HTTP_HEADER_REFERER);

        g_string_append(s, " \"");
        append_escaped(s, referer, referer_length(referer));
        g_string_append(s, "\" \"");
        append_escaped(s, request_header(end->connection, MHD_HTTP_HEADER_USER_AGENT),
                       SIZE_MAX);
        g_string_append_c(s, '"');
    }
    g_string_append_printf(s, " %.6f\n", seconds);
}

/* Add the first n bytes of a text, which may not be UTF-8. */
static void set_text(json_t *j, const char *key, const char *text, size_t n)
{
    char *part = g_strndup(text, MIN(n, strlen(text))),
         *valid = g_utf8_make_valid(part, -1);

    json_object_set_new(j, key, json_string(valid));
    g_free(valid);
    g_free(part);
}

static void append_json(GString *s, const struct serve_access *a,
                        const struct serve_access_end *end, double seconds)
{
    const char *referer = request_header(end->connection, MHD_HTTP_HEADER_REFERER);
    char when[SERVE_TIME_SIZE], *text;
    struct tm tm;
    json_t *j = json_object();

    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&a->time, &tm));
    set_text(j, "time", when, SIZE_MAX);
    set_text(j, "address", or_dash(end->identity->address), SIZE_MAX);
    set_text(j, "owner", or_dash(end->identity->owner), SIZE_MAX);
    set_text(j, "method", a->method, SIZE_MAX);
    set_text(j, "path", a->path, SIZE_MAX);
    json_object_set_new(j, "status", json_integer(end->status));
    json_object_set_new(j, "bytes",
                        end->size == SERVE_SIZE_UNKNOWN
                            ? json_null()
                            : json_integer((json_int_t)end->size));
    json_object_set_new(j, "seconds", json_real(seconds));
    json_object_set_new(j, "complete", json_boolean(end->is_complete));
    set_text(j, "referer", referer, referer_length(referer));
    set_text(j, "user_agent",
             request_header(end->connection, MHD_HTTP_HEADER_USER_AGENT), SIZE_MAX);
    text = json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(6));
    g_string_append(s, text);
    g_string_append_c(s, '\n');
    free(text);
    json_decref(j);
}

static void queue_line(const GString *line)
{
    pthread_mutex_lock(&access_log.lock);
    if (access_log.waiting->len + line->len > MAX_WAITING_BYTES)
        atomic_fetch_add(&access_log.dropped, 1);
    else {
        if (access_log.waiting->len == 0)
            pthread_cond_signal(&access_log.not_empty);
        g_string_append_len(access_log.waiting, line->str, (gssize)line->len);
    }
    pthread_mutex_unlock(&access_log.lock);
}

void serve_access_finish(struct serve_access *a, const struct serve_access_end *end)
{
    double seconds = nst_clock_seconds() - a->start;
    struct serve_access_end sent = *end;
    GString *line;

    if (!a->path)
        return;
    if (sent.status == 0)
        sent = (struct serve_access_end){.connection = end->connection,
                                         .identity = end->identity,
                                         .status = CLIENT_CLOSED_REQUEST};
    else if (!sent.is_complete) /* nobody knows how much the client has got */
        sent.size = SERVE_SIZE_UNKNOWN;
    line = g_string_sized_new(256);
    if (access_log.format == SERVE_ACCESS_JSON)
        append_json(line, a, &sent, seconds);
    else
        append_common(line, a, &sent, seconds);
    queue_line(line);
    g_string_free(line, TRUE);
    g_free(a->method);
    g_free(a->path);
    g_free(a->version);
}
