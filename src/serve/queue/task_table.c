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
    GHashTable *finished; /* number of finished tasks by party */
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

static void count_finished(const struct serve_task *t, int change)
{
    const char *party = serve_task_party(t);
    int n = GPOINTER_TO_INT(g_hash_table_lookup(table.finished, party)) + change;

    if (n > 0)
        g_hash_table_replace(table.finished, g_strdup(party), GINT_TO_POINTER(n));
    else
        g_hash_table_remove(table.finished, party);
}

/* Insert the task into the lists of its state, and remove it from the others. A
 * finished task stays finished until it is removed. */
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
        } else
            continue;
        if (i == SERVE_LIST_FINISHED)
            count_finished(&t->task, 1);
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
    serve_task_keep_end(&t->task, state);
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
    table.finished = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

void serve_table_close(void)
{
    for (int i = 0; i < SERVE_LISTS; i++)
        g_sequence_free(table.lists[i]);
    g_hash_table_destroy(table.finished);
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
    count_finished(&t->task, -1);
    for (int i = 0; i < SERVE_LISTS; i++)
        if (t->position[i])
            g_sequence_remove(t->position[i]);
    g_hash_table_remove(table.tasks, t->task.id);
}

/* The party with the most finished tasks, borrowed. */
static const char *largest_party(void)
{
    const char *largest = NULL;
    GHashTableIter iter;
    gpointer party, count;
    int most = 0;

    g_hash_table_iter_init(&iter, table.finished);
    while (g_hash_table_iter_next(&iter, &party, &count))
        if (GPOINTER_TO_INT(count) > most) {
            most = GPOINTER_TO_INT(count);
            largest = party;
        }
    return largest;
}

void serve_table_evict(void)
{
    while (g_sequence_get_length(table.lists[SERVE_LIST_FINISHED]) >
           table.settings->max_history_images) {
        const char *party = largest_party();
        struct serve_table_entry *t = serve_table_next(SERVE_LIST_FINISHED, NULL);

        while (strcmp(serve_task_party(&t->task), party) != 0)
            t = serve_table_next(SERVE_LIST_FINISHED, t);
        serve_table_remove(t);
    }
}

struct serve_table_entry *serve_table_next(enum serve_table_list list,
                                           const struct serve_table_entry *t)
{
    GSequenceIter *next = t ? g_sequence_iter_next(t->position[list])
                            : g_sequence_get_begin_iter(table.lists[list]);

    return g_sequence_iter_is_end(next) ? NULL : g_sequence_get(next);
}

/* The page of who sees all tasks: iterates from the end of the list. */
static void add_page(GSequence *completed, size_t offset, size_t limit,
                     json_t *by_content)
{
    size_t total = (size_t)g_sequence_get_length(completed);
    GSequenceIter *iter =
        g_sequence_get_iter_at_pos(completed, (gint)(total - MIN(offset, total)));

    while (limit-- > 0 && !g_sequence_iter_is_begin(iter)) {
        iter = g_sequence_iter_prev(iter);
        serve_task_add_to_history(
            by_content, &((struct serve_table_entry *)g_sequence_get(iter))->task);
    }
}

/* The page of who sees some tasks. Returns their number. */
static size_t add_own_page(GSequence *completed, const struct serve_identity *who,
                           size_t offset, size_t limit, json_t *by_content)
{
    GSequenceIter *iter = g_sequence_get_end_iter(completed);
    size_t total = 0;

    while (!g_sequence_iter_is_begin(iter)) {
        const struct serve_table_entry *t;

        iter = g_sequence_iter_prev(iter);
        t = g_sequence_get(iter);
        if (!serve_task_seen_by(&t->task, who))
            continue;
        if (total >= offset && total - offset < limit)
            serve_task_add_to_history(by_content, &t->task);
        total++;
    }
    return total;
}

json_t *serve_table_history(const struct serve_identity *who, size_t offset,
                            size_t limit, size_t *total)
{
    GSequence *completed = table.lists[SERVE_LIST_COMPLETED];
    json_t *by_content = json_object();

    *total = (size_t)g_sequence_get_length(completed);
    if (!who || who->is_operator)
        add_page(completed, offset, limit, by_content);
    else
        *total = add_own_page(completed, who, offset, limit, by_content);
    return by_content;
}

/* Whether a task uses an upload: an unfinished one of who, or one of anybody else. */
static bool is_used(const char *upload, const struct serve_identity *who,
                    bool by_others)
{
    const struct serve_table_entry *t = NULL;

    while ((t = serve_table_next(SERVE_LIST_ACTIVE, t)))
        if (serve_task_seen_by(&t->task, who) != by_others &&
            serve_task_uses_upload(t->task.record, upload))
            return true;
    while (by_others && (t = serve_table_next(SERVE_LIST_FINISHED, t)))
        if (!serve_task_seen_by(&t->task, who) &&
            serve_task_uses_upload(t->task.record, upload))
            return true;
    return false;
}

enum serve_delete_status serve_table_delete_content(const struct serve_identity *who,
                                                    const char *content)
{
    enum serve_delete_status status = SERVE_DELETE_UNKNOWN;
    struct serve_table_entry *t, *next;

    if (is_used(content, who, false))
        return SERVE_DELETE_BUSY;
    for (t = serve_table_next(SERVE_LIST_FINISHED, NULL); t; t = next) {
        next = serve_table_next(SERVE_LIST_FINISHED, t);
        if (serve_task_seen_by(&t->task, who) &&
            g_strcmp0(serve_task_text(&t->task, "content_img"), content) == 0) {
            serve_table_remove(t);
            status = SERVE_DELETE_OK;
        }
    }
    if (status == SERVE_DELETE_OK && !is_used(content, who, true))
        serve_store_remove_picture("uploads", content);
    return status;
}

json_t *serve_table_list_state(const struct serve_identity *who, enum serve_state state,
                               size_t limit)
{
    enum serve_table_list in =
        serve_state_is_final(state) ? SERVE_LIST_FINISHED : SERVE_LIST_ACTIVE;
    GSequenceIter *iter = g_sequence_get_end_iter(table.lists[in]);
    json_t *list = json_array();

    while (!g_sequence_iter_is_begin(iter) && json_array_size(list) < limit) {
        const struct serve_table_entry *t;

        iter = g_sequence_iter_prev(iter);
        t = g_sequence_get(iter);
        if (t->task.state == state && serve_task_seen_by(&t->task, who))
            json_array_append_new(list, serve_task_progress_json(&t->task));
    }
    return list;
}

struct serve_counts *serve_table_counts(void)
{
    return &table.counts;
}
