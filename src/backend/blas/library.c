/* SPDX-License-Identifier: MIT */
/* library.c - loads the BLAS at run time, so that nst needs none until it uses it. */
#include "config.h"

#include "backend/blas/blas.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Each thread of OpenMP calls the BLAS, which must not use more threads itself. */
static void use_one_thread(void *library)
{
    static const char *const setters[] = {"openblas_set_num_threads",
                                          "MKL_Set_Num_Threads",
                                          "bli_thread_set_num_threads"};

    for (size_t i = 0; i < sizeof setters / sizeof *setters; i++) {
        /* of an int or a long */
        void (*set)(long) = (void (*)(long))dlsym(library, setters[i]);

        if (set)
            set(1);
    }
}

/* It stays loaded: a BLAS may have threads, which dlclose() does not end. They block
 * all signals, as those of nst do. */
static void *load(const char *name)
{
    sigset_t all, before;
    void *library;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    library = dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (library)
        use_one_thread(library);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return library;
}

/* OpenBLAS has a buffer of 32 MiB for each of its threads and of those that call it. If
 * the system refuses one (ulimit -v), it tries for ever. So ask before. */
static enum nst_status require_address_space(int threads, struct nst_err *err)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    size_t mib = 64 + 64 * ((size_t)threads + (size_t)(cpus > 0 ? cpus : 1));
    void *space = mmap(NULL, mib << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (space == MAP_FAILED)
        return nst_err_set(err, NST_ERR_MEM,
                           "the backend blas needs %zu MiB of address space: raise the "
                           "limit (ulimit -v), or use fewer threads (-t)",
                           mib);
    munmap(space, mib << 20);
    return NST_OK;
}

enum nst_status nst_blas_load(nst_sgemm_fn **sgemm, int threads, struct nst_err *err)
{
    const char *name = getenv("NST_BLAS");
    void *library;

    *sgemm = NULL;
    if (require_address_space(threads, err) != NST_OK)
        return NST_ERR_MEM;
    library = load(name && *name ? name : "libopenblas.so.0");
    if (!library && !(name && *name))
        library = load("libblas.so.3");
    if (library)
        *sgemm = (nst_sgemm_fn *)dlsym(library, "cblas_sgemm");
    if (*sgemm)
        return NST_OK;
    return nst_err_set(err, NST_ERR_ARG,
                       "the backend blas needs a BLAS: install libopenblas0, or name a "
                       "library that has cblas_sgemm in NST_BLAS (%s)",
                       dlerror());
}
