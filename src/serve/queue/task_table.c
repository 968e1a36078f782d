/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/queue/task_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/log.h"
#include "serve/store.h"

static struct {
    const struct serve_settings *settings;
    GHashTable *tasks; /* struct serve_table_entry by id */
    GSequence *lists[SERVE_LISTS];
    int64_t next_number;
    unsigned unsaved; /* number of tasks */
    struct serve_counts counts;
} table;

static char *file_name(const struct serve_table_entry *t)
{
    return nst_xasprintf("%s.json", t->task.id);
}

static enum nst_status write_file(struct serve_table_entry *t, struct nst_err *err)
{
    char *name = file_name(t);
    enum nst_status st;

    json_object_set_new(t->task.record, "state",
                        json_string(serve_state_names[t->task.state]));
    json_object_set_new(t->task.record, "attempts", json_integer(t->task.attempts));
    st = serve_store_write("tasks", name, t->task.record, err);
    free(name);
    return st;
}

static bool must_not_run(const struct serve_table_entry *t)
{
    return t->task.state == SERVE_FAILED || t->task.state == SERVE_CANCELLED ||
           json_is_true(json_object_get(t->task.record, "cancelled"));
}

static void set_unsaved(struct serve_table_entry *t, bool unsaved)
{
    table.unsaved += (unsigned)unsaved - (unsigned)t->unsaved;
    t->unsaved = unsaved;
}

void serve_table_save(struct serve_table_entry *t)
{
    struct nst_err err;
    bool saved = write_file(t, &err) == NST_OK;
    char *name = file_name(t);

    if (!saved && must_not_run(t)) {
        serve_store_remove("tasks", name); /* this makes room, too */
        saved = write_file(t, &err) == NST_OK;
    }
    if (!saved && !t->unsaved)
        serve_log(SERVE_ERROR, "%s; it is tried again", err.text);
    set_unsaved(t, !saved);
    free(name);
}

void serve_table_save_pending(void)
{
    GHashTableIter iter;
    gpointer p;

    if (table.unsaved == 0)
        return;
    g_hash_table_iter_init(&iter, table.tasks);
    while (g_hash_table_iter_next(&iter, NULL, &p)) {
        struct serve_table_entry *t = p;

        if (t->unsaved)
            serve_table_save(t);
        if (t->unsaved) /* the next ones will fail as well */
            return;
    }
}

static gint by_number(gconstpointer a, gconstpointer b, gpointer unused)
{
    const struct serve_table_entry *x = a, *y = b;

    (void)unused;
    return (x->task.number > y->task.number) - (x->task.number < y->task.number);
}

/* Insert the task into the lists of its state, and remove it from the others. */
static void update_lists(struct serve_table_entry *t)
{
    bool is_final = serve_state_is_final(t->task.state);

    for (int i = 0; i < SERVE_LISTS; i++) {
        bool belongs = i == SERVE_LIST_ACTIVE     ? !is_final
                       : i == SERVE_LIST_FINISHED ? is_final
                                                  : t->task.state == SERVE_COMPLETED;

        if (belongs && !t->position[i])
            t->position[i] =
                g_sequence_insert_sorted(table.lists[i], t, by_number, NULL);
        else if (!belongs && t->position[i]) {
            g_sequence_remove(t->position[i]);
            t->position[i] = NULL;
        }
    }
}

static void insert(struct serve_table_entry *t)
{
    if (t->task.number >= table.next_number)
        table.next_number = t->task.number + 1;
    table.counts.current[t->task.state]++;
    g_hash_table_insert(table.tasks, t->task.id, t);
    update_lists(t);
}

void serve_table_set_state(struct serve_table_entry *t, enum serve_state state)
{
    table.counts.current[t->task.state]--;
    table.counts.current[state]++;
    table.counts.ended[state]++;
    t->task.state = state;
    t->task.version++;
    update_lists(t);
    serve_table_save(t);
}

static void free_task(gpointer p)
{
    struct serve_table_entry *t = p;

    json_decref(t->task.record);
    free(t);
}

void serve_table_open(const struct serve_settings *s)
{
    table.settings = s;
    table.tasks = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_task);
    for (int i = 0; i < SERVE_LISTS; i++)
        table.lists[i] = g_sequence_new(NULL);
}

void serve_table_close(void)
{
    for (int i = 0; i < SERVE_LISTS; i++)
        g_sequence_free(table.lists[i]);
    g_hash_table_destroy(table.tasks);
}

/* True if the name is ID.json; ID becomes the id of the task. */
static bool is_task_file(const char *file)
{
    char id[SERVE_TASK_ID_LENGTH + 1];

    snprintf(id, sizeof id, "%s", file);
    return serve_task_is_valid_id(id) &&
           strcmp(file + SERVE_TASK_ID_LENGTH, ".json") == 0;
}

struct serve_table_entry *serve_table_load(const char *file)
{
    char *path = serve_store_path("tasks", file);
    json_t *record = is_task_file(file) ? json_load_file(path, 0, NULL) : NULL;
    enum serve_state state =
        serve_state_parse(json_string_value(json_object_get(record, "state")));
    struct serve_table_entry *t;

    free(path);
    if (state == SERVE_STATES || !serve_task_is_valid_record(record) ||
        (state == SERVE_COMPLETED && !json_object_get(record, "output_img"))) {
        json_decref(record);
        serve_log(SERVE_WARNING, "tasks/%s: is not a task", file);
        return NULL;
    }
    t = nst_xcalloc(1, sizeof *t);
    memcpy(t->task.id, file, SERVE_TASK_ID_LENGTH);
    t->task.state = state;
    t->task.record = record;
    t->task.number = json_integer_value(json_object_get(record, "number"));
    t->task.attempts =
        (unsigned)json_integer_value(json_object_get(record, "attempts"));
    insert(t);
    return t;
}

struct serve_table_entry *serve_table_add(const char *id, json_t *record)
{
    struct serve_table_entry *t = nst_xcalloc(1, sizeof *t);
    struct nst_err err;
    int error;

    snprintf(t->task.id, sizeof t->task.id, "%s", id);
    t->task.record = record;
    t->task.number = table.next_number;
    json_object_set_new(record, "number", json_integer(t->task.number));
    if (write_file(t, &err) == NST_OK) {
        insert(t);
        return t;
    }
    error = errno;
    serve_log(SERVE_ERROR, "%s", err.text);
    free_task(t);
    errno = error;
    return NULL;
}

struct serve_table_entry *serve_table_find(const char *id)
{
    return g_hash_table_lookup(table.tasks, id);
}

void serve_table_remove(struct serve_table_entry *t)
{
    char *file = file_name(t);

    set_unsaved(t, false);
    serve_task_remove_result(t->task.id);
    serve_store_remove_work_dir(t->task.id);
    serve_store_remove("tasks", file);
    free(file);

    table.counts.current[t->task.state]--;
    for (int i = 0; i < SERVE_LISTS; i++)
        if (t->position[i])
            g_sequence_remove(t->position[i]);
    g_hash_table_remove(table.tasks, t->task.id);
}

void serve_table_evict(void)
{
    GSequence *finished = table.lists[SERVE_LIST_FINISHED];

    while (g_sequence_get_length(finished) > table.settings->max_history_images)
        serve_table_remove(g_sequence_get(g_sequence_get_begin_iter(finished)));
}

GSequence *serve_table_sequence(enum serve_table_list list)
{
    return table.lists[list];
}

struct serve_table_entry *serve_table_next(enum serve_table_list list,
                                           const struct serve_table_entry *t)
{
    GSequenceIter *next = t ? g_sequence_iter_next(t->position[list])
                            : g_sequence_get_begin_iter(table.lists[list]);

    return g_sequence_iter_is_end(next) ? NULL : g_sequence_get(next);
}

json_t *serve_table_list_state(enum serve_state state, size_t limit)
{
    enum serve_table_list in =
        serve_state_is_final(state) ? SERVE_LIST_FINISHED : SERVE_LIST_ACTIVE;
    GSequenceIter *iter = g_sequence_get_end_iter(table.lists[in]);
    json_t *list = json_array();

    while (!g_sequence_iter_is_begin(iter) && json_array_size(list) < limit) {
        const struct serve_table_entry *t;

        iter = g_sequence_iter_prev(iter);
        t = g_sequence_get(iter);
        if (t->task.state == state)
            json_array_append_new(list, serve_task_progress_json(&t->task));
    }
    return list;
}

struct serve_counts *serve_table_counts(void)
{
    return &table.counts;
}
