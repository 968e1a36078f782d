/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/gpu.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "serve/log.h"
#include "serve/sandbox.h"
#include "serve/store.h"

#define LIST_SECONDS 10 /* an idle GPU takes some seconds to initialise */

static struct {
    bool present;         /* at the start */
    bool warned;          /* that the GPU cannot be queried */
    pthread_mutex_t lock; /* protects description */
    json_t *description;  /* the last one of the first GPU, or NULL */
} gpu = {.lock = PTHREAD_MUTEX_INITIALIZER};

/*
 * The output of `nst --list-devices`, a new reference; NULL if it fails. A child
 * initialises CUDA: in this process CUDA would hold hundreds of MB of GPU memory.
 */
static json_t *list_devices(void)
{
    const struct serve_sandbox_limits limits = {.seconds = LIST_SECONDS, .gpu = true};
    char *nst = serve_program_path("nst"), *output;
    int status = serve_sandbox_run(
        (const char *const[]){nst, "--config=none", "--list-devices", "--json", NULL},
        &limits, LIST_SECONDS, &output, NULL);
    json_t *list = status == 0 ? json_loads(output, 0, NULL) : NULL;

    free(output);
    free(nst);
    return list;
}

/* The first GPU of the list, borrowed. NULL if there is none, or if nst lists an error
 * in its place: *error, or NULL. */
static json_t *first_gpu(const json_t *list, const char **error)
{
    json_t *device;
    size_t i;

    *error = NULL;
    json_array_foreach(list, i, device) {
        const char *name = json_string_value(json_object_get(device, "name"));

        if (!name || strncmp(name, "cuda:", 5) != 0)
            continue;
        *error = json_string_value(json_object_get(device, "error"));
        return *error ? NULL : device;
    }
    return NULL;
}

void serve_gpu_refresh(void)
{
    json_t *list = list_devices(), *first;
    const char *error;

    first = first_gpu(list, &error);
    if (list && !error) {
        pthread_mutex_lock(&gpu.lock);
        json_decref(gpu.description);
        gpu.description = json_incref(first);
        pthread_mutex_unlock(&gpu.lock);
    } else if (!gpu.warned) {
        gpu.warned = true;
        serve_log(SERVE_WARNING, "cannot query the GPU: nst --list-devices: %s",
                  error ? error : "it failed");
    }
    json_decref(list);
}

json_t *serve_gpu_current(void)
{
    json_t *copy;

    pthread_mutex_lock(&gpu.lock);
    copy = json_deep_copy(gpu.description);
    pthread_mutex_unlock(&gpu.lock);
    return copy;
}

bool serve_gpu_present(void)
{
    return gpu.present;
}

void serve_gpu_open(void)
{
    serve_gpu_refresh();
    gpu.present = gpu.description != NULL;
}

void serve_gpu_close(void)
{
    json_decref(gpu.description);
    gpu.description = NULL;
}
