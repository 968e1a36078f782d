/* SPDX-License-Identifier: MIT */
/*
 * sandbox_calls.h - the system calls that a sandboxed process may make (seccomp).
 *
 * Calls older than Linux 5.1 are allowed unless they reach another process, outlive the
 * process, change what files belong to, or are known ways into the kernel. Newer calls
 * are refused unless a library needs them. What is refused fails with EPERM, or with
 * ENOSYS where libraries then use an older call.
 */
#ifndef NST_SERVE_SANDBOX_CALLS_H
#define NST_SERVE_SANDBOX_CALLS_H

#include <stdbool.h>

/* True if this kernel and processor can filter system calls. */
bool serve_calls_can_be_filtered(void);

/* Filter the calls of this process and of the program that it executes. gpu: allow what
 * CUDA needs. Allocates nothing. False: errno. */
bool serve_calls_restrict(bool gpu);

#endif
