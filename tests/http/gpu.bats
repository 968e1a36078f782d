#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# GPU support of nst-serve. Tests that need a GPU use tests/fakecuda in a build
# --with-cuda=fake and are skipped in other builds.
bats_require_minimum_version 1.5.0
load helper
unset NST_FAKE_CUDA_DRIVER

needs_fake() {
    "$NST" --list-devices | grep -q '^cuda:0  *fake,' ||
        skip "the build has no GPU of the tests"
}

# Start the service beside a copy of nst, which the file broken replaces if it exists, or
# later break_nst.
serve_apart() {
    serve
    local program dir
    program=$(readlink "/proc/$service/exe")
    stop_service
    dir=$(dirname "$program")
    mkdir apart
    cp "$program" apart/nst-serve
    cp "$dir/nst" apart/nst
    [ ! -d "$dir/../share" ] || ln -s "$dir/../share" share
    [ ! -e broken ] || break_nst
    : >log
    LD_LIBRARY_PATH=$(ldd "$program" | sed -n 's|.*=> \(.*\)/libnst\.so.*|\1|p') \
        SERVE=apart/nst-serve serve "$@"
}

# break_nst: put a file that is no program in its place
break_nst() {
    echo broken >nothing
    chmod +x nothing
    mv nothing apart/nst
}

@test "/api/device-info describes the first GPU" {
    needs_fake
    export NST_FAKE_CUDA_MEMORY=1234567890 NST_FAKE_CUDA_CC=90 NST_FAKE_CUDA_DEVICES=2
    serve
    get /api/device-info
    jq -e '.device == "cuda" and .gpu == {name: "cuda:0", model: "fake",
        compute_capability: "9.0", memory: 1234567890, memory_free: 1234567890,
        cuda: .gpu.cuda} and (.gpu.cuda | test("^[0-9]+\\.[0-9]+$"))' <<<"$body"
    get /health
    [ "$(field gpu_memory_usage)" = 0 ] || [ "$(field gpu_memory_usage)" = 0.0 ]
}

@test "without a GPU, gpu is null and the service is healthy" {
    export NST_FAKE_CUDA_DRIVER=none
    if "$NST" --list-devices | grep -q '^cuda:'; then skip "there is a GPU"; fi
    serve --monitor 1
    get /api/device-info
    jq -e '.device == "cpu" and has("gpu") and .gpu == null' <<<"$body"
    get /health
    [ "$code" = 200 ]
    jq -e '(.status | IN("healthy", "warning")) and .gpu_memory_usage == null' <<<"$body"
    sleep 1.5
    grep -q 'processors.* in use' log
    run ! grep -q GPU log
}

@test "the next query reports a warning above 90 % of GPU memory" {
    needs_fake
    export NST_FAKE_CUDA_MEMORY=1000000000
    export NST_FAKE_CUDA_FREE=$PWD/free
    serve --monitor 1
    get /health
    [ "$(field status)" = healthy ] || skip "memory or disk is nearly full"
    truncate -s 50000000 free
    wait_until 'get /health >/dev/null; [ "$(field status)" = warning ]'
    [ "$code" = 200 ]
    jq -e '.status == "warning" and .gpu_memory_usage == 95' <<<"$body"
    get /api/device-info
    [ "$(field gpu.memory_free)" = 50000000 ]
    grep -q 'warning.*memory of the GPU 95 %' log
}

@test "if nst fails later, the last GPU data stays and one warning is logged" {
    needs_fake
    serve_apart --monitor 1
    break_nst
    wait_until '[ "$(grep -c "processors.* in use" log)" -ge 3 ]'
    [ "$(grep -c 'warning.*GPU: nst --list-devices' log)" = 1 ]
    get /health
    [ "$code" = 200 ]
    get /api/device-info
    [ "$(field gpu.model)" = fake ]
}

@test "if nst fails from the start, the service is healthy without a GPU" {
    touch broken
    serve_apart --monitor 1
    sleep 2.5
    [ "$(grep -c 'warning.*GPU: nst --list-devices: it failed' log)" = 1 ]
    get /health
    [ "$code" = 200 ]
    jq -e '.gpu_memory_usage == null' <<<"$body"
    get /api/device-info
    [ "$(field gpu)" = null ]
}

@test "the service never loads CUDA, and GPU tasks have unlimited address space" {
    needs_fake
    serve
    run ! grep -q libcuda "/proc/$service/maps"
    upload photo.png
    transfer '{num_steps: 1000, size: 64}'
    until_state running
    grep -q 'Max address space  *unlimited' "/proc/$(children)/limits"
    ask DELETE "/api/tasks/$task"
    until_state cancelled
    stop_service
    NST_FAKE_CUDA_DRIVER=none serve
    transfer '{num_steps: 1000, size: 64}'
    until_state running
    [ "${SANITIZERS:-no}" != no ] ||
        grep 'Max address space' "/proc/$(children)/limits" | grep -qv unlimited
}
