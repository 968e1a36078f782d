/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/log.h"

#include <errno.h>
#include <glib.h>
#include <jansson.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "nst.h"
#include "serve/clock.h"
#include "serve/log_file.h"

#define MAX_LINE 2048

static struct {
    pthread_mutex_t lock;
    struct serve_log_file file; /* path NULL: standard error */
    bool json;
} logger = {.lock = PTHREAD_MUTEX_INITIALIZER};

bool serve_log_open(const char *path, bool json)
{
    logger.json = json;
    return !path || serve_log_file_open(&logger.file, path);
}

void serve_log_close(void)
{
    serve_log_file_close(&logger.file);
}

void serve_log_reopen(void)
{
    int error = 0;

    pthread_mutex_lock(&logger.lock);
    if (logger.file.path && !serve_log_file_reopen(&logger.file))
        error = errno;
    pthread_mutex_unlock(&logger.lock);
    if (error)
        serve_log(SERVE_ERROR, "cannot open %s again: %s", logger.file.path,
                  strerror(error));
}

/* Replaces control characters, which would let a client forge lines. */
static void clean(char *text)
{
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
}

/* A JSON object as a line; fields, or NULL, is taken over and added. */
static char *json_line(const char *when, const char *level, const char *text,
                       json_t *fields)
{
    char *valid = g_utf8_make_valid(text, -1), *s;
    json_t *j =
        json_pack("{s:s, s:s, s:s}", "time", when, "level", level, "message", valid);

    if (fields)
        json_object_update(j, fields);
    s = json_dumps(j, JSON_COMPACT);
    json_decref(j);
    json_decref(fields);
    g_free(valid);
    return s;
}

/* Write a line; fields, or NULL, is taken over. */
static void write_line(enum serve_level level, const char *text, json_t *fields)
{
    static const char *const level_names[] = {"info", "warning", "error"};
    char when[SERVE_TIME_SIZE], *line, *whole;

    serve_time_text(when);
    if (logger.json)
        line = json_line(when, level_names[level], text, fields);
    else {
        json_decref(fields);
        line = logger.file.path
                   ? nst_xasprintf("%s %s: %s", when, level_names[level], text)
                   : nst_xasprintf("nst-serve: %s%s%s", level ? level_names[level] : "",
                                   level ? ": " : "", text);
    }
    whole = nst_xasprintf("%s\n", line);
    pthread_mutex_lock(&logger.lock);
    if (logger.file.path)
        serve_log_file_write(&logger.file, whole, strlen(whole));
    else
        fputs(whole, stderr); /* not buffered */
    pthread_mutex_unlock(&logger.lock);
    free(whole);
    free(line);
}

void serve_log(enum serve_level level, const char *fmt, ...)
{
    char text[MAX_LINE];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    clean(text);
    write_line(level, text, NULL);
}

void serve_log_change(const char *what, const char *id, const char *owner,
                      const char *address)
{
    char text[MAX_LINE], *valid_id = g_utf8_make_valid(id, -1);

    owner = owner && *owner ? owner : "-";
    address = address && *address ? address : "-";
    snprintf(text, sizeof text, "change: %s: %s owner=%s address=%s", what, id, owner,
             address);
    clean(text);
    write_line(SERVE_INFO, text,
               json_pack("{s:s, s:s, s:s, s:s}", "change", what, "id", valid_id,
                         "owner", owner, "address", address));
    g_free(valid_id);
}
