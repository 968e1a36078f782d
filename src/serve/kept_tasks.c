/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/kept_tasks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/log.h"
#include "serve/store.h"

static struct {
    const struct serve_settings *settings;
    GHashTable *tasks; /* by their id */
    GSequence *list[SERVE_KEPT_LISTS];
    int64_t next; /* number */
    struct serve_counts counts;
} all;

static char *file_of(const struct serve_kept *t)
{
    return nst_xasprintf("%s.json", t->is.id);
}

enum nst_status serve_kept_write(struct serve_kept *t, struct nst_err *err)
{
    char *name = file_of(t);
    enum nst_status st;

    json_object_set_new(t->is.record, "state",
                        json_string(serve_state_names[t->is.state]));
    json_object_set_new(t->is.record, "attempts", json_integer(t->is.attempts));
    st = serve_store_write(name, t->is.record, err);
    free(name);
    return st;
}

static gint oldest_first(gconstpointer a, gconstpointer b, gpointer none)
{
    const struct serve_kept *x = a, *y = b;

    (void)none;
    return (x->is.number > y->is.number) - (x->is.number < y->is.number);
}

static bool belongs(const struct serve_kept *t, enum serve_kept_list list)
{
    bool over = serve_task_is_over(t->is.state);

    return list == SERVE_KEPT_OPEN   ? !over
           : list == SERVE_KEPT_OVER ? over
                                     : t->is.state == SERVE_COMPLETED;
}

/* Put it into the lists where it belongs, and take it out of the others. */
static void list(struct serve_kept *t)
{
    for (int i = 0; i < SERVE_KEPT_LISTS; i++) {
        bool is_in = belongs(t, (enum serve_kept_list)i);

        if (is_in && !t->in[i])
            t->in[i] = g_sequence_insert_sorted(all.list[i], t, oldest_first, NULL);
        else if (!is_in && t->in[i]) {
            g_sequence_remove(t->in[i]);
            t->in[i] = NULL;
        }
    }
}

static void keep(struct serve_kept *t)
{
    if (t->is.number >= all.next)
        all.next = t->is.number + 1;
    all.counts.now[t->is.state]++;
    g_hash_table_insert(all.tasks, t->is.id, t);
    list(t);
}

void serve_kept_turn(struct serve_kept *t, enum serve_state state)
{
    struct nst_err err;

    all.counts.now[t->is.state]--;
    all.counts.now[state]++;
    all.counts.ended[state]++;
    t->is.state = state;
    t->is.version++;
    list(t);
    if (serve_kept_write(t, &err) != NST_OK)
        serve_log(SERVE_ERROR, "%s", err.text);
}

static void free_task(gpointer p)
{
    struct serve_kept *t = p;

    json_decref(t->is.record);
    free(t);
}

void serve_kept_open(const struct serve_settings *s)
{
    all.settings = s;
    all.tasks = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_task);
    for (int i = 0; i < SERVE_KEPT_LISTS; i++)
        all.list[i] = g_sequence_new(NULL);
}

void serve_kept_close(void)
{
    for (int i = 0; i < SERVE_KEPT_LISTS; i++)
        g_sequence_free(all.list[i]);
    g_hash_table_destroy(all.tasks);
}

/* TASK.json: is it called so? What TASK is goes on to be the task's name everywhere. */
static bool is_task_file(const char *file)
{
    char id[SERVE_TASK_ID + 1];

    snprintf(id, sizeof id, "%s", file);
    return serve_task_is_id(id) && strcmp(file + SERVE_TASK_ID, ".json") == 0;
}

struct serve_kept *serve_kept_read(const char *file)
{
    char *path = serve_store_path("tasks", file);
    json_t *record = is_task_file(file) ? json_load_file(path, 0, NULL) : NULL;
    enum serve_state state =
        serve_task_state(json_string_value(json_object_get(record, "state")));
    struct serve_kept *t;

    free(path);
    if (state == SERVE_STATES || !serve_task_is_sound(record) ||
        (state == SERVE_COMPLETED && !json_object_get(record, "output_img"))) {
        json_decref(record);
        serve_log(SERVE_WARNING, "tasks/%s: is not a task", file);
        return NULL;
    }
    t = nst_xcalloc(1, sizeof *t);
    memcpy(t->is.id, file, SERVE_TASK_ID);
    t->is.state = state;
    t->is.record = record;
    t->is.number = json_integer_value(json_object_get(record, "number"));
    t->is.attempts = (unsigned)json_integer_value(json_object_get(record, "attempts"));
    keep(t);
    return t;
}

struct serve_kept *serve_kept_add(const char *id, json_t *record)
{
    struct serve_kept *t = nst_xcalloc(1, sizeof *t);
    struct nst_err err;
    int error;

    snprintf(t->is.id, sizeof t->is.id, "%s", id);
    t->is.record = record;
    t->is.number = all.next;
    json_object_set_new(record, "number", json_integer(t->is.number));
    if (serve_kept_write(t, &err) == NST_OK) {
        keep(t);
        return t;
    }
    error = errno;
    serve_log(SERVE_ERROR, "%s", err.text);
    free_task(t);
    errno = error;
    return NULL;
}

struct serve_kept *serve_kept_find(const char *id)
{
    return g_hash_table_lookup(all.tasks, id);
}

static void remove_files(const struct serve_kept *t)
{
    const char *result = serve_task_text(&t->is, "output_img");
    char *file = file_of(t);

    if (result)
        serve_store_remove_picture("results", result);
    serve_store_end_work(t->is.id);
    serve_store_remove("tasks", file);
    free(file);
}

void serve_kept_forget(struct serve_kept *t)
{
    remove_files(t);
    all.counts.now[t->is.state]--;
    for (int i = 0; i < SERVE_KEPT_LISTS; i++)
        if (t->in[i])
            g_sequence_remove(t->in[i]);
    g_hash_table_remove(all.tasks, t->is.id);
}

void serve_kept_drop_oldest(void)
{
    GSequence *over = all.list[SERVE_KEPT_OVER];

    while (g_sequence_get_length(over) > all.settings->max_history_images)
        serve_kept_forget(g_sequence_get(g_sequence_get_begin_iter(over)));
}

GSequence *serve_kept_in(enum serve_kept_list of)
{
    return all.list[of];
}

void serve_kept_each(enum serve_kept_list of,
                     void (*tell)(void *ctx, struct serve_kept *t), void *ctx)
{
    GSequenceIter *at = g_sequence_get_begin_iter(all.list[of]);

    while (!g_sequence_iter_is_end(at)) {
        GSequenceIter *next = g_sequence_iter_next(at); /* this one may be forgotten */

        tell(ctx, g_sequence_get(at));
        at = next;
    }
}

struct serve_counts *serve_kept_counts(void)
{
    return &all.counts;
}
