/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/queue/redis_task.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "serve/queue/redis.h"
#include "serve/queue/redis_scripts.h"
#include "serve/store.h"

#define RETRY_SECONDS "60" /* until the next attempt to remove files */

const char *serve_redis_who(const struct serve_identity *who)
{
    return !who || who->is_operator ? SERVE_REDIS_ALL : who->owner;
}

bool serve_redis_is(const redisReply *r, const char *text)
{
    return r && r->type == REDIS_REPLY_STRING && strcmp(r->str, text) == 0;
}

static void set_number(json_t *j, const char *key, double v)
{
    if (isfinite(v))
        json_object_set_new(j, key, json_real(v));
}

char *serve_progress_text(const struct serve_progress *progress)
{
    json_t *j = json_pack("{s:I, s:I, s:I}", "done", (json_int_t)progress->done,
                          "total", (json_int_t)progress->total, "preview",
                          (json_int_t)progress->preview);
    char *text;

    if (progress->frame > 0)
        json_object_set_new(j, "frame", json_integer((json_int_t)progress->frame));
    set_number(j, "content_loss", progress->content_loss);
    set_number(j, "style_loss", progress->style_loss);
    set_number(j, "eta", progress->eta);
    text = json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(15));
    json_decref(j);
    return text;
}

bool serve_task_from_row(struct serve_task *t, const redisReply *row)
{
    const char *text[6];
    json_t *record, *step;

    if (row->type != REDIS_REPLY_ARRAY || row->elements < 6)
        return false;
    for (int i = 0; i < 6; i++)
        text[i] =
            row->element[i]->type == REDIS_REPLY_STRING ? row->element[i]->str : NULL;
    if (!text[0] || !serve_task_is_valid_id(text[0]) ||
        serve_state_parse(text[1]) == SERVE_STATES || !text[2] || !text[3] || !text[4])
        return false;
    record = json_loads(text[4], 0, NULL);
    if (!serve_task_is_valid_record(record)) {
        json_decref(record);
        return false;
    }
    step = text[5] ? json_loads(text[5], 0, NULL) : NULL;
    *t = (struct serve_task){.state = serve_state_parse(text[1]),
                             .attempts = (unsigned)strtoul(text[2], NULL, 10),
                             .version = (unsigned)strtoul(text[3], NULL, 10),
                             .record = record,
                             .progress = serve_progress_parse(step, "eta")};
    if (row->elements == 8) { /* with its place */
        t->position = (unsigned)row->element[6]->integer;
        t->waiting = (unsigned)row->element[7]->integer;
    }
    json_decref(step);
    memcpy(t->id, text[0], sizeof t->id);
    return true;
}

void serve_redis_cleanup_task(const char *id)
{
    redisReply *r = serve_task_is_valid_id(id)
                        ? serve_redis_eval(serve_script_get, id, SERVE_REDIS_ALL, NULL)
                        : NULL;
    bool known = r && r->type == REDIS_REPLY_ARRAY && r->elements > 1;
    const char *name = known ? r->element[1]->str : "";
    enum serve_state state = serve_state_parse(name);

    if (r && (!known || serve_state_is_final(state))) {
        bool removed = serve_store_remove_work_dir(id);

        if (state != SERVE_COMPLETED)
            serve_task_remove_result(id);
        freeReplyObject(serve_redis_eval(serve_script_cleanup_done, id, name,
                                         removed ? "" : RETRY_SECONDS, NULL));
    }
    freeReplyObject(r);
}

void serve_redis_cleanup(void)
{
    redisReply *r = serve_redis_eval(serve_script_cleanup_due, NULL);

    for (size_t i = 0; r && r->type == REDIS_REPLY_ARRAY && i < r->elements; i++)
        serve_redis_cleanup_task(r->element[i]->str);
    freeReplyObject(r);
}
