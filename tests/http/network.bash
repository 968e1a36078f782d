# SPDX-License-Identifier: MIT
# network.bash - webhooks go to public addresses only: a network of its own, which has
# one, and a receiver in it. teardown() ends $network and $receiver.

# webhooks: make the file secret and a network with the public address 203.0.113.9, and
# set $inside to a command that runs others there; $SERVE runs there, too
webhooks() {
    "$SERVE" --help | grep -q webhook-secret-file
    printf 'a secret of the test\n' >secret
    if "$SERVE" --data other --webhook-secret-file secret --listen 127.0.0.1:99999 2>&1 |
        grep -q libcurl; then
        skip "nst-serve was built without libcurl"
    fi
    unshare -n sleep 1000 2>/dev/null 3>&- 4>&- &
    network=$!
    wait_until '[ "$(readlink /proc/$network/ns/net)" != "$(readlink /proc/self/ns/net)" ] ||
        ! kill -0 $network 2>/dev/null'
    inside="nsenter -t $network -n"
    $inside ip link set lo up || skip "no network can be made"
    $inside ip address add 203.0.113.9/32 dev lo
    printf '#!/bin/sh\nexec %s "%s" "$@"\n' "$inside" "$SERVE" >inside
    chmod +x inside
    SERVE=$PWD/inside
}

# receive: start receiver.py, which writes the file received
receive() {
    : >received
    $inside python3 "$srcdir/tests/http/receiver.py" 203.0.113.9 8080 received 3>&- 4>&- &
    receiver=$!
    wait_until 'curl -s -o /dev/null http://203.0.113.9:8080/'
}

curl() {
    ${inside:-command} curl "$@"
}
