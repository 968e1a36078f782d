/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/queue/room.h"

#include "serve/clock.h"
#include "serve/store.h"

#define FIRST_PAUSE 1.0 /* seconds */
#define MAX_PAUSE 64.0

bool serve_room_has(const struct serve_room *room)
{
    return nst_clock_seconds() >= room->until && serve_store_has_room();
}

void serve_room_note(struct serve_room *room, enum serve_exit outcome)
{
    if (outcome == SERVE_EXIT_NO_SPACE) {
        room->pause = room->pause > 0 ? 2 * room->pause : FIRST_PAUSE;
        if (room->pause > MAX_PAUSE)
            room->pause = MAX_PAUSE;
        room->until = nst_clock_seconds() + room->pause;
    } else if (outcome == SERVE_EXIT_SUCCESS)
        *room = (struct serve_room){0, 0};
}
