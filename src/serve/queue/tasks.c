/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/queue/tasks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/queue/queue.h"
#include "serve/store.h"
#include "serve/queue/task.h"

static const struct serve_queue *queue;

enum nst_status serve_tasks_open(const struct serve_settings *s,
                                 void (*on_change)(const char *id), struct nst_err *err)
{
    queue = s->worker  ? &serve_worker
            : s->queue ? &serve_queue_redis
                       : &serve_queue_local;
    return queue->open(s, on_change, err);
}

void serve_tasks_drain(void)
{
    queue->drain();
}

unsigned serve_tasks_running(void)
{
    return queue->running();
}

void serve_tasks_stop(void)
{
    queue->stop();
}

void serve_tasks_close(void)
{
    queue->close();
}

bool serve_tasks_reachable(void)
{
    return queue->reachable();
}

enum serve_add_status serve_tasks_add(json_t *record, char id[SERVE_TASK_ID_LENGTH + 1])
{
    char *name = serve_store_new_name("");

    memcpy(id, name, SERVE_TASK_ID_LENGTH + 1);
    free(name);
    json_object_set_new(record, "created", json_real(serve_now()));
    return queue->add(id, record);
}

json_t *serve_tasks_progress(const char *id, unsigned *version, bool *is_final)
{
    errno = ENOENT;
    return serve_task_is_valid_id(id) ? queue->progress(id, version, is_final) : NULL;
}

enum serve_cancel_status serve_tasks_cancel(const char *id)
{
    return serve_task_is_valid_id(id) ? queue->cancel(id) : SERVE_CANCEL_UNKNOWN;
}

static int open_result(const char *id, char *name, uint64_t *size)
{
    snprintf(name, SERVE_TASK_ID_LENGTH + 5, "%s.png", id);
    return serve_store_open_file("results", name, size);
}

/* The result, or else the preview in the work directory. That is removed when the task
 * ends: if this happens between the two attempts, the result exists now. */
int serve_tasks_preview(const char *id, char *name, uint64_t *size)
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
    snprintf(name, SERVE_TASK_ID_LENGTH + 5, "%s.jpg", id);
    return fd;
}

json_t *serve_tasks_list(void)
{
    return queue->list();
}

json_t *serve_tasks_history(size_t offset, size_t limit, size_t *total)
{
    return queue->history(offset, limit, total);
}

enum serve_delete_status serve_tasks_delete(const char *content)
{
    return queue->delete (content);
}

enum serve_style_status serve_tasks_style_status(const char *style)
{
    return queue->style_status(style);
}

void serve_tasks_sweep(int64_t max_age, size_t max_files)
{
    queue->sweep(max_age, max_files);
}

void serve_tasks_count(struct serve_counts *out)
{
    queue->count(out);
}
