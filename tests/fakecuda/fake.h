/* SPDX-License-Identifier: MIT */
/*
 * fake.h - what a test may ask of the fake CUDA device (fake.cc), and how its
 * environment sets it:
 *
 *   NST_FAKE_CUDA_DEVICES  how many there are: 1; 0 gives cudaErrorNoDevice
 *   NST_FAKE_CUDA_MEMORY   bytes of each: 2 GiB
 *   NST_FAKE_CUDA_CC       compute capability, 75, 80 or 90: 90; for less there
 *                          are no kernels
 *   NST_FAKE_CUDA_DRIVER   none gives cudaErrorInsufficientDriver
 *
 * They are read at every call, so that a test may change them as it goes.
 */
#ifndef NST_TESTS_FAKE_H
#define NST_TESTS_FAKE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

long fake_cuda_mallocs(void);  /* calls of cudaMalloc so far */
long fake_cuda_launches(void); /* kernels run so far, those of graphs each time */
size_t fake_cuda_peak(void);   /* the most bytes that cudaMalloc had given at once */

#ifdef __cplusplus
}
#endif

#endif
