/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/log.h"

#include <glib.h>
#include <jansson.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "nst.h"
#include "serve/clock.h"

#define MAX_FILE_BYTES 10000000
#define MAX_FILES 5
#define MAX_LINE 2048

static struct {
    pthread_mutex_t lock;
    FILE *file; /* NULL: standard error */
    char *path;
    long size;
    bool json;
} logger = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool open_file(void)
{
    struct stat st;

    logger.file = fopen(logger.path, "ae");
    logger.size =
        logger.file && fstat(fileno(logger.file), &st) == 0 ? (long)st.st_size : 0;
    return logger.file != NULL;
}

bool serve_log_open(const char *path, bool json)
{
    logger.json = json;
    if (!path)
        return true;
    logger.path = nst_xstrdup(path);
    return open_file();
}

void serve_log_close(void)
{
    if (logger.file)
        fclose(logger.file);
    logger.file = NULL;
    free(logger.path);
    logger.path = NULL;
}

/* FILE becomes FILE.1, FILE.1 becomes FILE.2, and the last one is removed. */
static void rotate(void)
{
    fclose(logger.file);
    for (int i = MAX_FILES - 1; i > 0; i--) {
        char *to = nst_xasprintf("%s.%d", logger.path, i);
        char *from = i > 1 ? nst_xasprintf("%s.%d", logger.path, i - 1)
                           : nst_xstrdup(logger.path);

        rename(from, to); /* may not exist */
        free(from);
        free(to);
    }
    open_file();
}

static char *json_line(const char *time, const char *level, const char *text)
{
    char *valid = g_utf8_make_valid(text, -1), *s;
    json_t *j =
        json_pack("{s:s, s:s, s:s}", "time", time, "level", level, "message", valid);

    s = json_dumps(j, JSON_COMPACT);
    json_decref(j);
    g_free(valid);
    return s;
}

void serve_log(enum serve_level level, const char *fmt, ...)
{
    static const char *const level_names[] = {"info", "warning", "error"};
    char text[MAX_LINE], when[SERVE_TIME_SIZE], *line;
    va_list ap;
    FILE *to;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (char *c = text; *c; c++) /* prevents log injection by clients */
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    serve_time_text(when);
    line = logger.json ? json_line(when, level_names[level], text)
           : logger.path
               ? nst_xasprintf("%s %s: %s", when, level_names[level], text)
               : nst_xasprintf("nst-serve: %s%s%s", level ? level_names[level] : "",
                               level ? ": " : "", text);
    pthread_mutex_lock(&logger.lock);
    if (logger.file && logger.size > MAX_FILE_BYTES - MAX_LINE)
        rotate();
    to = logger.file ? logger.file : stderr;
    logger.size += fprintf(to, "%s\n", line);
    fflush(to);
    pthread_mutex_unlock(&logger.lock);
    free(line);
}
