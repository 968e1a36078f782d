/* SPDX-License-Identifier: MIT */
/* library_types.h - the element types of the fake CUDA device's libraries. */
#ifndef NST_TESTS_LIBRARY_TYPES_H
#define NST_TESTS_LIBRARY_TYPES_H

typedef enum cudaDataType_t { CUDA_R_32F = 0, CUDA_R_16F = 2 } cudaDataType;

#endif
