#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""openapi.py URL CONTENT STYLE TOKEN - makes every request that openapi.json describes. Checks
the status, type and schema of the responses; prints deviations and untested ones."""
import json
import sys
import time
import urllib.error
import urllib.request

import jsonschema

base, content_file, style_file, token = sys.argv[1:]
asked, seen, problems = set(), {}, []


def fetch(method, path, body=None, headers=None):
    headers = {"Authorization": f"Bearer {token}"} | (headers or {})
    request = urllib.request.Request(base + path, body, headers, method=method)
    try:
        answer = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as e:
        answer = e
    with answer:
        return answer.status, answer.headers, answer.read()


api = json.loads(fetch("GET", "/openapi.json")[2])
resolver = jsonschema.RefResolver("", api)


def resolved(node):
    while "$ref" in node:
        node = resolver.resolve(node["$ref"])[1]
    return node


def note(name, schema, value):
    """Record which properties of the schemas had a value."""
    if "$ref" in schema:
        name, schema = schema["$ref"].rsplit("/", 1)[1], resolved(schema)
    if isinstance(value, dict):
        for key, sub in schema.get("properties", {}).items():
            seen.setdefault((name, key), False)
            if value.get(key) is not None:
                seen[name, key] = True
                note(f"{name}.{key}", sub, value[key])
        if isinstance(schema.get("additionalProperties"), dict):
            for v in value.values():
                note(name, schema["additionalProperties"], v)
    elif isinstance(value, list):
        for v in value:
            note(name, schema.get("items", {}), v)


def is_of_type(media, pattern):
    kind, _, sub = media.partition("/")
    k, _, s = pattern.partition("/")
    return k in ("*", kind) and s in ("*", sub)


def ask(method, path, expected, template=None, body=None, headers=None):
    template = template or path.partition("?")[0]
    operation = api["paths"][template][method.lower()]
    status, got, data = fetch(method, path, body, headers)
    where = f"{method} {path}: {status}"
    asked.add((method, template, str(status)))
    if status != expected:
        problems.append(f"{where} is not {expected}: {data[:200]}")
    if str(status) not in operation["responses"]:
        problems.append(f"{where} is not described")
        return None
    response = resolved(operation["responses"][str(status)])
    media = got.get_content_type()
    for header in response.get("headers", {}):
        if header not in got:
            problems.append(f"{where}: no {header}")
    if "content" not in response:
        if data:
            problems.append(f"{where}: has a body")
        return None
    match = [m for m in response["content"] if is_of_type(media, m)]
    if not match:
        problems.append(f"{where}: {media} is not described")
        return None
    schema = response["content"][match[0]].get("schema", {})
    if media != "application/json":
        return data
    value = json.loads(data)
    for e in jsonschema.Draft202012Validator(schema, resolver=resolver).iter_errors(value):
        problems.append(f"{where}: {e.json_path}: {e.message}")
    note(template, schema, value)
    return value


def ask_conditions(path, template=None, ranges=True):
    """Ask for what a client has, for another version, and for parts."""
    ask("GET", path, 304, template, headers={"If-None-Match": "*"})
    ask("GET", path, 412, template, headers={"If-Match": '"x"'})
    if ranges:
        ask("GET", path, 206, template, headers={"Range": "bytes=0-9"})
        ask("GET", path, 416, template, headers={"Range": "bytes=99999999-"})


def form(field, data, **texts):
    body = "".join(f'--boundary\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
                   for name, text in texts.items()).encode()
    body += (f'--boundary\r\nContent-Disposition: form-data; name="{field}"; filename="x"\r\n\r\n'
             ).encode() + data + b"\r\n--boundary--\r\n"
    return {"body": body, "headers": {"Content-Type": "multipart/form-data; boundary=boundary"}}


def as_json(value):
    return {"body": json.dumps(value).encode(), "headers": {"Content-Type": "application/json"}}


def picture(name):
    with open(name, "rb") as f:
        return f.read()


for schema in api["components"]["schemas"].values():
    jsonschema.Draft202012Validator.check_schema(schema)

upload, styles = "/api/upload-content", "/api/upload-style"
ask("GET", "/", 200)
ask_conditions("/", ranges=False)
ask_conditions("/openapi.json", ranges=False)
ask("GET", "/assets/none.js", 404, "/assets/{file}")
ask("GET", "/openapi.json", 200)
ask("GET", "/health", 200)
ask("GET", "/metrics", 200)
ask("GET", "/api/me", 200)
ask("POST", "/api/login", 200, **as_json({"token": token, "remember": True}))
ask("POST", "/api/login", 400, **as_json({"token": 1}))
ask("POST", "/api/login", 413, **as_json({"token": "x" * 100000}))
ask("POST", "/api/login", 415, body=b"{}")
ask("POST", "/api/logout", 200)
ask("GET", "/api/device-info", 200)
ask("GET", "/api/presets", 200)
content = ask("POST", upload, 200, **form("content_image", picture(content_file)))
style = ask("POST", styles, 200, **form("style_image", picture(style_file)))
named = "/api/styles/{name}"
for label in "A garden", "x" * 60:
    ask("PATCH", f"/api/styles/{style['filename']}", 200, named, **as_json({"label": label}))
style = ask("POST", styles, 200, **form("style_image", picture(style_file), label="A garden"))
for bad in {}, {"label": ""}, {"label": 1}, {"label": "a", "name": "b"}:
    ask("PATCH", f"/api/styles/{style['filename']}", 400, named, **as_json(bad))
ask("PATCH", "/api/styles/none", 404, named, **as_json({"label": "a"}))
ask("PATCH", "/api/styles/none", 413, named, **as_json({"label": "x" * 100000}))
ask("PATCH", "/api/styles/none", 415, named, body=b"{}")
for path, field in (upload, "content_image"), (styles, "style_image"):
    ask("POST", path, 400, **form("other", b"x"))
    ask("POST", path, 415, **form(field, b"no picture"))
    ask("POST", path, 413, **form(field, b"x" * 20000000))
ask("GET", content["url"], 200, "/uploads/{file}")
ask("GET", style["url"], 200, "/styles/{file}")
ask("GET", "/styles/full.jpg", 200, "/styles/{file}")  # the preview of a pack
ask("GET", content["thumbnail"], 200, "/thumbs/{file}")
ask("GET", content["rendition"], 200, "/renditions/{file}")
ask_conditions(content["url"], "/uploads/{file}")
ask_conditions("/styles/full.jpg", "/styles/{file}")
ask_conditions(content["thumbnail"], "/thumbs/{file}")
ask_conditions(content["rendition"], "/renditions/{file}")
for folder in "uploads", "results", "history", "styles", "thumbs", "renditions":
    ask("GET", f"/{folder}/none", 404, f"/{folder}/{{file}}")
ask("GET", "/api/styles", 200)
ask("GET", "/api/usage", 200)
small = f"/api/preview?content={content['filename']}&style="
ask("GET", small + "munch", 200)
ask_conditions(small + "munch")
ask("GET", small, 400)
ask("GET", small + "none", 404)

# every field of a task, with a valid and an invalid value
properties = api["components"]["schemas"]["StyleTransfer"]["properties"]
allowed = {
    "content_image": content["filename"], "style_image": style["filename"], "num_steps": 3,
    "styles": [{"name": "munch", "weight": 0.5, "mask": content["filename"]},
               {"name": style["filename"]}],
    "keep_mask": content["filename"], "preset": "classic", "size": 32, "scales": [16, 32],
    "scale_iterations": [2, 1], "content_layers": "relu2_1", "style_layers": ["relu1_1", "relu2_1:2"],
    "style_weight": 5000.5, "colour": "content", "init_image": content["filename"]}
refused = {"content_image": "none", "style_image": "none", "styles": [], "keep_mask": "none",
           "preset": "none", "init_image": "none"}


def value_of(schema):
    schema = schema.get("oneOf", [schema])[0]
    if "enum" in schema:
        return [v for v in schema["enum"] if v is not None][-1]
    return True if "boolean" in schema["type"] else schema.get("default", schema.get("minimum"))


def bad_value_of(schema):
    schema = schema.get("oneOf", [schema])[0]
    return schema["maximum"] * 2 + 1 if "maximum" in schema else {"no": "value"}


transfer = jsonschema.Draft202012Validator({"$ref": "#/components/schemas/StyleTransfer"},
                                           resolver=resolver)
tasks = []
least = {"content_image": content["filename"], "style_image": "munch", "num_steps": 1, "size": 32}


def with_field(name, value):
    """The least request with another field; styles replaces style_image."""
    fields = {**least, name: value}
    if name == "styles":
        del fields["style_image"]
    if name == "scale_iterations":
        fields["scales"] = [16, 32]
    if name == "learning_rate":
        fields["optimiser"] = "adam"
    return fields


for name, schema in properties.items():
    request = with_field(name, allowed[name] if name in allowed else value_of(schema))
    answer = ask("POST", "/api/style-transfer", 200, **as_json(request))
    if answer and "task_id" in answer:
        tasks.append(answer["task_id"])
    else:
        problems.append(f"{name}: {request} was not taken")
    bad = with_field(name, refused[name] if name in refused else bad_value_of(schema))
    answer = ask("POST", "/api/style-transfer", 400, **as_json(bad))
    if answer and name not in answer.get("error", ""):
        problems.append(f"{name}: {bad[name]}: the answer does not name it: {answer}")
    if not transfer.is_valid(request) or transfer.is_valid(bad) != (bad[name] == "none"):
        problems.append(f"{name}: the schema does not say what the service does")

# values of the wrong form: the schema refuses what the service refuses
for name, good, bad in (
        ("num_steps", 3.0, "3"), ("num_steps", None, 3.5), ("size", 32.0, "32"),
        ("style_weight", 7000, "7000"), ("seed", 7.0, "7"), ("strength", 1, "1"),
        ("square", None, "true"), ("square", False, 1), ("scales", [16.0, 32], "16,32"),
        ("scales", "16..", ["16", "32"]), ("scales", "none", "no"), ("scales", "auto", []),
        ("scale_iterations", "auto", "2,1"), ("style_layers", ["relu1_1:2"], [1]),
        ("colour", None, True), ("preset", None, 1), ("keep_mask", None, 1),
        ("init_image", "noise", 1),
        ("tv_weight", 0.5, [0.5]), ("styles", [{"name": "munch", "weight": 2}],
                                    [{"name": "munch", "weight": "2"}]),
        ("styles", [{"name": "munch", "mask": None, "weight": None}], [{"name": "munch", "wieght": 1}]),
        ("styles", [{"name": "munch"}] * 16, [{"name": "munch"}] * 17),
        ("style_image", "munch", None), ("tv-weight", None, 1), ("color", None, "content"),
        ("style_weight", 10000, 10001), ("unknown", None, None)):
    for value, status in (good, 200), (bad, 400):
        request = with_field(name, value)
        if status == 200 and value is None:
            del request[name]
        ask("POST", "/api/style-transfer", status, **as_json(request))
        if transfer.is_valid(request) != (status == 200):
            problems.append(f"{name}: {value}: the schema says otherwise than {status}")
both = {**least, "styles": [{"name": "munch"}]}
ask("POST", "/api/style-transfer", 400, **as_json(both))
if transfer.is_valid(both):
    problems.append("style_image beside styles: the schema takes it")
ask("POST", "/api/style-transfer", 415, body=b"{}")
ask("POST", "/api/style-transfer", 413, **as_json({"x": "x" * 100000}))
listed = ask("GET", "/api/tasks", 200)
ask("GET", "/api/tasks?state=queued", 200)
ask("GET", "/api/tasks?state=none", 400)
keyed = as_json(least)
keyed["headers"] = {**keyed["headers"], "Idempotency-Key": "k"}
ask("POST", "/api/style-transfer", 200, **keyed)
keyed["body"] = as_json({**least, "num_steps": 2})["body"]
ask("POST", "/api/style-transfer", 422, **keyed)
for task in tasks:
    end = time.monotonic() + 60
    while True:
        progress = ask("GET", f"/api/progress/{task}", 200, "/api/progress/{task_id}")
        if progress["status"] in ("completed", "failed", "cancelled"):
            break
        if time.monotonic() > end:
            sys.exit(f"{task} takes too long")
        time.sleep(0.02)
    if progress["status"] != "completed":
        problems.append(f"{task}: {progress}")
    data = ask("GET", f"/api/progress/{task}/events", 200, "/api/progress/{task_id}/events")
    last = json.loads(data.decode().split("data: ")[-1])
    jsonschema.validate(last, {"$ref": "#/components/schemas/Progress"}, resolver=resolver,
                        cls=jsonschema.Draft202012Validator)
    ask("GET", f"/api/tasks/{task}/preview", 200, "/api/tasks/{task_id}/preview")
    ask("GET", f"/results/{task}.png", 200, "/results/{file}")
    ask("GET", progress["output_img"], 200, "/history/{file}")
film = ask("POST", upload, 200, **form("content_image", picture("film.gif")))
film = ask("POST", "/api/style-transfer", 200, **as_json({
    **least, "content_image": film["filename"], "frames": "all", "num_steps": 300}))["task_id"]
while (progress := ask("GET", f"/api/progress/{film}", 200, "/api/progress/{task_id}"))["status"] != "completed":
    time.sleep(0.02)
ask("GET", progress["output_url"], 200, "/results/{file}")
ask_conditions(f"/api/tasks/{tasks[0]}/preview", "/api/tasks/{task_id}/preview")
ask_conditions(f"/results/{tasks[0]}.png", "/results/{file}")
ask_conditions(f"/history/{tasks[0]}.png", "/history/{file}")
stop, quality = "/api/tasks/{task_id}/stop", "/api/tasks/{task_id}/quality"
ask("GET", f"/api/tasks/{tasks[1]}/quality", 202, quality)
none = "0" * 32
for path in "/api/progress/{task_id}", "/api/progress/{task_id}/events", "/api/tasks/{task_id}/preview":
    ask("GET", path.replace("{task_id}", none), 404, path)
ask("POST", "/api/compare", 200, **as_json({"task_id": tasks[0]}))
ask("POST", "/api/compare", 200, **as_json({
    "original": content["filename"], "result": f"{tasks[0]}.png", "style": style["filename"]}))
ask("POST", "/api/compare", 400, **as_json({"original": "none"}))
ask("POST", "/api/compare", 404, **as_json({"task_id": none}))
ask("POST", "/api/compare", 413, **as_json({"x": "x" * 100000}))
ask("POST", "/api/compare", 415, body=b"{}")
ask("GET", f"/api/tasks/{tasks[0]}/quality", 200, quality)
ask("GET", f"/api/tasks/{none}/quality", 404, quality)
ask("POST", f"/api/tasks/{none}/stop", 404, stop)
ask("POST", f"/api/tasks/{tasks[0]}/stop", 409, stop)
share, page = "/api/tasks/{task_id}/share", "/share/{token}"
for method in "GET", "POST", "DELETE":
    ask(method, f"/api/tasks/{none}/share", 404, share)
ask("GET", f"/api/tasks/{tasks[0]}/share", 200, share)
link = ask("POST", f"/api/tasks/{tasks[0]}/share", 200, share)["url"]
ask("GET", link, 200, page)
ask("GET", f"{link}/picture.jpg", 200, f"{page}/picture.jpg")
ask_conditions(f"{link}/picture.jpg", f"{page}/picture.jpg")
ask("DELETE", f"/api/tasks/{tasks[0]}/share", 200, share)
ask("GET", link, 404, page)
ask("GET", f"{link}/picture.jpg", 404, f"{page}/picture.jpg")
ask("GET", "/api/history?offset=0&limit=1000", 200)
ask("GET", "/api/history?limit=0", 400)
cancel, key = "/api/tasks/{task_id}", "/api/delete-history/{key}"
ask("DELETE", f"/api/tasks/{none}", 404, cancel)
ask("DELETE", f"/api/tasks/{tasks[0]}", 200, cancel)
long = ask("POST", "/api/style-transfer", 200, **as_json({**least, "num_steps": 1000, "size": 256}))
running = long["task_id"]
ask("POST", f"/api/tasks/{running}/share", 409, share)
while ask("GET", f"/api/progress/{running}", 200, "/api/progress/{task_id}")["preview_step"] is None:
    time.sleep(0.02)
ask("DELETE", f"/api/delete-history/{content['filename']}", 409, key)
styled = ask("POST", "/api/style-transfer", 200, **as_json({**least, "style_image": style["filename"], "num_steps": 1000}))
ask("DELETE", f"/api/styles/{style['filename']}", 409, "/api/styles/{name}")
ask("DELETE", f"/api/tasks/{styled['task_id']}", 200, cancel)
ask("POST", f"/api/tasks/{running}/stop", 200, stop)
while ask("GET", f"/api/progress/{styled['task_id']}", 200, "/api/progress/{task_id}")["status"] == "running":
    time.sleep(0.02)
while ask("GET", f"/api/progress/{running}", 200, "/api/progress/{task_id}")["status"] == "running":
    time.sleep(0.02)
ask("GET", "/api/history?limit=1", 200)
gone = form("content_image", picture(content_file))
broken = ask("POST", upload, 200, **gone)["filename"]
with open(f"data/uploads/{broken}", "wb") as f:
    f.write(b"no picture any more")
failed = ask("POST", "/api/style-transfer", 200, **as_json({**least, "content_image": broken}))["task_id"]
while ask("GET", f"/api/progress/{failed}", 200, "/api/progress/{task_id}")["status"] != "failed":
    time.sleep(0.02)
ask("DELETE", f"/api/delete-history/{content['filename']}", 200, key)
ask("DELETE", "/api/delete-history/none", 404, key)
ask("DELETE", f"/api/styles/{style['filename']}", 200, "/api/styles/{name}")
ask("DELETE", "/api/styles/none", 404, "/api/styles/{name}")

for path, methods in api["paths"].items():
    for method in methods:
        if "{" in path:
            ask(method.upper(), path.split("{")[0] + "%00" + path.split("}")[1], 400, path)

# not tested here: these need a request without a token, a full queue, a shutdown, a full disk,
# another option or a GPU
elsewhere = {"401", "403", "429", "503", "507"}
of_page = {"/manifest.webmanifest", "/sw.js"}  # transfers.bats, as the rest of /assets
for path, methods in api["paths"].items():
    for method, operation in methods.items():
        for status in operation["responses"]:
            if status not in elsewhere and (method.upper(), path, status) not in asked and \
                    (path, status) != (quality, "413") and \
                    path not in of_page and \
                    (path != "/assets/{file}" or status == "404"):
                problems.append(f"{method.upper()} {path}: {status} was not asked for")
for (schema, key), was in seen.items():
    if not was and (schema, key) not in (("Device", "gpu"), ("Health", "gpu_memory_usage"),
                                         ("Progress", "message")):
        problems.append(f"{schema}: {key} never had a value")
print("\n".join(problems) or f"{len(asked)} kinds of answers are as described")
sys.exit(bool(problems))
