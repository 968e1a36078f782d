#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The backend blas: it computes what the default one does, with the BLAS that is there or
# that $NST_BLAS names.
bats_require_minimum_version 1.5.0
load helper

# blas ARG...: run nst on the backend blas
blas() {
    NST_BACKEND=blas nst "$@"
}

# needs_blas: skip the test if the build is without the backend, or there is no BLAS.
needs_blas() {
    run blas -s style.ppm photo.ppm -o probe.ppm -n 1
    [[ $output != *"NST_BLAS"* && $output != *"--with-blas"* ]] || skip "$output"
    [ "$status" = 0 ]
}

# needs_backend: skip the test if the build is without the backend.
needs_backend() {
    run blas -s style.ppm photo.ppm -o probe.ppm -n 1
    [[ $output != *"--with-blas"* ]] || skip "$output"
}

# near A B: no sample of these PPM files differs by more than 2 of 255
near() {
    cmp -l "$1" "$2" | awk '
        function digit(s, i) { return i > 0 ? substr(s, i, 1) : 0 }
        function value(s) {
            return 64 * digit(s, length(s) - 2) + 8 * digit(s, length(s) - 1) + digit(s, length(s))
        }
        { d = value($2) - value($3); if (d < 0) d = -d; if (d > most) most = d }
        END { print "differs by " most + 0 " of 255"; exit most > 2 }'
}

@test "the backends blas and cpu make the same picture" {
    needs_blas
    picture mask.ppm 48 36 40
    for options in "" "-p classic" "--tile 16 -p gatys" "--optimiser adam" \
        "--padding reflect --tv-weight 0.1" "--mask mask.ppm -s photo.ppm" \
        "-p classic --pooling avg --style-layers conv_2,relu3_1 --content-layers relu2_2"; do
        # shellcheck disable=SC2086 # word splitting is intended
        nst -s style.ppm $options photo.ppm -o cpu.ppm
        # shellcheck disable=SC2086
        blas -s style.ppm $options photo.ppm -o blas.ppm
        echo "options: $options"
        near cpu.ppm blas.ppm
    done
}

@test "the number of threads does not change a result of the backend blas" {
    needs_blas
    for threads in 1 2 5; do
        blas -t $threads -s style.ppm photo.ppm -o $threads.ppm
    done
    cmp 1.ppm 2.ppm
    cmp 1.ppm 5.ppm
    mkdir d
    cp photo.ppm d/a.ppm
    cp photo.ppm d/b.ppm
    blas -t 2 -j 2 -s style.ppm d -o out/ --name '{stem}.ppm'
    cmp 1.ppm out/a.ppm
    cmp 1.ppm out/b.ppm
}

@test "a BLAS that is missing or unsuitable is an error that names the remedy" {
    needs_backend
    export NST_BACKEND=blas
    NST_BLAS=libnone.so.1 refused 2 \
        'install libopenblas0, or name .* NST_BLAS \(libnone.so.1: cannot open' \
        -s style.ppm photo.ppm -o out.png
    NST_BLAS=libc.so.6 refused 2 'NST_BLAS \(.*undefined symbol: cblas_sgemm\)' \
        -s style.ppm photo.ppm -o out.png
}

@test "a BLAS is not loaded into so little memory that it would hang" {
    needs_backend
    needs_plain_build
    run --separate-stderr timeout 60 bash -c 'ulimit -v 400000; NST_BACKEND=blas exec "$@"' - \
        "$NST" -q -s style.ppm photo.ppm -o out.png -n 1 -S 32 -t 2
    echo "$status $stderr"
    [ "$status" = 1 ]
    [[ $stderr == *"MiB of address space: raise the limit"* ]]
}

@test "NST_BLAS names the library, which is told to use one thread" {
    needs_backend
    needs gcc
    needs_plain_build
    cat >mine.c <<'C'
#include <stdlib.h>
static int threads;
void openblas_set_num_threads(int n) { threads = n; }
void cblas_sgemm(int order, int ta, int tb, int m, int n, int k, float alpha,
                 const float *a, int lda, const float *b, int ldb, float beta, float *c,
                 int ldc)
{
    if (threads != 1 || order != 101 || alpha != 1)
        abort();
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            double sum = beta ? beta * c[i * ldc + j] : 0;

            for (int l = 0; l < k; l++)
                sum += (double)(ta == 112 ? a[l * lda + i] : a[i * lda + l]) *
                       (tb == 112 ? b[j * ldb + l] : b[l * ldb + j]);
            c[i * ldc + j] = (float)sum;
        }
}
C
    gcc -O2 -shared -fPIC -o mine.so mine.c
    nst -s style.ppm photo.ppm -o cpu.ppm -n 1
    NST_BLAS=$PWD/mine.so blas -s style.ppm photo.ppm -o blas.ppm -n 1
    near cpu.ppm blas.ppm
    sed -i 's/sum += /sum -= /' mine.c
    gcc -O2 -shared -fPIC -o mine.so mine.c
    NST_BLAS=$PWD/mine.so blas -s style.ppm photo.ppm -o other.ppm -n 1
    run ! cmp -s blas.ppm other.ppm
}
