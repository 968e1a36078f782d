/* SPDX-License-Identifier: MIT */
/* monitor.h - resource usage of the machine and of this process. */
#ifndef NST_SERVE_MONITOR_H
#define NST_SERVE_MONITOR_H

#include <jansson.h>
#include <stdbool.h>

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
/* All metrics in the text format of Prometheus, a new string. */
char *serve_monitor_metrics(void);

#endif
