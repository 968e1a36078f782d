/* SPDX-License-Identifier: MIT */
/*
 * fake.h - what tests can query of the fake CUDA device (fake.cc), and the environment
 * variables that configure it:
 *
 *   NST_FAKE_CUDA_DEVICES  number of devices (1); 0 gives cudaErrorNoDevice
 *   NST_FAKE_CUDA_MEMORY   bytes of each device (2 GiB)
 *   NST_FAKE_CUDA_CC       compute capability: 75, 80 or 90 (90); lower ones have no
 *                          kernels
 *   NST_FAKE_CUDA_DRIVER   none gives cudaErrorInsufficientDriver
 *
 * They are read at every call, so a test may change them at any time.
 */
#ifndef NST_TESTS_FAKE_H
#define NST_TESTS_FAKE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

long fake_cuda_mallocs(void);  /* calls of cudaMalloc so far */
long fake_cuda_launches(void); /* kernels run so far, each replay of a graph included */
size_t fake_cuda_peak(void);   /* the most bytes allocated at once on a device */

#ifdef __cplusplus
}
#endif

#endif
