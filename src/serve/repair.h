/* SPDX-License-Identifier: MIT */
/*
 * repair.h - makes the thumbnails and renditions that a kill or a full disk has
 * prevented, or that an older version has not made, in a thread, once after the start.
 */
#ifndef NST_SERVE_REPAIR_H
#define NST_SERVE_REPAIR_H

#include "serve/settings.h"

/* Call it after the queue has removed stale results. s is borrowed. */
void serve_repair_open(const struct serve_settings *s);
/* Call serve_sandbox_shutdown() first. */
void serve_repair_close(void);

#endif
