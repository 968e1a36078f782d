/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "session/devices.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "backend/cuda/cuda.h"
#include "base/alloc.h"
#include "kernels/nchw16c.h"

static json_t *describe_gpu(int i)
{
    struct nst_cuda_device d;
    struct nst_err err;
    int cuda = nst_cuda_driver_version();
    char name[32], capability[32], version[32];

    snprintf(name, sizeof name, "cuda:%d", i);
    if (nst_cuda_device(i, &d, &err) != NST_OK)
        return json_pack("{s:s, s:s}", "name", name, "error", err.text);
    snprintf(capability, sizeof capability, "%d.%d", d.major, d.minor);
    snprintf(version, sizeof version, "%d.%d", cuda / 1000, cuda % 1000 / 10);
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:s}", "name", name, "model", d.name,
                     "compute_capability", capability, "memory", (json_int_t)d.memory,
                     "memory_free", (json_int_t)d.free_memory, "cuda", version);
}

static json_t *list_devices(void)
{
    const struct nst_nchw16c_kernels *kernels = nst_nchw16c_choose();
    struct nst_err err;
    int count = nst_cuda_device_count(&err);
    json_t *all = json_pack("[{s:s, s:s}]", "name", "cpu", "instructions",
                            kernels ? kernels->name : "none");

    for (int i = 0; i < count; i++)
        json_array_append_new(all, describe_gpu(i));
    if (count == 0)
        json_array_append_new(
            all, json_pack("{s:s, s:s}", "name", "cuda", "error", err.text));
    return all;
}

static const char *get_text(const json_t *device, const char *key)
{
    return json_string_value(json_object_get(device, key));
}

static long long get_mib(const json_t *device, const char *key)
{
    return (long long)json_integer_value(json_object_get(device, key)) >> 20;
}

static char *format_device(const json_t *d)
{
    const char *name = get_text(d, "name");

    if (get_text(d, "error"))
        return nst_xasprintf("%-8s none: %s\n", name, get_text(d, "error"));
    if (get_text(d, "instructions"))
        return nst_xasprintf("%-8s %s\n", name, get_text(d, "instructions"));
    return nst_xasprintf(
        "%-8s %s, compute capability %s, %lld MiB, %lld free, CUDA %s\n", name,
        get_text(d, "model"), get_text(d, "compute_capability"), get_mib(d, "memory"),
        get_mib(d, "memory_free"), get_text(d, "cuda"));
}

char *nst_describe_devices(bool as_json)
{
    json_t *all = list_devices(), *d;
    char *text;
    size_t i;

    if (as_json) {
        char *s = json_dumps(all, JSON_COMPACT);

        text = nst_xasprintf("%s\n", s);
        free(s);
        json_decref(all);
        return text;
    }
    text = nst_xstrdup("");
    json_array_foreach(all, i, d) {
        char *one = format_device(d), *more = nst_xasprintf("%s%s", text, one);

        free(one);
        free(text);
        text = more;
    }
    json_decref(all);
    return text;
}
