/* SPDX-License-Identifier: MIT */
/* settings.h - the options of nst-serve, constant after the start. */
#ifndef NST_SERVE_SETTINGS_H
#define NST_SERVE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/identity.h"

enum serve_access_format {
    SERVE_ACCESS_COMMON,   /* NCSA common log format, and the duration in seconds */
    SERVE_ACCESS_COMBINED, /* the same with referer and user agent */
    SERVE_ACCESS_JSON
};

struct serve_settings {
    const char *listen; /* ADDRESS:PORT; port 0: any free port, which is logged */
    const char *data;   /* the folder of store.h */
    const char *styles; /* a folder of additional style pictures and packs, or NULL */
    const char *web;    /* the folder of the web page; NULL: the installed one */
    const char *model;  /* NULL: the default of nst */
    const char *host, *prefix, *allow_origin, *log_file; /* or NULL */
    const char *tokens;       /* the file of tokens.h, or NULL */
    const char *token_file;   /* a file with the operator's token, or NULL */
    bool shared;              /* without tokens: each sees and changes everything */
    struct serve_quota quota; /* of visitors, and of users whose token has no other */
    const char *webhook_secret_file; /* NULL: no webhooks */
    const char *queue;      /* URL of Redis; NULL: the queue is in this process */
    bool worker;            /* run tasks of that queue, without HTTP */
    const char *access_log; /* or NULL */
    enum serve_access_format access_log_format;
    bool insecure, json_log, behind_proxy;
    int64_t max_queue_per_owner; /* queued tasks of an owner or address */
    bool keep_metadata;          /* of uploads, also in results */
    int64_t max_tasks, max_queue, max_history_images, max_connections, max_styles;
    int64_t max_shares;     /* links of an owner or address; 0: none at all */
    int64_t max_upload;     /* bytes of a request */
    int64_t max_pixels;     /* of a picture */
    int64_t decode_seconds; /* CPU time to decode an upload */
    int64_t max_size;       /* longest side of a result */
    int64_t max_frames;     /* of a film; 1: none is painted */
    int64_t max_film_size;  /* longest side of a film's result */
    int64_t min_steps;      /* of a task */
    int64_t retries;        /* after a crash */
    int64_t lease; /* seconds without a heartbeat until a worker loses a task */
    int64_t task_seconds, task_memory; /* wall clock, and CPU time per core; bytes */
    int64_t rate;         /* mutations per second and client address; 0: no limit */
    int64_t send_timeout; /* seconds that a client may take without reading */
    int64_t grace;        /* seconds that running tasks have at shutdown */
    int64_t monitor;      /* seconds between log lines on resources; 0: none */
    int cores;
};

#endif
