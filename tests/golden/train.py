# SPDX-License-Identifier: MIT
"""Repeats the training of train.c with PyTorch, from the files that it left in the
current directory, and compares the losses of each step: train.py MODEL LOSSES"""
import json
import struct
import sys

import numpy as np
import torch
import torch.nn.functional as F

SIZE, DOWN, RIGHT, MARGIN, RATE = 64, 3, 5, 16, 5e-7
CONTENT, STYLE, TV, STABILITY, DETAIL = 1.0, 2.0, 0.7, 5.0, 0.5
torch.set_num_threads(1)


def safetensors(path):
    data = open(path, "rb").read()
    n = struct.unpack("<Q", data[:8])[0]
    types = {"F32": np.float32, "F16": np.float16}
    out = {}
    for key, t in json.loads(data[8 : 8 + n]).items():
        if key != "__metadata__" and t["dtype"] in types:
            a, b = t["data_offsets"]
            v = np.frombuffer(data[8 + n + a : 8 + n + b], types[t["dtype"]])
            out[key] = torch.tensor(v.astype(np.float32).reshape(t["shape"]))
    return out


def raw(path, *shape):
    return torch.tensor(np.fromfile(path, np.float32).reshape(shape))


model = safetensors(sys.argv[1])
convs = sorted((int(k.split(".")[1]), k[:-7]) for k in model if k.endswith(".weight"))
p = {k: v.requires_grad_() for k, v in safetensors("start.nstnet").items()}
photos = raw("photos.raw", -1, 3, SIZE, SIZE)
moved = raw("moved.raw", -1, 3, SIZE, SIZE)
style = raw("style.raw", 1, 3, SIZE, SIZE)


def features(x):
    """relu1_1, relu2_1, relu3_1, relu3_2, relu4_1 of VGG19"""
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    x, out = (x - mean) / deviation, []
    for i, (_, key) in enumerate(convs[:9]):
        if i in (2, 4, 8):
            x = F.max_pool2d(x, 2)
        x = F.relu(F.conv2d(x, model[key + ".weight"], model[key + ".bias"], padding=1))
        if i in (0, 2, 4, 5, 8):
            out.append(x)
    return out[:3] + out[4:], out[3]


def statistics(f):
    f = f[0].flatten(1).double()
    c, n = f.shape
    moments = torch.cat([f.mean(1), (f.var(1, unbiased=False) + 5e-7).sqrt()])
    return f @ f.T / (c * n), moments


def norm(x, name, relu):
    x = F.instance_norm(x, weight=p[name + ".scale"], bias=p[name + ".shift"], eps=1e-5)
    return F.relu(x) if relu else x


def conv(x, name, relu=True, stride=1, reach=1):
    y = F.conv2d(F.pad(x, [reach] * 4, mode="reflect"), p[name + ".weight"], stride=stride)
    return norm(y, name, relu)


def paint(x):
    x = conv(x, "first", reach=4)
    x = conv(conv(x, "down1", stride=2), "down2", stride=2)
    for b in (1, 2):
        x = x + conv(conv(x, f"block{b}.conv1"), f"block{b}.conv2", relu=False)
    for name in ("up1", "up2"):
        x = conv(F.interpolate(x, scale_factor=2), name)
    return F.conv2d(F.pad(x, [4] * 4, mode="reflect"), p["last.weight"], p["last.bias"])


def target(x):
    """statistics of a style, and the least mean square of the content's features"""
    with torch.no_grad():
        found = [statistics(f) for f in features(x)[0]]
    return found, 0.25 * torch.trace(found[2][0])


def losses(x, painted, of):
    """content, style and total variation of one scale"""
    targets, least = of
    with torch.no_grad():
        content = features(x)[1]
    layers, now = features(painted)
    parts = [((now - content) ** 2).sum() / max((content**2).sum(), least * content.numel())]
    s = 0
    for f, (gram, moments) in zip(layers, targets):
        g, m = statistics(f)
        s = s + ((g - gram) ** 2).sum() / (gram**2).sum()
        s = s + ((m - moments) ** 2).sum() / (moments**2).sum()
    parts.append(s / 8)
    parts.append(
        (((painted[..., 1:] - painted[..., :-1]) ** 2).sum()
         + ((painted[..., 1:, :] - painted[..., :-1, :]) ** 2).sum()) / painted.numel()
    )
    return parts


full, half = target(style), target(F.avg_pool2d(style, 2))
adam = torch.optim.Adam(p.values(), lr=1e-3)
worst = 0.0
for i, line in enumerate(open(sys.argv[2])):
    got = [float(v) for v in line.split()]
    x, y = photos[i % 8 : i % 8 + 1], moved[i % 8 : i % 8 + 1]
    painted = paint(x)
    fine = losses(x, painted, full)
    coarse = losses(F.avg_pool2d(x, 2), F.avg_pool2d(painted, 2), half)
    parts = [(DETAIL * f + c) / (1 + DETAIL) for f, c in zip(fine, coarse)]
    a, b = MARGIN, SIZE - MARGIN
    here = painted[..., a:b, a:b]
    there = paint(y)[..., a + DOWN : b + DOWN, a + RIGHT : b + RIGHT]
    parts.append(((here - there) ** 2).mean())
    total = CONTENT * parts[0] + STYLE * parts[1] + TV * parts[2] + STABILITY * parts[3]
    adam.param_groups[0]["lr"] = RATE * (i + 1)
    adam.zero_grad()
    total.backward()
    length = torch.nn.utils.clip_grad_norm_(p.values(), 5)
    adam.step()
    want = [float(v) for v in parts + [total, length]]
    off = max(abs(got[k] / want[k] - 1) for k in (0, 1, 4))
    worst = max(worst, off)
    if i in (0, 9, 99):
        print(f"# step {i + 1}: {want[4]:.6g}, off by {off:.1e}")
print(f"{'' if worst < 0.01 and i == 99 else 'not '}ok 1 - {i + 1} steps of training have "
      f"the losses of PyTorch (off by {worst:.1e})")
print("1..1")
