#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""malformed.py PORT SEED COUNT - sends COUNT random mutations of valid requests. Each
must get a response (of 5xx only 501 and 505) or a closed connection in time."""
import random
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor

port, seed, count = (int(a) for a in sys.argv[1:])
rng = random.Random(seed)
SOUND = [
    b"GET /api/styles HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /api/history?offset=1&limit=2 HTTP/1.1\r\nHost: localhost\r\nCookie: a=b\r\n\r\n",
    b"POST /api/style-transfer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
    b"\r\nContent-Length: 21\r\n\r\n{\"content_image\": \"x\"}",
    b"POST /api/upload-content HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; "
    b"boundary=bound\r\nContent-Length: 96\r\n\r\n--bound\r\nContent-Disposition: form-data; "
    b"name=\"content_image\"; filename=\"x\"\r\n\r\nabc\r\n--bound--\r\n",
    b"DELETE /api/tasks/0123456789abcdef0123456789abcdef HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"POST /api/compare HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
]
STRANGE = [b"\0", b"\xff\xfe", b"\r", b"\n", b"\r\n\r\n", b" ", b"%00", b"%", b"%zz", b"../" * 50,
           b"A" * 70000, b"Content-Length: -1\r\n", b"Content-Length: 99999999999999999999\r\n",
           b"Content-Length: 5\r\nContent-Length: 6\r\n", b"Transfer-Encoding: chunked\r\n",
           b"Transfer-Encoding: gzip, chunked\r\n", b"ffffffffffffffff\r\n", b"-5\r\n",
           b"Host: a\r\nHost: b\r\n", b"X" * 9000 + b": y\r\n", b": y\r\n", b"[" * 5000,
           b"{\"a\":" * 3000, b"\"\\ud800\"", b"1e999", b"--bound", b"--bound--", b"HTTP/9.9",
           b"Expect: 100-continue\r\n", b"Connection: close, upgrade\r\nUpgrade: h2c\r\n",
           b"Range: bytes=0-\r\n", b"Cookie: " + b"a=b; " * 2000 + b"\r\n"]


def mutate(request):
    request = bytearray(request)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(request) + 1)
        kind = rng.randrange(5)
        if kind == 0:
            request[at:at] = rng.choice(STRANGE)
        elif kind == 1 and request:
            del request[at:at + rng.randint(1, 20)]
        elif kind == 2 and at < len(request):
            request[at] = rng.randrange(256)
        elif kind == 3:
            line = request.find(b"\r\n")
            request[line + 2:line + 2] = rng.choice(STRANGE)
        else:
            del request[at:]
    return bytes(request)


def send(data):
    """Send a request and return the outcome; an incomplete one waits for the timeout."""
    begin, answer, end = time.monotonic(), b"", ""
    with socket.create_connection(("127.0.0.1", port), timeout=45) as s:
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            while part := s.recv(65536):
                answer += part
        except socket.timeout:
            end = "late"
        except OSError:
            end = "reset"
    if answer.startswith(b"HTTP/1."):
        end = answer[9:12].decode("latin-1")
    return data, answer, end or "closed", time.monotonic() - begin


requests = [mutate(rng.choice(SOUND)) for _ in range(count)]
with ThreadPoolExecutor(count) as pool:
    results = list(pool.map(send, requests))
codes = {}
for _, _, end, _ in results:
    codes[end] = codes.get(end, 0) + 1
print(dict(sorted(codes.items())), f"longest {max(r[3] for r in results):.1f} s")
bad = [r for r in results if r[2] == "late" or (r[2][0] == "5" and r[2] not in ("501", "505"))]
for data, answer, end, took in bad:
    print(end, f"{took:.1f}", data[:300], answer[:300])
sys.exit(bool(bad))
