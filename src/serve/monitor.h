/* SPDX-License-Identifier: MIT */
/* monitor.h - the machine and this process: how much of them is in use. */
#ifndef NST_SERVE_MONITOR_H
#define NST_SERVE_MONITOR_H

#include <jansson.h>
#include <stdbool.h>

#include "serve/settings.h"

/* Asks nst, in a process of its own, for a GPU. */
void serve_monitor_open(const struct serve_settings *s);
void serve_monitor_close(void);

/* Had this machine a GPU when it began? */
bool serve_monitor_has_gpu(void);

/* A line to the log; if there was a GPU, nst is asked for it again. */
void serve_monitor_log(void);

/* What the API says of health: a new reference. *healthy is false if the service cannot
 * do its work. */
json_t *serve_monitor_health(bool *healthy);
/* And of the device. */
json_t *serve_monitor_device(void);
/* Everything that is counted, as text for Prometheus: a new string. */
char *serve_monitor_metrics(void);

#endif
