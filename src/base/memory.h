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

/* Let new threads have small stacks if ulimit -v or -d limits the address space. */
void nst_memory_limit_stacks(void);
/* Bytes of address space that ulimit -v and -d leave. SIZE_MAX: there is no limit. */
size_t nst_memory_address_space(void);
/* Threads that image libraries start: libvips, and an encoder, about one per processor
 * each. Their address space. */
int nst_memory_library_threads(void);
size_t nst_memory_for_threads(void);

/*
 * Bytes that can be allocated without swapping: the minimum of the kernel's
 * MemAvailable, of what the memory cgroups of this process (version 1 or 2) have left,
 * and of its address space, except what image libraries will need.
 */
size_t nst_memory_available(void);

#endif
