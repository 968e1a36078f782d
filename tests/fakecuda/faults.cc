/* SPDX-License-Identifier: MIT */
/*
 * faults.cc - fatal errors of the fake CUDA device: their reports, and the checks for
 * addresses that a device would reject.
 */
#include "device.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <string>
#include <vector>

static std::vector<char> read_file(const char *path)
{
    std::vector<char> bytes;
    FILE *file = fopen(path, "rb");

    if (!file)
        return bytes;
    for (int c; (c = getc(file)) != EOF;)
        bytes.push_back(static_cast<char>(c));
    fclose(file);
    return bytes;
}

/* The function at an offset of a program or library, from its symbol table: kernels are
 * mostly static, and dladdr() does not know static functions. */
static const char *symbol_name(const std::vector<char> &file, uintptr_t at)
{
    auto header = reinterpret_cast<const ElfW(Ehdr) *>(file.data());
    auto sections = reinterpret_cast<const ElfW(Shdr) *>(file.data() + header->e_shoff);

    for (int i = 0; i < header->e_shnum; i++) {
        if (sections[i].sh_type != SHT_SYMTAB)
            continue;
        auto s =
            reinterpret_cast<const ElfW(Sym) *>(file.data() + sections[i].sh_offset);
        const char *names = file.data() + sections[sections[i].sh_link].sh_offset;
        for (size_t n = sections[i].sh_size / sizeof *s; n > 0; n--, s++)
            if (s->st_value == at && (s->st_info & 0xf) == STT_FUNC)
                return names + s->st_name;
    }
    return "a kernel without a name";
}

static std::string kernel_name(const void *kernel)
{
    Dl_info info = {};

    dladdr(kernel, &info);
    std::vector<char> file = read_file(info.dli_fname ? info.dli_fname : "");
    if (file.empty())
        file = read_file("/proc/self/exe");
    if (file.empty())
        return "a kernel";
    bool moved = reinterpret_cast<ElfW(Ehdr) *>(file.data())->e_type == ET_DYN;
    const char *name = symbol_name(
        file, reinterpret_cast<uintptr_t>(kernel) -
                  (moved ? reinterpret_cast<uintptr_t>(info.dli_fbase) : 0));
    char *plain = abi::__cxa_demangle(name, NULL, NULL, NULL);
    std::string result = plain ? plain : name;
    free(plain);
    return result;
}

void fake::print_launch()
{
    const fake::Launch &l = *current_launch;

    fprintf(stderr,
            "fake CUDA: %s\nfake CUDA: grid %ux%ux%u, block %ux%ux%u, %zu bytes of "
            "shared memory; block (%u,%u,%u), thread (%u,%u,%u)\n",
            kernel_name(l.kernel).c_str(), l.grid.x, l.grid.y, l.grid.z, l.block.x,
            l.block.y, l.block.z, l.shared, blockIdx.x, blockIdx.y, blockIdx.z,
            threadIdx.x, threadIdx.y, threadIdx.z);
}

void fake::fail(const char *fmt, ...)
{
    va_list ap;

    if (current_launch)
        print_launch();
    fputs("fake CUDA: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    abort();
}

/* ---- addresses ---- */

[[noreturn]] static void fail_access(const char *instruction, const void *p,
                                     size_t size, const std::string &why)
{
    fake::fail("%s of %zu bytes at %p: %s; block (%u,%u,%u), thread (%u,%u,%u)",
               instruction, size, p, why.c_str(), blockIdx.x, blockIdx.y, blockIdx.z,
               threadIdx.x, threadIdx.y, threadIdx.z);
}

static void check_aligned(const char *instruction, const void *p, size_t size)
{
    if (reinterpret_cast<uintptr_t>(p) % size != 0)
        fail_access(instruction, p, size, "not a multiple of " + std::to_string(size));
}

/* An address outside the dynamic shared memory may be a __shared__ variable of the
 * kernel, whose size is not known here. */
void fake::check_shared(const char *instruction, const void *p, size_t size)
{
    long at = static_cast<long>(reinterpret_cast<uintptr_t>(p) -
                                reinterpret_cast<uintptr_t>(shared_memory()));
    long shared = static_cast<long>(current_launch->shared);
    bool in_range =
        at >= -static_cast<long>(guard) && at < static_cast<long>(max_shared);

    check_aligned(instruction, p, size);
    if (in_range && (at < 0 || at + static_cast<long>(size) > shared))
        fail_access(instruction, p, size,
                    "byte " + std::to_string(at) + " of the " + std::to_string(shared) +
                        " of shared memory");
    if (!in_range && on_device(p, size))
        fail_access(instruction, p, size, "not in shared memory");
}

void fake::check_global(const char *instruction, const void *p, size_t size)
{
    check_aligned(instruction, p, size);
    if (!on_device(p, size))
        fail_access(instruction, p, size, "not in the device's memory");
}
