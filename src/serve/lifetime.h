/* SPDX-License-Identifier: MIT */
/* lifetime.h - from the start of a service or worker to its end: signals, periodic work
 * and messages to systemd. */
#ifndef NST_SERVE_LIFETIME_H
#define NST_SERVE_LIFETIME_H

#include <stdbool.h>

#include "serve/settings.h"

/* Block the signals that serve_lifetime_wait() receives. Call it before any thread
 * starts. */
void serve_lifetime_block_signals(void);

/* Do periodic work until SIGINT or SIGTERM; SIGHUP calls serve_reload(). */
void serve_lifetime_wait(const struct serve_settings *s);

/* Wait for running tasks, at most s->grace seconds or until a second signal. owned: the
 * socket was not passed by systemd. */
void serve_lifetime_drain(const struct serve_settings *s, bool owned);

/* Remove uploads that no task uses, old idempotency keys, and links without a result.
 */
void serve_sweep(void);

/* Read again what an operator may change while the service runs: open the log files and
 * find the styles of --styles. */
void serve_reload(const struct serve_settings *s);

#endif
