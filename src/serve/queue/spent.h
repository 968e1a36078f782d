/* SPDX-License-Identifier: MIT */
/*
 * spent.h - the work of the tasks that each party has created today (UTC), in the file
 * spent of the data folder: deleted tasks count as well. For the queue in this process.
 * Not thread-safe.
 */
#ifndef NST_SERVE_QUEUE_SPENT_H
#define NST_SERVE_QUEUE_SPENT_H

#include <stdbool.h>
#include <stdint.h>

/* Read the file. */
void serve_spent_open(void);
void serve_spent_close(void);

/* The day of now, in days since 1970. */
int64_t serve_spent_day(void);
/* The work of a party today. */
int64_t serve_spent_get(const char *party);
/* Add to it and write the file. False: errno. */
bool serve_spent_add(const char *party, int64_t work);

#endif
