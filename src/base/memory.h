/* SPDX-License-Identifier: MIT */
/*
 * memory.h - what this process takes of the machine's memory, and may take.
 */
#ifndef NST_BASE_MEMORY_H
#define NST_BASE_MEMORY_H

#include <stddef.h>

/* Resident memory, in bytes: now, and at most so far. */
size_t nst_memory_resident(void);
size_t nst_memory_peak(void);
/* Give back what the C library keeps of freed memory. */
void nst_memory_trim(void);

/*
 * Bytes that can still be had without swapping: the least of what the kernel calls
 * available, what the memory cgroups above this process (version 1 or 2) have left,
 * and what its own limits (ulimit -v, -d) have left.
 */
size_t nst_memory_available(void);

#endif
