/* SPDX-License-Identifier: MIT */
/* settings.h - what nst-serve was asked for; the same for all of its parts. */
#ifndef NST_SERVE_SETTINGS_H
#define NST_SERVE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct serve_settings {
    const char *listen; /* ADDRESS:PORT; port 0 is one that is free, which is logged */
    const char *data;   /* the folder of all that is kept */
    const char *styles; /* a folder of pictures and packs to offer besides; or NULL */
    const char *web;    /* the folder of the page, or NULL: as installed */
    const char *model;  /* or NULL: as nst chooses */
    const char *host, *prefix, *token_file, *allow_origin, *log_file; /* or NULL */
    const char *queue; /* a Redis that keeps it, or NULL: this process does */
    bool worker;       /* of that queue, without HTTP */
    bool insecure, json_log, behind_proxy;
    int64_t max_tasks, max_queue, max_history_images, max_connections, max_styles;
    int64_t max_upload; /* bytes of a request */
    int64_t max_pixels; /* of a picture */
    int64_t max_size;   /* longest side of a result */
    int64_t min_steps;  /* of a task */
    int64_t retries;    /* of one that crashed */
    int64_t lease; /* seconds after which a worker that is silent has lost its tasks */
    int64_t task_seconds, task_memory; /* by the clock, and of the processors; bytes */
    int64_t rate;    /* requests a second an address that change something; 0: any */
    int64_t grace;   /* seconds that tasks have when the service ends */
    int64_t monitor; /* seconds between lines on resources; 0: none */
    int cores;
};

#endif
