# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# packages.sh - the Debian packages that nst needs, and functions to install and build.

BUILD_PACKAGES="gcc libc6-dev make autoconf automake libtool pkg-config
    libvips-dev liblcms2-dev libjansson-dev libarchive-dev
    libmicrohttpd-dev libglib2.0-dev libsystemd-dev libhiredis-dev
    libcurl4-openssl-dev"
# bsdextrautils contains col
# shellcheck disable=SC2034 # used by check and release
TEST_PACKAGES="$BUILD_PACKAGES libcmocka-dev clang-format-14 clang-tidy-14 cppcheck shellcheck bats mandoc bsdextrautils jq clang-14 g++
    libimage-exiftool-perl valgrind libc6-dbg busybox curl ca-certificates xxd zsh fish libopenblas0-pthread
    wrk redis-server nginx-light openssl socat strace systemd python3 python3-jsonschema
    ffmpeg libvips-tools chromium gimp libgimp2.0-dev xvfb xdotool
    parallel inotify-tools openssh-server rsync slurm-wlm munge
    gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static"

# Do not replace an npm that was installed with another Node.js.
command -v npm >/dev/null || TEST_PACKAGES="$TEST_PACKAGES nodejs npm"

# install_packages NAME...: install missing packages; needs apt and root only if some are.
install_packages() {
    missing=
    for name in "$@"; do
        dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed' ||
            missing="$missing $name"
    done
    [ -n "$missing" ] || return 0

    as_root=
    [ "$(id -u)" = 0 ] || as_root=sudo
    if ! command -v apt-get >/dev/null || ! command -v "${as_root:-env}" >/dev/null; then
        echo "missing packages; run as root: apt-get install$missing" >&2
        return 1
    fi
    echo "installing:$missing"
    log=$(mktemp)
    # If a package list cannot be updated, the installation may still succeed.
    # shellcheck disable=SC2086 # word splitting is intended
    if ! {
        $as_root apt-get update
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y \
            --no-install-recommends -o DPkg::Lock::Timeout=120 $missing
    } >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        rm -f "$log"
        echo "cannot install:$missing" >&2
        return 1
    fi
    rm -f "$log"
}

# build DIRECTORY [CONFIGURE OPTION...]: configure and make in DIRECTORY, from a fresh clone or
# again; of the programs only those in $bin_programs, if it is set. The output goes to
# DIRECTORY/build.log, and is shown only on failure.
build() {
    mkdir -p "$1"
    if ! (configure_and_make "$@") >"$1/build.log" 2>&1; then
        tail -n 40 "$1/build.log" >&2
        echo "the build failed; see $1/build.log" >&2
        return 1
    fi
}

# autoreconf writes Makefile.in last. make runs configure again whenever packages were installed
# or removed, because check installs more of them than demo. config.h must not be older than its
# stamp: make would look at it first in every run, and start all scripts before compiled suites.
configure_and_make() {
    directory=$1
    shift
    { [ -f Makefile.in ] && [ -d build-aux ]; } || autoreconf -i || return 1
    cd "$directory" || return 1
    [ -f Makefile ] || { ../configure "$@" && touch config.h; } || return 1
    # shellcheck disable=SC2016 # for make to expand
    make -j"$(nproc)" ${bin_programs:+bin_PROGRAMS="$bin_programs"} \
        'CONFIG_STATUS_DEPENDENCIES=$(wildcard /var/lib/dpkg/status)'
}
