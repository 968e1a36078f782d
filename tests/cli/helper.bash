# SPDX-License-Identifier: MIT
# helper.bash - shared by the command-line tests. $NST is the program; each test has its
# own directory with images of a few pixels, and uses the bundled network.

setup() {
    mkdir "$BATS_TEST_TMPDIR/work"
    cd "$BATS_TEST_TMPDIR/work" || return 1
    export NST_HISTORY=none
    picture style.ppm 40 32 5
    picture photo.ppm 48 36 11
}

# picture FILE WIDTH HEIGHT SEED: make a PPM of waves in three colours.
picture() {
    awk -v w="$2" -v h="$3" -v s="$4" 'BEGIN {
        printf "P3\n%d %d\n255\n", w, h
        for (y = 0; y < h; y++)
            for (x = 0; x < w; x++)
                printf "%d %d %d\n", 127 + 120 * sin(x * s / 17 + y / 5),
                    127 + 120 * cos(y * s / 23), 127 + 120 * sin((x + y) * s / 31)
    }' >"$1"
}

# nst ARG...: run the program, quick and quiet unless the arguments override that.
nst() {
    "$NST" --size 32 --iterations 3 --progress none "$@"
}

# dimensions FILE: WxH of a PNG, from two big-endian words at byte 16.
dimensions() {
    od -An -tu1 -j16 -N8 "$1" | awk '{print $3 * 256 + $4 "x" $7 * 256 + $8}'
}

# The line that follows a mistake in the options.
export TRY="Try 'nst --help' or 'man nst' for more information."

# refused STATUS PATTERN ARG...: nst exits with STATUS after at most $REFUSAL_MS of CPU
# time, prints one line that matches, perhaps followed by $TRY, and makes no file.
refused() {
    local status_wanted=$1 pattern=$2 TIMEFORMAT='%3U %3S' user system timing
    shift 2
    local before=(* .*)
    { time run --separate-stderr nst "$@"; } 2>"$BATS_TEST_TMPDIR/took"
    local after=(* .*)
    mapfile -t timing <"$BATS_TEST_TMPDIR/took"
    read -r user system <<<"${timing[-1]}" # bash may warn before that
    local took=$((10#${user/[.,]/} + 10#${system/[.,]/}))
    echo "status $status, stdout '${output:0:80}', stderr '$stderr', $took ms"
    [ "$status" = "$status_wanted" ]
    [ -z "$output" ]
    [[ $stderr == nst:\ * ]]
    stderr=${stderr%$'\n'"$TRY"}
    [[ $stderr != *$'\n'* ]]
    grep -qE -- "$pattern" <<<"$stderr"
    [ "${before[*]}" = "${after[*]}" ]
    [ "$took" -lt "${REFUSAL_MS:-3000}" ]
}

# wait_until CONDITION: evaluate it twenty times a second until it holds; fail after
# $WAIT_SECONDS, or two minutes, which a busy machine may need.
wait_until() {
    local end=$((SECONDS + ${WAIT_SECONDS:-120}))
    until eval "$1"; do
        if [ $SECONDS -ge $end ]; then
            echo "in vain: $1"
            return 1
        fi
        sleep 0.05
    done
}

# interrupt_nst ARG...: run nst and interrupt it after some steps; the status is its own
interrupt_nst() {
    local pid status=0
    env --default-signal=INT "$NST" --progress json "$@" 2>progress 3>&- &
    pid=$!
    wait_until '[ "$(grep -c step progress)" -gt 3 ]'
    kill -INT "$pid"
    wait "$pid" || status=$?
    return $status
}

# needs TOOL: skip the test if TOOL is missing.
needs() {
    command -v "$1" >/dev/null || skip "$1 is not installed"
}

# needs_terminal: skip the test if there are no pseudo-terminals.
needs_terminal() {
    needs script
    script -qec true /dev/null >/dev/null 2>&1 || skip "there are no pseudo-terminals"
}

# needs_plain_build: skip the test with sanitizers, which take memory of their own.
needs_plain_build() {
    [ "${SANITIZERS:-no}" = no ] || skip "the build has sanitizers"
}

# needs_serve: skip the test if nst-serve was not built, for lack of its libraries.
needs_serve() {
    [ -x "$(dirname "$NST")/nst-serve" ] || skip "nst-serve is not built"
}

# gif FRAMES: a 48x36 animation with 5 loops and delays of 0.1 s, 0.2 s and so on:
# waves, a moving square and a transparent corner. With 7 bits per pixel, and the code
# table cleared before codes exceed 8 bits, each code is one byte.
gif() {
    LC_ALL=C awk -v frames="$1" 'BEGIN {
        w = 48
        h = 36
        printf "GIF89a%c%c%c%c%c%c%c", w, 0, h, 0, 246, 0, 0
        for (i = 0; i < 128; i++)
            printf "%c%c%c", 2 * i, 5 * i % 250, 250 - i
        printf "!%c%cNETSCAPE2.0%c%c%c%c%c", 255, 11, 3, 1, 4, 0, 0
        for (t = 0; t < frames; t++) {
            printf "!%c%c%c%c%c%c%c", 249, 4, 9, 10 * (t + 1), 0, 0, 0
            printf ",%c%c%c%c%c%c%c%c%c%c", 0, 0, 0, 0, w, 0, h, 0, 0, 7
            for (n = 0; n < w * h; n++) {
                x = n % w
                y = int(n / w)
                v = x < 8 && y < 8 ? 0 : int(50 + 30 * sin(x / 4) + 15 * cos(y / 5))
                if (x >= 12 + 3 * t && x < 20 + 3 * t && y < 10)
                    v = 120
                if (n % 108 == 0)
                    printf "%c%c", 109, 128
                printf "%c", v
            }
            printf "%c%c%c", 1, 129, 0
        }
        printf ";"
    }'
}
