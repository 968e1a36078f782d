/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/queue/task.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nst.h"
#include "serve/clock.h"
#include "serve/film.h"
#include "serve/hooks.h"
#include "serve/log.h"
#include "serve/owners.h"
#include "serve/pictures.h"
#include "serve/request.h"
#include "serve/share_store.h"
#include "serve/store.h"

const char *const serve_state_names[SERVE_STATES] = {"queued", "running", "completed",
                                                     "failed", "cancelled"};

const struct serve_progress serve_progress_unknown = {
    .content_loss = NAN, .style_loss = NAN, .eta = NAN, .seconds = NAN};

void serve_task_create(json_t *record, const struct serve_identity *who,
                       char id[SERVE_TASK_ID_LENGTH + 1])
{
    char *name = serve_store_new_name("");

    memcpy(id, name, SERVE_TASK_ID_LENGTH + 1);
    free(name);
    json_object_set_new(record, "created", json_real(serve_now()));
    if (*who->owner)
        json_object_set_new(record, "owner", json_string(who->owner));
    json_object_set_new(record, "party", json_string(serve_party(who)));
    if (who->quota.running)
        json_object_set_new(record, "max_running", json_integer(who->quota.running));
}

const char *serve_task_party(const struct serve_task *t)
{
    const char *party = serve_task_text(t, "party");

    return party ? party : "";
}

bool serve_task_seen_by(const struct serve_task *t, const struct serve_identity *who)
{
    return serve_owner_sees(who, serve_task_text(t, "owner"));
}

double serve_task_age(const struct serve_task *t)
{
    double created = json_number_value(json_object_get(t->record, "created"));

    return fmax(serve_now() - created, 0); /* the clock may have been set back */
}

bool serve_task_is_valid_id(const char *id)
{
    return strlen(id) == SERVE_TASK_ID_LENGTH &&
           strspn(id, "0123456789abcdef") == SERVE_TASK_ID_LENGTH;
}

enum serve_state serve_state_parse(const char *name)
{
    int i = 0;

    while (i < SERVE_STATES && !(name && strcmp(name, serve_state_names[i]) == 0))
        i++;
    return (enum serve_state)i;
}

bool serve_state_is_final(enum serve_state state)
{
    return state != SERVE_QUEUED && state != SERVE_RUNNING;
}

bool serve_task_is_valid_record(json_t *record)
{
    const char *content, *style, *result = NULL;
    json_t *styles, *options;

    return json_unpack(record, "{s:s, s:s, s:o, s:o, s?s}", "content_img", &content,
                       "style_img", &style, "styles", &styles, "options", &options,
                       "output_img", &result) == 0 &&
           json_is_array(styles) && json_is_object(options) &&
           serve_store_is_valid_name(content) &&
           (!result || serve_store_is_valid_name(result));
}

const char *serve_task_text(const struct serve_task *t, const char *key)
{
    return json_string_value(json_object_get(t->record, key));
}

static void set_text(json_t *j, const char *key, const char *value)
{
    json_t *text = value ? json_string(value) : NULL;

    if (value && !text) /* not UTF-8 */
        text = json_string("?");
    json_object_set_new(j, key, text ? text : json_null());
}

char *serve_task_result_path(const char *id, const json_t *record, char **name)
{
    *name = nst_xasprintf("%s%s", id, serve_film_result_extension(record));
    return serve_store_path("results", *name);
}

char *serve_task_result_name(const char *id)
{
    return serve_picture_find("results", id);
}

static int open_result(const char *id, char *name, uint64_t *size)
{
    char *found = serve_task_result_name(id);

    if (!found)
        return -1;
    g_strlcpy(name, found, SERVE_TASK_NAME_SIZE);
    free(found);
    return serve_store_open_file("results", name, size);
}

/* The result, or else the preview in the work directory. That is removed when the task
 * ends: if this happens between the two attempts, the result exists now. */
int serve_task_open_preview(const char *id, char *name, uint64_t *size)
{
    char *folder, *path;
    int fd;

    if (!serve_task_is_valid_id(id))
        return -1;
    fd = open_result(id, name, size);
    if (fd >= 0)
        return fd;
    folder = serve_store_path("work", id);
    path = nst_xasprintf("%s/" SERVE_PREVIEW_FILE, folder);
    fd = serve_file_open(path, size);
    free(path);
    free(folder);
    if (fd < 0)
        return open_result(id, name, size);
    snprintf(name, SERVE_TASK_NAME_SIZE, "%s.jpg", id);
    return fd;
}

void serve_task_remove_result(const char *id)
{
    char *name = serve_task_result_name(id), *figures = nst_xasprintf("%s.json", id);

    serve_share_remove(id);
    if (name)
        serve_store_remove_picture("results", name);
    serve_store_remove("quality", figures);
    free(figures);
    free(name);
}

static json_t *number_or_null(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *or_null(json_t *v)
{
    return v ? json_incref(v) : json_null();
}

/* The latest loss of a running task, or the final one. */
static json_t *loss(const struct serve_task *t, const char *key, double latest)
{
    return t->state == SERVE_RUNNING ? number_or_null(latest)
                                     : or_null(json_object_get(t->record, key));
}

/* The path of the result in a folder of URLs, or null. */
static json_t *output_url(const struct serve_task *t, const char *folder)
{
    const char *name = serve_task_text(t, "output_img");

    return name ? serve_url(folder, name) : json_null();
}

/* Add what progress and history have in common. */
static void add_outcome(json_t *j, const struct serve_task *t)
{
    json_object_set_new(j, "output_img", output_url(t, "history"));
    json_object_set_new(j, "output_url", output_url(t, "results"));
    json_object_set_new(j, "request", serve_request_json(t->record));
}

/* Why a queued task does not start. */
static json_t *message(const struct serve_task *t)
{
    bool waits = t->state == SERVE_QUEUED && (t->no_space || !serve_store_has_room());

    return waits ? json_string("waiting for disk space") : json_null();
}

json_t *serve_task_progress_json(const struct serve_task *t)
{
    const struct serve_progress *p = &t->progress;
    bool is_running = t->state == SERVE_RUNNING && p->total > 0;
    json_int_t total = is_running
                           ? (json_int_t)p->total
                           : json_integer_value(json_object_get(t->record, "steps"));
    const json_t *stopped_at = json_object_get(t->record, "stopped_at_step");
    json_int_t done = stopped_at                    ? json_integer_value(stopped_at)
                      : t->state == SERVE_COMPLETED ? total
                      : is_running                  ? (json_int_t)p->done
                                                    : 0;
    json_t *j =
        json_pack("{s:s, s:s, s:I, s:I, s:f, s:o, s:o, s:o, s:i}", "task_id", t->id,
                  "status", serve_state_names[t->state], "progress", done, "total",
                  total, "percent", total ? 100.0 * (double)done / (double)total : 0.0,
                  "content_loss", loss(t, "content_loss", p->content_loss),
                  "style_loss", loss(t, "style_loss", p->style_loss), "eta_seconds",
                  is_running ? number_or_null(p->eta) : json_null(), "attempts",
                  (int)t->attempts);
    static const char *const keys[] = {"error", "content_img",     "style_img",
                                       "owner", "stopped_at_step", "frames"};
    bool waits = t->state == SERVE_QUEUED && t->position > 0;

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        json_object_set_new(j, keys[i], or_null(json_object_get(t->record, keys[i])));
    json_object_set_new(j, "position", waits ? json_integer(t->position) : json_null());
    json_object_set_new(j, "waiting", waits ? json_integer(t->waiting) : json_null());
    json_object_set_new(j, "message", message(t));
    json_object_set_new(j, "preview_step",
                        is_running && p->preview > 0 ? json_integer(p->preview)
                                                     : json_null());
    json_object_set_new(j, "frame",
                        is_running && p->frame > 0 ? json_integer((json_int_t)p->frame)
                                                   : json_null());
    add_outcome(j, t);
    return j;
}

void serve_task_keep_end(const struct serve_task *t, enum serve_state state)
{
    struct serve_task ended = *t;
    json_t *j;
    char *text;

    if (!serve_state_is_final(state) || !serve_hook_exists(t->id))
        return;
    ended.state = state;
    j = serve_task_progress_json(&ended);
    text = json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(15));
    serve_hook_end(t->id, text);
    free(text);
    json_decref(j);
}

static json_t *history_entry(const struct serve_task *t)
{
    static const char *const keys[] = {
        "content_img", "style_img",    "style_weight",    "steps",   "preset",
        "styles",      "content_loss", "style_loss",      "seconds", "created",
        "finished",    "owner",        "stopped_at_step", "frames"};
    json_t *j = json_pack("{s:s}", "task_id", t->id);

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *v = json_object_get(t->record, keys[i]);

        if (v)
            json_object_set_new(j, keys[i], json_deep_copy(v));
    }
    add_outcome(j, t);
    json_object_set_new(j, "thumbnail",
                        serve_thumb_url(serve_task_text(t, "output_img")));
    json_object_set_new(j, "content_url",
                        serve_url("uploads", serve_task_text(t, "content_img")));
    return j;
}

void serve_task_add_to_history(json_t *by_content, const struct serve_task *t)
{
    char *key = serve_picture_stem(serve_task_text(t, "content_img"));
    json_t *list = json_object_get(by_content, key);

    if (!list) {
        list = json_array();
        json_object_set_new(by_content, key, list);
    }
    json_array_append_new(list, history_entry(t));
    free(key);
}

void serve_task_set_completed(struct serve_task *t)
{
    char *name, *path = serve_task_result_path(t->id, t->record, &name);

    free(path);
    set_text(t->record, "output_img", name);
    free(name);
    json_object_set_new(t->record, "finished", json_real(serve_now()));
}

enum serve_state serve_task_finish_attempt(struct serve_task *t,
                                           const struct serve_outcome *o,
                                           bool cancelled, int64_t retries)
{
    enum serve_state state = cancelled ? SERVE_CANCELLED : SERVE_FAILED;

    if (o->exit == SERVE_EXIT_SUCCESS && !cancelled) {
        json_object_set_new(t->record, "content_loss", json_real(o->content_loss));
        json_object_set_new(t->record, "style_loss", json_real(o->style_loss));
        json_object_set_new(t->record, "seconds", json_real(o->seconds));
        if (o->stopped_at > 0)
            json_object_set_new(t->record, "stopped_at_step",
                                json_integer((json_int_t)o->stopped_at));
        if (o->stopped_at > 0 && o->frame > 0)
            json_object_set_new(t->record, "frames",
                                json_integer((json_int_t)o->frame));
        serve_task_set_completed(t);
        state = SERVE_COMPLETED;
    } else if (o->exit == SERVE_EXIT_STOPPED && !cancelled) {
        t->attempts--; /* does not count */
        return SERVE_QUEUED;
    } else if (o->exit == SERVE_EXIT_NO_SPACE && !cancelled) {
        serve_log(SERVE_WARNING, "task %s: %s; it waits for disk space", t->id,
                  o->error);
        t->no_space = true;
        t->attempts--; /* does not count */
        return SERVE_QUEUED;
    } else if (o->exit == SERVE_EXIT_RETRYABLE && t->attempts <= (unsigned)retries &&
               !cancelled) {
        serve_log(SERVE_WARNING, "task %s: %s; it is tried again", t->id, o->error);
        return SERVE_QUEUED;
    } else {
        if (!cancelled)
            set_text(t->record, "error", o->error);
        json_object_set_new(t->record, "finished", json_real(serve_now()));
    }
    return state;
}

void serve_task_log_state(const struct serve_task *t, enum serve_state state)
{
    bool failed = state == SERVE_FAILED;

    serve_log(failed ? SERVE_WARNING : SERVE_INFO, "task %s: %s%s%s", t->id,
              serve_state_names[state], failed ? ": " : "",
              failed ? serve_task_text(t, "error") : "");
}

static void add_name(GHashTable *used, const json_t *name)
{
    if (json_is_string(name))
        g_hash_table_add(used, g_strdup(json_string_value(name)));
}

void serve_task_collect_uploads(GHashTable *used, const json_t *record)
{
    const json_t *style;
    size_t i;

    add_name(used, json_object_get(record, "content_img"));
    add_name(used, json_object_get(record, "keep_mask"));
    add_name(used, json_object_get(record, "init_image"));
    json_array_foreach(json_object_get(record, "styles"), i, style)
        add_name(used, json_object_get(style, "mask"));
}

bool serve_task_uses_upload(const json_t *record, const char *upload)
{
    GHashTable *used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    bool uses;

    serve_task_collect_uploads(used, record);
    uses = g_hash_table_contains(used, upload);
    g_hash_table_destroy(used);
    return uses;
}

bool serve_task_uses_style(const json_t *record, const char *style)
{
    const json_t *one;
    size_t i;

    json_array_foreach(json_object_get(record, "styles"), i, one) {
        const char *name = json_string_value(json_object_get(one, "name"));

        if (name && strcmp(name, style) == 0)
            return true;
    }
    return false;
}
