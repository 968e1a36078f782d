#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""soak.py URL PID DATA CONTENT SECONDS SEED - simulates many clients: uploads, one-step
tasks, cancellations, dropped event streams, aborted uploads, deletions. Samples memory
and descriptors of the service; fails if they grow, or if zombies or orphans remain."""
import http.client
import json
import os
import random
import socket
import sys
import threading
import time
from urllib.parse import urlsplit

url, pid, data, content_file, seconds, seed = sys.argv[1:]
host, port = urlsplit(url).hostname, urlsplit(url).port
seconds = float(seconds)
stop = time.monotonic() + seconds
with open(content_file, "rb") as f:
    picture = f.read()
counts, problems, lock = {}, [], threading.Lock()


def count(what):
    with lock:
        counts[what] = counts.get(what, 0) + 1


def ask(method, path, body=None, content_type=None):
    c = http.client.HTTPConnection(host, port, timeout=60)
    try:
        c.request(method, path, body, {"Content-Type": content_type} if content_type else {})
        answer = c.getresponse()
        value = answer.read()
        if answer.status >= 500:
            with lock:
                problems.append(f"{method} {path}: {answer.status} {value[:200]}")
        return answer.status, json.loads(value) if value[:1] in (b"{", b"[") else value
    finally:
        c.close()


def form(cut=None):
    """A form with another picture each time: bytes after its end make it another file."""
    body = (b'--boundary\r\nContent-Disposition: form-data; name="content_image"; filename="x"'
            b"\r\n\r\n" + picture + os.urandom(8) + b"\r\n--boundary--\r\n")
    return body[:cut]


def upload():
    count("uploads")
    return ask("POST", "/api/upload-content", form(),
               "multipart/form-data; boundary=boundary")[1]["filename"]


def cut_off(rng):
    """An upload that the client aborts."""
    body = form(rng.randrange(200, len(picture)))
    with socket.create_connection((host, port)) as s:
        s.sendall(b"POST /api/upload-content HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                  b"multipart/form-data; boundary=boundary\r\nContent-Length: 999999\r\n\r\n" + body)
    count("cut off")


def drop_stream(task):
    with socket.create_connection((host, port)) as s:
        s.sendall(f"GET /api/progress/{task}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        s.recv(1000)
    count("streams dropped")


def transfer(content):
    request = {"content_image": content, "style_image": "munch", "num_steps": 1, "size": 16}
    status, answer = ask("POST", "/api/style-transfer", json.dumps(request), "application/json")
    if status == 429:
        count("queue full")
        time.sleep(0.2)
        return None
    count("tasks")
    return answer["task_id"]


def client(number):
    rng = random.Random(f"{seed} {number}")
    while time.monotonic() < stop:
        try:
            content = upload()
            for _ in range(rng.randrange(4)):
                upload()
            if rng.random() < 0.5:
                cut_off(rng)
            task = transfer(content)
            if task and rng.random() < 0.3:
                drop_stream(task)
            if task and rng.random() < 0.3:
                ask("DELETE", f"/api/tasks/{task}")
                count("cancels")
            if rng.random() < 0.2:
                ask("DELETE", f"/api/delete-history/{content}")
                count("deletions")
            ask("GET", "/api/history?limit=10")
            ask("GET", "/api/styles")
        except (OSError, http.client.HTTPException) as e:
            with lock:
                problems.append(repr(e))


def memory():
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def descriptors():
    return len(os.listdir(f"/proc/{pid}/fd"))


def children(state):
    found = 0
    for p in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{p}/stat") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            found += fields[1] == pid and state in (fields[0], "any")
        except OSError:
            pass
    return found


def stray():
    """Files that no task or style refers to."""
    def inside(folder):
        return set(os.listdir(os.path.join(data, folder)))

    history = ask("GET", "/api/history")[1]
    made = {os.path.basename(e["output_img"]) for of in history.values() for e in of}
    kept = inside("results") | inside("uploads") | inside("styles")
    return ([f"results/{f}" for f in inside("results") - made]
            + [f"owners/{f}" for f in inside("owners") - kept]
            + [f"work/{f}" for f in inside("work")]
            + [f"uploads/{f}" for f in inside("uploads") if f.endswith(".part")]
            + [f"{folder}/{f}" for folder in ("thumbs", "renditions") for f in inside(folder)
               if f[:-4] not in kept])


idle = descriptors()
threads = [threading.Thread(target=client, args=(i,)) for i in range(6)]
for t in threads:
    t.start()
samples = []
while time.monotonic() < stop:
    time.sleep(min(5, seconds / 20))
    samples.append((memory(), descriptors()))
for t in threads:
    t.join()
while ask("GET", "/api/tasks")[1]:
    time.sleep(0.2)
time.sleep(2)
third = [m for m, _ in samples[len(samples) // 3:len(samples) * 2 // 3]]
last = [m for m, _ in samples[len(samples) * 2 // 3:]]
grown = sorted(last)[len(last) // 2] - sorted(third)[len(third) // 2]
print(json.dumps(counts), f"memory {samples[0][0]} to {samples[-1][0]} kB, from the second third "
      f"to the last {grown:+d} kB; descriptors {idle} idle, {max(d for _, d in samples)} at most, "
      f"{descriptors()} at the end")
if grown > 2000 + 0.05 * third[0] and "SANITIZERS" not in os.environ:
    problems.append(f"memory grew by {grown} kB")
if descriptors() > idle + 2:
    problems.append(f"{descriptors()} descriptors are open, {idle} were")
if children("Z") or children("any"):
    problems.append("children are left")
problems += [f"stray: {f}" for f in stray()]
print("\n".join(problems[:20]))
sys.exit(bool(problems))
