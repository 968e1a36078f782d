#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The installed libnst: its exported symbols, the functions it calls, and the example.
bats_require_minimum_version 1.5.0
load helper

# Install into a folder that all tests share.
setup_file() {
    [ "${SANITIZERS:-no}" = no ] || return 0
    local build
    build=$(dirname "$(dirname "$NST")")
    cd "$BATS_FILE_TMPDIR" || return 1
    env -u MAKEFLAGS -u MAKELEVEL make -s -C "$build" install DESTDIR="$PWD/root" >log 2>&1 || {
        cat log
        return 1
    }
    root=$PWD/root$(sed -n 's/^prefix=//p' "$build/nst.pc")
    export root
}

# installed: use the installed library; sets $flags to the compiler flags
installed() {
    needs_plain_build
    needs pkg-config
    flags=$(PKG_CONFIG_PATH=$root/lib/pkgconfig pkg-config \
        --define-variable=prefix="$root" --cflags --libs nst)
    export LD_LIBRARY_PATH=$root/lib
}

@test "installed programs start before ldconfig has run" {
    needs_plain_build
    needs readelf
    local prefix=${root#"$BATS_FILE_TMPDIR"/root} program
    [ "$prefix" != /usr ] || skip "the dynamic linker searches /usr/lib"
    for program in "$root"/bin/nst*; do
        case $program in */nst-film) continue ;; esac # a script
        [ "$(readelf -d "$program" | grep -c "RUNPATH.*\[$prefix/lib[^]]*\]")" = 1 ]
    done
    [ -d "$prefix" ] && unshare -rm true 2>/dev/null || skip "there are no namespaces for mounts"
    # shellcheck disable=SC2016 # the inner shell expands it
    env -u LD_LIBRARY_PATH unshare -rm sh -c 'mount --bind "$0" "$1" && cd / &&
        for program in "$1"/bin/nst*; do "$program" --version || exit; done' "$root" "$prefix"
}

@test "the library exports exactly what nst.h declares" {
    installed
    gcc -fsyntax-only -Wall -Wextra -Werror -std=c11 -x c "$root/include/nst.h"
    nm -D --defined-only "$root/lib/libnst.so" | awk '$2 == "T" { print $3 }' |
        sed 's/@.*//' | sort >shown
    printf '#include <nst.h>\n' >all.c
    gcc -I"$root/include" -E all.c | sed '/^static inline/,/^}/d' | tr -d '\n' | tr ';' '\n' | grep -v typedef |
        grep -oE '\bnst_[a-z0-9_]+ ?\(' | tr -d ' (' | sort -u >declared
    diff declared shown
    [ "$(wc -l <shown)" -gt 80 ]
    nm -D --defined-only "$root/lib/libnst.so" | awk '$2 != "T" && $3 !~ /^NST_/' >others
    [ ! -s others ]
}

@test "the library never prints, and ends the program only if memory runs out" {
    installed
    nm -D --undefined-only "$root/lib/libnst.so" | awk '{ sub(/@.*/, "", $2); print $2 }' \
        >wanted
    grep -qx abort wanted
    run ! grep -xE '_?_?(v?f?printf|puts|putchar|fputs|fputc|fwrite|perror|psignal|warnx?|errx?|error|syslog)(_chk)?' wanted
    run ! grep -xE 'exit|_exit|_Exit|quick_exit|raise|kill|stdout|stderr|__assert_fail' wanted
    run ! grep -xE 'signal|sigaction|setlocale|chdir|setenv|putenv|unsetenv|umask|strtok|rand|srand|localtime|gmtime' wanted
}

@test "the example builds with pkg-config and stylises an image" {
    installed
    # shellcheck disable=SC2086 # word splitting is intended
    gcc -Wall -Wextra -Werror -std=c11 -o "$root/bin/example" "$srcdir/docs/example.c" $flags
    "$root/bin/example" photo.ppm van-gogh out.png >said
    cat said
    [ "$(dimensions out.png)" = 256x192 ]
    grep -q '^40 of 40, loss ' said
    grep -qE '^SSIM to the photograph: 0\.[0-9]+$' said
    run ! "$root/bin/example" photo.ppm nothing out2.png
    [[ $output == *nothing* ]]
    [ ! -e out2.png ]
    # nst makes the same image
    "$NST" photo.ppm -s van-gogh -o again.png -S 256 --iterations 40 -q
    cmp out.png again.png
}

@test "nst.h compiles and links as C++" {
    needs g++
    installed
    printf '#include <nst.h>\nint main() { nst_params p; nst_params_init(&p); nst_params_clear(&p); }\n' >a.cc
    # shellcheck disable=SC2086 # word splitting is intended
    g++ -Wall -Wextra -Werror -o a.out a.cc $flags
    ./a.out
}
