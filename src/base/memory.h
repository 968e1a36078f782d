/* SPDX-License-Identifier: MIT */
/* memory.h - memory that this process uses, and memory that is still available. */
#ifndef NST_BASE_MEMORY_H
#define NST_BASE_MEMORY_H

#include <stddef.h>

/* Resident memory in bytes: current, and peak so far. */
size_t nst_memory_resident(void);
size_t nst_memory_peak(void);
/* Return freed heap memory to the system. */
void nst_memory_trim(void);

/*
 * Bytes that can be allocated without swapping: the minimum of the kernel's
 * MemAvailable, of what the memory cgroups of this process (version 1 or 2) have left,
 * and of what its limits (ulimit -v, -d) have left.
 */
size_t nst_memory_available(void);

#endif
