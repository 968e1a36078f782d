#!/bin/sh
# SPDX-License-Identifier: MIT
#
# serve.sh - how many requests nst-serve answers while it is idle, and while three
# transfers run, by wrk on the same machine; and a hundred requests, ten at once. Prints a
# JSON line for each.
#   NST  the program; nst-serve and shared libraries are found beside it
set -eu
serve=$(dirname "$NST")/nst-serve
if [ ! -x "$serve" ] || ! command -v wrk >/dev/null; then
    echo "serve.sh: needs nst-serve and wrk" >&2
    exit 0
fi
work=$(mktemp -d)
trap 'kill $pid 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT
"$serve" --data "$work/data" --listen 127.0.0.1:0 --rate 0 2>"$work/log" &
pid=$!
until url=$(sed -n 's/.*listening on \(http.*\)/\1/p' "$work/log") && [ -n "$url" ]; do
    sleep 0.1
done
SECONDS_EACH=${SECONDS_EACH:-10}

# load NAME: 64 connections
load() {
    wrk -t1 -c64 "-d${SECONDS_EACH}s" --latency "$url/api/styles" |
        awk -v name="$1" '
            function ms(t) { return t ~ /us$/ ? t / 1000 : t ~ /ms$/ ? t + 0 : t * 1000 }
            $1 == "50%" { p50 = ms($2) }
            $1 == "99%" { p99 = ms($2) }
            /Non-2xx/ { failed = $NF }
            $1 == "Requests/sec:" { rate = $2 }
            END { printf "{\"load\": \"%s\", \"connections\": 64, \"requests_per_second\": " \
                  "%.0f, \"p50_ms\": %.2f, \"p99_ms\": %.2f, \"failed\": %d}\n",
                  name, rate, p50, p99, failed }'
}

# hundred NAME: ten clients of ten requests each, every one by a connection of its own
hundred() {
    python3 - "$url" "$1" <<'END'
import json, sys, time, urllib.request
from concurrent.futures import ThreadPoolExecutor

def one(_):
    begin = time.monotonic()
    with urllib.request.urlopen(sys.argv[1] + "/api/styles") as answer:
        return answer.status == 200 and answer.read()[:1] == b"[", time.monotonic() - begin

with ThreadPoolExecutor(10) as pool:
    list(pool.map(one, range(20)))
    results = list(pool.map(one, range(100)))
print(json.dumps({"load": "100 requests, 10 at once, " + sys.argv[2],
                  "answered": sum(ok for ok, _ in results),
                  "mean_ms": round(10 * sum(t for _, t in results), 2)}))
END
}

load idle
hundred idle
"$NST" "${srcdir:-.}/samples/content.svg" -s munch -o "$work/photo.png" -n 1 -S 512 \
    --progress none --history none
name=$(curl -sS -F content_image=@"$work/photo.png" "$url/api/upload-content" |
    sed 's/.*"filename":"\([^"]*\)".*/\1/')
for _ in 1 2 3; do
    curl -sS -H 'Content-Type: application/json' -o /dev/null -d "{\"content_image\":
        \"$name\", \"style_image\": \"munch\", \"num_steps\": 1000, \"size\": 512}" \
        "$url/api/style-transfer"
done
sleep 3
load "three transfers"
hundred "three transfers"
