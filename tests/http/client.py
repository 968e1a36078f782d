#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""client.py URL CONTENT STYLE - a client that only uses Python's standard library: it
uploads two pictures, waits for the transfer, fetches the result and deletes it."""
import json
import sys
import time
import urllib.error
import urllib.request
import uuid


def ask(method, path, body=None, content_type=None):
    headers = {"Content-Type": content_type} if content_type else {}
    request = urllib.request.Request(base + path, body, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        data = answer.read()
        is_json = answer.headers.get_content_type() == "application/json"
        return json.loads(data) if is_json else data


def upload(path, field, file):
    boundary = uuid.uuid4().hex
    with open(file, "rb") as f:
        picture = f.read()
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; '
        f'filename="{file}"\r\nContent-Type: application/octet-stream\r\n\r\n'
    ).encode() + picture + f"\r\n--{boundary}--\r\n".encode()
    return ask("POST", path, body, f"multipart/form-data; boundary={boundary}")["filename"]


def transfer(**fields):
    return ask("POST", "/api/style-transfer", json.dumps(fields).encode(), "application/json")


base, content_file, style_file = sys.argv[1:]
content = upload("/api/upload-content", "content_image", content_file)
style = upload("/api/upload-style", "style_image", style_file)
assert style in [s["name"] for s in ask("GET", "/api/styles")]
try:
    transfer(content_image=content, style_image=style, style_weight=1)
    sys.exit("a weight of 1 was taken")
except urllib.error.HTTPError as e:
    assert e.code == 400 and "style_weight" in json.load(e)["error"]
task = transfer(content_image=content, style_image=style, style_weight=7000, num_steps=5,
                size=32)["task_id"]
end = time.monotonic() + 60
while (progress := ask("GET", f"/api/progress/{task}"))["status"] not in (
        "completed", "failed", "cancelled"):
    assert time.monotonic() < end, progress
    time.sleep(0.1)
assert progress["status"] == "completed", progress
assert ask("GET", progress["output_url"]).startswith(b"\x89PNG")
history = ask("GET", "/api/history")
key = content.rsplit(".", 1)[0]
assert history[key][0]["output_img"] == progress["output_img"]
ask("DELETE", f"/api/delete-history/{key}")
assert key not in ask("GET", "/api/history")
print("done")
