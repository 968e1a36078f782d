#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The default recipe of nst in PyTorch on a CPU, to time whole runs in turn with nst:

    tests/bench/torch_recipe.py --model vgg19-lite.safetensors --size 512 style.ppm photo.ppm out.ppm

Coarse to fine from 64 pixels; style layers relu1_1 to relu5_1 (Gram matrices, means and
deviations), content layer relu4_2; padding by reflection; L-BFGS with 20 pairs, without a line
search, so that a step is one evaluation. Prints a line of JSON: the seconds of the scales, and of
the run without the start of Python.
"""
import argparse
import json
import re
import struct
import time

import torch
import torch.nn.functional as F

PLAN = (2, 2, 4, 4, 1)  # convolutions between poolings
STYLE, CONTENT = (0, 2, 4, 8, 12), 9
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
STYLE_WEIGHT, CONTENT_WEIGHT, MOMENTS = 7000 * 30 / 5, 3, 0.03 * 30 / 5


def read_weights(path):
    """Weights and biases in order."""
    with open(path, "rb") as f:
        data = f.read()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])

    def tensor(name):
        entry = header[name]
        begin, end = entry["data_offsets"]
        dtype = {"F16": torch.float16, "F32": torch.float32}[entry["dtype"]]
        raw = bytearray(data[8 + size + begin : 8 + size + end])
        return torch.frombuffer(raw, dtype=dtype).reshape(entry["shape"]).float()

    names = sorted((n for n in header if n.endswith(".weight")), key=lambda n: int(n.split(".")[1]))
    return [(tensor(n), tensor(n.replace("weight", "bias"))) for n in names]


def read_ppm(path):
    with open(path, "rb") as f:
        data = f.read()
    header = re.match(rb"P6(?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+255\s", data)
    if not header:
        raise SystemExit(f"{path}: not a PPM of 8 bits")
    width, height = header.groups()
    pixels = torch.frombuffer(bytearray(data[-3 * int(width) * int(height) :]), dtype=torch.uint8)
    return pixels.reshape(1, int(height), int(width), 3).permute(0, 3, 1, 2).float() / 255


def write_ppm(path, x):
    pixels = (x[0].clamp(0, 1) * 255 + 0.5).byte().permute(1, 2, 0).contiguous()
    with open(path, "wb") as f:
        f.write(b"P6 %d %d 255\n" % (pixels.shape[1], pixels.shape[0]) + bytes(pixels.flatten().tolist()))


def resize(x, longest):
    height, width = x.shape[2:]
    scale = longest / max(height, width)
    to = (round(height * scale), round(width * scale))
    return F.interpolate(x, to, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)


def features(x, weights):
    mean, deviation = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (MEAN, DEVIATION))
    x = (x - mean) / deviation
    maps, k = [], 0
    for block, count in enumerate(PLAN):
        for _ in range(count):
            mode = "reflect" if min(x.shape[2:]) > 1 else "replicate"
            x = F.relu(F.conv2d(F.pad(x, (1, 1, 1, 1), mode=mode), *weights[k]))
            maps.append(x)
            k += 1
        if block < len(PLAN) - 1:
            x = F.max_pool2d(x, 2)
    return maps


def statistics(f):
    c, pixels = f.shape[1], f.shape[2] * f.shape[3]
    f = f.reshape(c, pixels)
    return f @ f.t() / (c * pixels), f.mean(1), f.std(1, unbiased=False)


def stylise(x, content, style, weights, steps):
    with torch.no_grad():
        target = features(content, weights)[CONTENT]
        targets = [statistics(m) for m in (features(style, weights)[k] for k in STYLE)]
    x = x.clone().requires_grad_(True)
    optimiser = torch.optim.LBFGS([x], history_size=20, max_iter=steps, max_eval=steps, tolerance_change=0)

    def closure():
        optimiser.zero_grad()
        maps = features(x, weights)
        loss = CONTENT_WEIGHT * F.mse_loss(maps[CONTENT], target)
        for k, (gram, mean, deviation) in zip(STYLE, targets):
            g, m, d = statistics(maps[k])
            loss = loss + STYLE_WEIGHT * F.mse_loss(g, gram)
            loss = loss + MOMENTS * (F.mse_loss(m, mean) + F.mse_loss(d, deviation))
        loss.backward()
        return loss

    optimiser.step(closure)
    return x.detach().clamp(0, 1)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--model", required=True)
    p.add_argument("--size", type=int, default=512)
    p.add_argument("--steps", type=int, default=300)
    p.add_argument("--threads", type=int, default=torch.get_num_threads())
    p.add_argument("style")
    p.add_argument("content")
    p.add_argument("output")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    begin = time.perf_counter()
    weights = read_weights(a.model)[: sum(PLAN)]
    style, content = read_ppm(a.style), read_ppm(a.content)
    scales = [s for s in (64 << i for i in range(16)) if s * 2**0.5 < a.size] + [a.size]
    x, left, seconds = None, a.steps, []
    for i, scale in enumerate(scales):
        steps = left // 2 if i < len(scales) - 1 else left
        left -= steps
        started = time.perf_counter()
        small = resize(content, scale)
        x = small if x is None else F.interpolate(x, small.shape[2:], mode="bicubic").clamp(0, 1)
        x = stylise(x, small, resize(style, scale), weights, steps)
        seconds.append(time.perf_counter() - started)
    total = time.perf_counter() - begin
    write_ppm(a.output, x)
    print(json.dumps({"engine": "pytorch " + torch.__version__, "size": a.size, "threads": a.threads,
                      "scales": [round(s, 3) for s in seconds], "seconds": round(total, 3)}))


main()
