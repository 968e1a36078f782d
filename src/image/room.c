/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "image/room.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/memory.h"

/* Small allocations and buffers, beside stacks. */
#define BUFFER_BYTES ((size_t)12 << 20)

static void *wait_for_lock(void *lock)
{
    pthread_mutex_lock(lock);
    pthread_mutex_unlock(lock);
    return NULL;
}

bool nst_room_is_left(size_t bytes)
{
    int wanted = nst_memory_library_threads(), started = 0;
    pthread_t *id = nst_xcalloc((size_t)wanted, sizeof *id);
    pthread_mutex_t lock;
    sigset_t all, before;
    bool enough;

    pthread_mutex_init(&lock, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_mutex_lock(&lock);
    while (started < wanted &&
           pthread_create(&id[started], NULL, wait_for_lock, &lock) == 0)
        started++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    enough = started == wanted && nst_memory_address_space() >= BUFFER_BYTES + bytes;
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < started; i++)
        pthread_join(id[i], NULL);
    pthread_mutex_destroy(&lock);
    free(id);
    return enough;
}

enum nst_status nst_room_check(const char *label, size_t bytes, struct nst_err *err)
{
    if (nst_room_is_left(bytes))
        return NST_OK;
    return nst_err_set(err, NST_ERR_MEM,
                       "%s: out of memory or threads: image libraries need %d threads "
                       "and %zu MiB of address space more: raise ulimit -v or -u",
                       label, nst_memory_library_threads(),
                       ((nst_memory_for_threads() + BUFFER_BYTES + bytes) >> 20) + 1);
}
