/* SPDX-License-Identifier: MIT */
/*
 * planar.h - tensors whose values simply lie C x H x W, for the backends that keep
 * them so. The functions are the operators of struct nst_backend_ops.
 */
#ifndef NST_BACKEND_PLANAR_H
#define NST_BACKEND_PLANAR_H

#include "backend/backend.h"

enum nst_status nst_planar_new(struct nst_backend *be, struct nst_tensor **out,
                               struct nst_shape shape, struct nst_err *err);
void nst_planar_free(struct nst_backend *be, struct nst_tensor *t);
size_t nst_planar_floats(struct nst_backend *be, struct nst_shape shape);
void nst_planar_reshape(struct nst_backend *be, struct nst_tensor *t,
                        struct nst_shape shape);
void nst_planar_upload(struct nst_backend *be, const float *planar,
                       struct nst_tensor *t);
void nst_planar_download(struct nst_backend *be, const struct nst_tensor *t,
                         float *planar);

#endif
