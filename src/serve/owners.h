/* SPDX-License-Identifier: MIT */
/*
 * owners.h - who owns a picture or a task, and who may see it. The owner of a picture
 * is in owners/NAME of the data folder, which is written before the picture has its
 * name; the owner of a task is in its record. What has no owner is everybody's: so is
 * all that an older version has stored.
 */
#ifndef NST_SERVE_OWNERS_H
#define NST_SERVE_OWNERS_H

#include <stdbool.h>
#include <stdint.h>

#include "serve/identity.h"
#include "serve/settings.h"

/* Remove records of pictures that a killed service has not stored. */
void serve_owners_open(const struct serve_settings *s);

/* Whether who sees, and may change, what this owner has; NULL or "": nobody. who NULL:
 * the service itself. */
bool serve_owner_sees(const struct serve_identity *who, const char *owner);

/* Record the owner of a picture and the party whose quota it uses. False: errno. */
bool serve_owner_set(const char *picture, const char *owner, const char *party);
/* The owner of a picture, a new string; NULL: everybody. */
char *serve_owner_get(const char *picture);
/* The party whose quota a picture uses, a new string; "": none. */
char *serve_owner_party(const char *picture);
/* Whether who sees the picture, or it does not exist. */
bool serve_owner_sees_picture(const struct serve_identity *who, const char *picture);

/* The bytes of all pictures of a party: uploads, styles and results. */
int64_t serve_party_bytes(const char *party);

/* Whose share of the service a request uses: the name of a token, or the address of all
 * others, who can be as many owners as they like. Borrowed from who. */
const char *serve_party(const struct serve_identity *who);
/* How many of its tasks may wait: the quota, or else the share of any party but the
 * operator's token; 0: no limit. */
int64_t serve_party_share(const struct serve_identity *who,
                          const struct serve_settings *s);

#endif
