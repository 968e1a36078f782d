# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# packages.sh - what Debian packages nst needs, for the scripts beside it to install.

BUILD_PACKAGES="gcc libc6-dev make autoconf automake pkg-config
    libvips-dev liblcms2-dev libopenblas-dev libjansson-dev"
# shellcheck disable=SC2034 # used by check
TEST_PACKAGES="$BUILD_PACKAGES libcmocka-dev bats mandoc jq libimage-exiftool-perl"

# install_packages NAME...: those that are missing, and nothing at all if none is.
install_packages() {
    missing=
    for name in "$@"; do
        dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed' ||
            missing="$missing $name"
    done
    [ -n "$missing" ] || return 0
    as_root=
    if [ "$(id -u)" != 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "please install as root: apt-get install$missing" >&2
            return 1
        fi
        as_root=sudo
    fi
    echo "installing:$missing"
    $as_root apt-get -qq update
    # shellcheck disable=SC2086 # words are wanted
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y \
        --no-install-recommends $missing >/dev/null
}

# build DIRECTORY [CONFIGURE OPTION...]: make everything there, from a fresh clone or
# again; what it says is shown only if it fails.
build() {
    directory=$1
    shift
    mkdir -p "$directory"
    if ! (
        [ -x configure ] || autoreconf -i
        cd "$directory"
        [ -f Makefile ] || ../configure "$@"
        make -j"$(nproc)"
    ) >"$directory/build.log" 2>&1; then
        tail -n 40 "$directory/build.log" >&2
        echo "the build failed: $directory/build.log has it all" >&2
        return 1
    fi
}
