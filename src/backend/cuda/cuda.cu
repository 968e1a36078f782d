/* SPDX-License-Identifier: MIT */
/*
 * cuda.cu - the backend's operator table; opens and closes a device.
 */
#include "config.h"

#include "backend/cuda/conv.cuh"
#include "backend/cuda/operators.cuh"

#include <stdio.h>
#include <stdlib.h>

extern "C" {
#include "base/alloc.h"
}

static void destroy_stream(struct cuda_stream *s)
{
    if (s->stream)
        cudaStreamDestroy(s->stream);
    cudaFree(s->scratch);
}

static void cuda_close(struct nst_backend *be)
{
    struct cuda *cu = cuda_of(be);

    if (cu->blas)
        cublasDestroy(cu->blas);
    destroy_stream(&cu->current);
    destroy_stream(&cu->other);
    if (cu->side_done)
        cudaEventDestroy(cu->side_done);
    if (cu->main_done)
        cudaEventDestroy(cu->main_done);
    cudaFree(cu->workspace);
    cudaFree(cu->peak);
    cudaFreeHost(cu->peak_host);
    cudaFreeHost(cu->staging);
    cuda_vectors_close(cu);
    nst_threads_free(be->threads);
    free(cu);
}

static enum nst_status cuda_open(struct nst_backend **out,
                                 const struct nst_backend_config *config,
                                 struct nst_err *err);

static enum nst_status cuda_clone(struct nst_backend **out,
                                  const struct nst_backend *be, struct nst_err *err)
{
    const struct cuda *cu = reinterpret_cast<const struct cuda *>(be);
    enum nst_status st = cuda_open(out, &be->config, err);

    if (st == NST_OK)
        st = cuda_reserve_scratch(cuda_of(*out), &cuda_of(*out)->current,
                                  cu->current.scratch_bytes, err);
    if (st != NST_OK && *out) {
        cuda_close(*out);
        *out = NULL;
    }
    if (st == NST_OK)
        cuda_query_memory(cuda_of(*out));
    return st;
}

template <class T>
static const struct nst_backend_ops operators = {
    .name = "cuda",
    .open = cuda_open,
    .close = cuda_close,
    .clone = cuda_clone,
    .buffer_alloc = cuda_buffer_alloc,
    .buffer_free = cuda_buffer_free,
    .buffer_upload = cuda_buffer_upload,
    .buffer_download = cuda_buffer_download,
    .buffer_copy = cuda_buffer_copy,
    .graph_replay = cuda_graph_replay,
    .graph_free = cuda_graph_free,
    .copy_window = cuda_copy_window,
    .vectors = &cuda_vectors,
    .tensor_new = cuda_tensor_new<T>,
    .tensor_free = cuda_tensor_free,
    .tensor_bytes = cuda_tensor_bytes<T>,
    .tensor_copy = cuda_tensor_copy<T>,
    .tensor_upload = cuda_tensor_upload<T>,
    .tensor_download = cuda_tensor_download<T>,
    .conv_new = cuda_conv_new<T>,
    .conv_prepare = NULL,
    .conv_plan = NULL,
    .conv_free = cuda_conv_free,
    .conv = cuda_conv<T>,
    .conv_grad = cuda_conv_grad<T>,
    .head_grad = cuda_head_grad<T>,
    .first_conv = cuda_first_conv<T>,
    .first_conv_grad = cuda_first_conv_grad<T>,
    .layer_sums = cuda_layer_sums<T>,
    .squared_error = cuda_squared_error<T>,
    .gram_loss = cuda_gram_loss,
    .moment_loss = cuda_moment_loss,
    .matrix_bytes = cuda_matrix_bytes<T>,
    .matrix_pack = cuda_matrix_pack<T>,
    .tv_loss = cuda_tv_loss,
    .temporal_loss = cuda_temporal_loss,
};

extern "C" const struct nst_backend_ops nst_backend_cuda = operators<float>;

static enum nst_status set_cuda_error(cudaError_t e, int device, struct nst_err *err)
{
    cudaGetLastError();
    return nst_err_set(err, NST_ERR_IO, "cuda:%d: %s (%s)", device,
                       cudaGetErrorString(e), cudaGetErrorName(e));
}

/* Check that the device exists and has the precision; read its properties. */
static enum nst_status check_device(struct cuda *cu, struct nst_err *err)
{
    struct cudaDeviceProp p;
    int count = nst_cuda_device_count(err);
    cudaError_t e;

    if (count == 0)
        return NST_ERR_IO;
    if (cu->device < 0 || cu->device >= count)
        return nst_err_set(err, NST_ERR_ARG, "cuda:%d: there is cuda:0%s%.0d",
                           cu->device, count > 1 ? " to cuda:" : " alone",
                           count > 1 ? count - 1 : 0);
    e = cudaGetDeviceProperties(&p, cu->device);
    if (e == cudaSuccess)
        e = cudaSetDevice(cu->device);
    if (e != cudaSuccess)
        return set_cuda_error(e, cu->device, err);
    cu->capability = 10 * p.major + p.minor;
    cu->sm_count = p.multiProcessorCount;
    cu->max_shared = p.sharedMemPerBlockOptin;
    if (cu->precision == NST_PRECISION_AUTO)
        cu->precision = cu->capability >= 80 ? NST_PRECISION_TF32 : NST_PRECISION_FP32;
    if (cu->precision == NST_PRECISION_TF32 && cu->capability < 80)
        return nst_err_set(
            err, NST_ERR_ARG,
            "precision tf32: cuda:%d (%s) has compute capability %d.%d, and "
            "8.0 is needed",
            cu->device, p.name, p.major, p.minor);
    cu->tensor_cores = cu->capability >= 80 && cu->precision != NST_PRECISION_FP32;
    return NST_OK;
}

/* Create streams, events and memory that all operators need. */
static enum nst_status create_resources(struct cuda *cu, struct nst_err *err)
{
    cudaError_t e =
        cudaStreamCreateWithFlags(&cu->current.stream, cudaStreamNonBlocking);
    enum nst_status st;
    void *peak = NULL;

    if (e == cudaSuccess)
        e = cudaStreamCreateWithFlags(&cu->other.stream, cudaStreamNonBlocking);
    if (e == cudaSuccess)
        e = cudaEventCreateWithFlags(&cu->side_done, cudaEventDisableTiming);
    if (e == cudaSuccess)
        e = cudaEventCreateWithFlags(&cu->main_done, cudaEventDisableTiming);
    if (e == cudaSuccess)
        e = cudaMallocHost(&cu->staging, CUDA_STAGING_BYTES);
    if (e != cudaSuccess)
        return set_cuda_error(e, cu->device, err);
    st = cuda_alloc(cu, &cu->workspace, CUDA_WORKSPACE, err);
    if (st == NST_OK)
        st = cuda_vectors_init(cu, err);
    if (st != NST_OK)
        return st;
    st = cuda_reserve_scratch(cu, &cu->current, MIN_SCRATCH, err);
    if (st == NST_OK)
        st = cuda_reserve_scratch(cu, &cu->other, SIDE_SCRATCH, err);
    if (st != NST_OK)
        return st;
    if (cu->tensor_cores)
        cuda_implicit_gemm_init(cu);
    if (cu->precision != NST_PRECISION_FP16)
        return NST_OK;
    st = cuda_alloc(cu, &peak, sizeof *cu->peak, err);
    cu->peak = static_cast<int *>(peak);
    if (st != NST_OK)
        return st;
    cuda_ok(cu, cudaMemsetAsync(cu->peak, 0, sizeof *cu->peak, cu->current.stream));
    e = cudaMallocHost(&cu->peak_host, sizeof *cu->peak_host);
    return e == cudaSuccess ? NST_OK : set_cuda_error(e, cu->device, err);
}

static enum nst_status cuda_open(struct nst_backend **out,
                                 const struct nst_backend_config *config,
                                 struct nst_err *err)
{
    struct cuda *cu = static_cast<struct cuda *>(nst_xcalloc(1, sizeof *cu));
    enum nst_status st;

    *out = NULL;
    cu->base.config = *config;
    cu->base.max_regions = 1;
    cu->device = config->device;
    cu->precision = config->precision;
    cu->base.loss_scale = 1;
    st = check_device(cu, err);
    if (st == NST_OK)
        st = nst_threads_new(&cu->base.threads, config->threads, err);
    if (st == NST_OK)
        st = create_resources(cu, err);
    if (st != NST_OK) {
        cuda_close(&cu->base);
        return st;
    }
    cu->base.config.precision = cu->precision;
    cuda_query_memory(cu);
    cu->base.ops =
        cu->precision == NST_PRECISION_FP16 ? &operators<__half> : &operators<float>;
    *out = &cu->base;
    return NST_OK;
}

int nst_cuda_driver_version(void)
{
    int version = 0;

    return cudaDriverGetVersion(&version) == cudaSuccess ? version : 0;
}

int nst_cuda_device_count(struct nst_err *err)
{
    int count = 0;
    cudaError_t e = cudaGetDeviceCount(&count);

    if (e == cudaSuccess && count > 0)
        return count;
    cudaGetLastError();
    nst_err_set(err, NST_ERR_IO, "cuda: %s",
                e == cudaSuccess ? "there is no device" : cudaGetErrorString(e));
    return 0;
}

enum nst_status nst_cuda_device(int i, struct nst_cuda_device *out, struct nst_err *err)
{
    struct cudaDeviceProp p;
    cudaError_t e = cudaGetDeviceProperties(&p, i);
    size_t total = 0;

    *out = {};
    if (e == cudaSuccess)
        e = cudaSetDevice(i);
    if (e == cudaSuccess)
        e = cudaMemGetInfo(&out->free_memory, &total);
    if (e != cudaSuccess)
        return set_cuda_error(e, i, err);
    snprintf(out->name, sizeof out->name, "%s", p.name);
    out->major = p.major;
    out->minor = p.minor;
    out->memory = p.totalGlobalMem;
    return NST_OK;
}
