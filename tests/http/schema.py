#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""schema.py URL SEED COUNT PICTURE... - sends COUNT requests that are made from the service's own
/openapi.json: each operation, with parameters and bodies that its schemas allow, and with
mutations of them (other types, numbers beyond the bounds, long and odd texts, fields that are
missing, unknown or null). Names of pictures, styles and tasks are those of earlier answers, or
invented. Fails if a status is not described, or is a 5xx that says more than "busy". Prints how
often each status came."""
import collections
import http.client
import json
import random
import string
import sys
import urllib.parse

url, seed, count, *pictures = sys.argv[1:]
rng = random.Random(int(seed))
host = urllib.parse.urlsplit(url).netloc
connection = http.client.HTTPConnection(host, timeout=120)

ODD = ["", " ", "\0", "a" * 300, "../../etc/passwd", "%00", "\u202e", "\U0001f3a8", "\ud83c", "null", "1e999",
       "-1", "0x10", "'; --", "<b>", "a" * 5000, "bytes=0-0", "*", "\t", "W/\"x\"", "NaN"]
# what any request may get before its operation looks at it
COMMON = {400, 401, 403, 405, 413, 414, 431, 501}
known = {"task": [], "uploads": [], "styles": ["munch", "van-gogh"]}


def send(method, path, body=None, headers=None):
    """The status, the type and the body of the answer."""
    global connection
    for _ in range(2):
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.getheader("Content-Type", ""), answer.read()
        except (http.client.HTTPException, ConnectionError, BrokenPipeError):
            # an answer before the end of the body closes the connection
            connection.close()
            connection = http.client.HTTPConnection(host, timeout=120)
    return 0, "", b""


api = json.loads(send("GET", "/openapi.json")[2])


def resolve(s):
    while "$ref" in s:
        part = api
        for key in s["$ref"][2:].split("/"):
            part = part[key]
        s = part
    return s


def text(schema):
    if "enum" in schema:
        return rng.choice(schema["enum"])
    kind = rng.random()
    if kind < 0.5 and known["uploads"]:
        return rng.choice(known["uploads"])
    if kind < 0.8:
        return rng.choice(known["styles"])
    if kind < 0.9:
        return "".join(rng.choices(string.hexdigits.lower(), k=32))
    return rng.choice(ODD)


def number(schema, whole):
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    high = schema.get("maximum", max(low, 1) * 1000)
    n = rng.choice([low, high, low - 1, high + 1, rng.uniform(low, high), 0, -1])
    return int(n) if whole and rng.random() < 0.95 else n


def value(schema, depth=0):
    """A value that the schema allows, in most cases."""
    schema = resolve(schema)
    for key in ("oneOf", "anyOf"):
        if key in schema:
            return value(rng.choice(schema[key]), depth)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = rng.choice(kind)
    if rng.random() < 0.03:
        kind = rng.choice(["string", "number", "array", "object", "null", "boolean"])
    if kind == "integer" or kind == "number":
        return number(schema, kind == "integer")
    if kind == "boolean":
        return rng.random() < 0.5
    if kind == "null" or depth > 6:
        return None
    if kind == "array":
        n = rng.choice([1, 1, 2, 3, 0, 17])
        return [value(schema.get("items", {}), depth + 1) for _ in range(n)]
    if kind == "object":
        return members(schema, depth)
    return text(schema)


def members(schema, depth):
    properties = schema.get("properties", {})
    required = schema.get("required", [])
    chosen = {}
    for name, one in properties.items():
        if rng.random() < (0.97 if name in required else 0.12):
            chosen[name] = value(one, depth + 1)
    if "content_image" in properties and rng.random() < 0.7:
        chosen.pop("styles", None)
        chosen["style_image"] = rng.choice(known["styles"])
        if known["uploads"]:
            chosen["content_image"] = rng.choice(known["uploads"])
    if rng.random() < 0.05:
        chosen[rng.choice(ODD)] = 1
    return chosen


def form(schema):
    """A form with a picture, or with something that is none."""
    field = next(iter(resolve(schema)["properties"]))
    data = open(rng.choice(pictures), "rb").read()
    damage = rng.random()
    if damage < 0.1:
        data = data[:rng.randrange(len(data))]
    elif damage < 0.2:
        data = bytearray(data)
        for _ in range(rng.randrange(1, 20)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    elif damage < 0.25:
        data = rng.randbytes(rng.randrange(1000))
    if rng.random() < 0.05:
        field = rng.choice(["x", "", "content_image", "style_image"])
    mark = rng.choice(["b", "----x", "a" * 70])
    return (f"--{mark}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"a\"\r\n\r\n"
            .encode() + bytes(data) + f"\r\n--{mark}--\r\n".encode(),
            {"Content-Type": f"multipart/form-data; boundary={mark}"})


def path_value(name):
    pool = {"task_id": known["task"], "name": known["styles"], "key": known["uploads"],
            "file": known["uploads"] + known["styles"] + [t + ".png" for t in known["task"]]}
    if pool.get(name) and rng.random() < 0.8:
        return rng.choice(pool[name])
    return text({})


def learn(path, answer):
    """Keep the names that an answer tells."""
    if not isinstance(answer, dict):
        return
    if "task_id" in answer:
        known["task"].append(str(answer["task_id"]))
    if "filename" in answer:
        known["styles" if "style" in path else "uploads"].append(answer["filename"])
    for pool in known.values():
        del pool[2:-20]


def body_of(operation):
    content = resolve(operation.get("requestBody", {})).get("content", {})
    if "multipart/form-data" in content:
        return form(content["multipart/form-data"]["schema"])
    if "application/json" not in content:
        return None, {}
    data = json.dumps(value(content["application/json"]["schema"])).encode()
    if rng.random() < 0.03:
        data = data[:rng.randrange(len(data) + 1)]
    return data, {"Content-Type": "application/json"}


def header_text(s):
    return "".join(c for c in s if " " <= c <= "~") or "x"


def one(path, method, operation):
    query = []
    body, headers = body_of(operation)
    for p in map(resolve, operation.get("parameters", [])):
        if p["in"] == "path":
            path = path.replace("{%s}" % p["name"],
                                urllib.parse.quote(str(path_value(p["name"])), safe="*",
                                                   errors="replace"))
        elif rng.random() < 0.6 and p["in"] == "query":
            query.append((p["name"], value(p["schema"])))
        elif rng.random() < 0.3 and p["in"] == "header":
            headers[p["name"]] = header_text(
                rng.choice(p["schema"].get("examples", []) + [text(p["schema"])]))
    if query:
        path += "?" + urllib.parse.urlencode(query, errors="replace")
    status, kind, data = send(method.upper(), path, body, headers)
    described = operation["responses"].get(str(status))
    types = list(resolve(described or {}).get("content", []))
    if status >= 400:
        types.append("application/json")
    wrong = not described and status not in COMMON
    wrong |= len(types) > 0 and "image/*" not in types and kind.split(";")[0] not in types
    if status >= 500 and status != 501:
        wrong |= b"try again" not in data and b"waiting" not in data
    if wrong:
        print(f"{method} {path}: {status} {kind} {data[:300]!r}; sent {(body or b'')[:500]!r}")
    elif status == 200 and kind.startswith("application/json"):
        learn(path, json.loads(data))
    return status, wrong


operations = [(p, m, o) for p, ms in api["paths"].items() for m, o in ms.items()
              if not p.endswith("/events")]
# comparisons and previews take seconds of processor time
weights = [0.1 if p in ("/api/compare", "/api/preview") or p.endswith("quality") else
           4 if p == "/api/style-transfer" else 1 for p, _, _ in operations]
statuses, unexpected = collections.Counter(), 0
for i in range(int(count)):
    status, wrong = one(*rng.choices(operations, weights)[0])
    statuses[status] += 1
    unexpected += wrong
print(f"{count} requests, seed {seed}:", dict(sorted(statuses.items())))
sys.exit(1 if unexpected else 0)
