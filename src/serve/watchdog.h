/* SPDX-License-Identifier: MIT */
/* watchdog.h - tells systemd that the service is alive (WatchdogSec=). */
#ifndef NST_SERVE_WATCHDOG_H
#define NST_SERVE_WATCHDOG_H

#include <stdbool.h>

/*
 * Start a thread that sends WATCHDOG=1 four times in each period of the watchdog, as
 * long as the queue answers and, with has_http, a request through the event loop does.
 * Does nothing if systemd wants no such messages.
 */
void serve_watchdog_open(bool has_http);
/* Call it before the queue or the HTTP server is stopped. */
void serve_watchdog_close(void);

#endif
