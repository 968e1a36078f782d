/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/queue/spent.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "serve/clock.h"
#include "serve/log.h"
#include "serve/store.h"

#define FILE_NAME "spent"
#define SECONDS_OF_DAY 86400

static struct {
    json_t *work; /* by party */
    int64_t day;
} spent;

int64_t serve_spent_day(void)
{
    return (int64_t)serve_now() / SECONDS_OF_DAY;
}

void serve_spent_open(void)
{
    char *path = serve_store_path(".", FILE_NAME);
    json_t *j = json_load_file(path, 0, NULL);
    json_t *work = json_object_get(j, "work");

    spent.day = json_integer_value(json_object_get(j, "day"));
    spent.work = json_is_object(work) ? json_incref(work) : json_object();
    json_decref(j);
    free(path);
}

void serve_spent_close(void)
{
    json_decref(spent.work);
    spent.work = NULL;
}

/* Forget the work of another day. */
static void update_day(void)
{
    int64_t day = serve_spent_day();

    if (day != spent.day)
        json_object_clear(spent.work);
    spent.day = day;
}

int64_t serve_spent_get(const char *party)
{
    update_day();
    return json_integer_value(json_object_get(spent.work, party));
}

bool serve_spent_add(const char *party, int64_t work)
{
    int64_t sum = serve_spent_get(party) + work;
    enum nst_status st;
    struct nst_err err;
    json_t *j;
    int error;

    json_object_set_new(spent.work, party, json_integer(sum));
    j = json_pack("{s:I, s:O}", "day", (json_int_t)spent.day, "work", spent.work);
    st = serve_store_write(".", FILE_NAME, j, &err);
    error = errno;
    json_decref(j);
    if (st != NST_OK)
        serve_log(SERVE_ERROR, "%s", err.text);
    errno = error;
    return st == NST_OK;
}
