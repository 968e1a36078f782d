/* SPDX-License-Identifier: MIT */
/*
 * room.h - when to start tasks again after the disk was full: if it has room, and after
 * a pause that doubles with each attempt that finds it full. Not thread-safe.
 */
#ifndef NST_SERVE_QUEUE_ROOM_H
#define NST_SERVE_QUEUE_ROOM_H

#include "serve/queue/runner.h"

struct serve_room {
    double pause, until; /* seconds; a moment of nst_clock_seconds() */
};

bool serve_room_has(const struct serve_room *room);
/* Note how an attempt has ended. */
void serve_room_note(struct serve_room *room, enum serve_exit outcome);

#endif
