/* SPDX-License-Identifier: MIT */
/* monitor.h - resource usage of the machine and of this process. */
#ifndef NST_SERVE_MONITOR_H
#define NST_SERVE_MONITOR_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "serve/settings.h"

/* Runs `nst --list-devices` to look for a GPU. s is borrowed. */
void serve_monitor_open(const struct serve_settings *s);
void serve_monitor_close(void);

/* Log one line on resources; queries the GPU again if there was one at the start. */
void serve_monitor_log(void);

/* The API's health object, a new reference. *healthy is false if the disk is full or
 * the queue is unreachable. */
json_t *serve_monitor_health(bool *healthy);
/* The API's device object, a new reference. */
json_t *serve_monitor_device(void);
/* Percent of memory, disk and GPU memory in use, and sizes in bytes. */
struct serve_resources {
    double memory, disk, gpu;
    uint64_t memory_total, memory_free, disk_free;
};
struct serve_resources serve_monitor_resources(void);

/* This process; resident: bytes of memory. */
struct serve_process {
    time_t started;
    double cpu_seconds;
    uint64_t resident, max_files;
    unsigned open_files;
};
struct serve_process serve_monitor_process(void);

#endif
