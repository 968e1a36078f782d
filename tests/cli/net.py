# SPDX-License-Identifier: MIT
"""net.py - small feed-forward networks with random weights for tests, and what they paint.

net.py write zip|legacy|nstnet WIDTH BLOCKS FILE [NAME=VALUE...]
    Write the network as torch.save() would, of pytorch/examples' fast_neural_style, or as
    a file of nst's; with other metadata in the latter.
net.py photo WIDTH HEIGHT FILE.ppm
    Write shapes with gradients and noise.
net.py paint WIDTH BLOCKS PHOTO.ppm RESULT.ppm
    Compare nst's result with the network in double precision.
net.py torch CHECKPOINT PHOTO.ppm RESULT.ppm [PHOTO.ppm RESULT.ppm]...
    The same for any checkpoint, by PyTorch. Exit status 77 if it is not installed.
"""
import json
import pickle
import random
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from math import sqrt


def layers(width, blocks):
    """Name in fast_neural_style, norm, name in nst, channels in and out, side, kind."""
    w = width
    yield "conv1", "in1", "first", 3, w, 9, "same"
    yield "conv2", "in2", "down1", w, 2 * w, 3, "down"
    yield "conv3", "in3", "down2", 2 * w, 4 * w, 3, "down"
    for b in range(1, blocks + 1):
        for k in (1, 2):
            yield (f"res{b}.conv{k}", f"res{b}.in{k}", f"block{b}.conv{k}", 4 * w, 4 * w, 3,
                   "same")
    yield "deconv1", "in4", "up1", 4 * w, 2 * w, 3, "up"
    yield "deconv2", "in5", "up2", 2 * w, w, 3, "up"
    yield "deconv3", None, "last", w, 3, 9, "same"


def single(v):
    return struct.unpack("<f", struct.pack("<f", v))[0]


def weights(width, blocks):
    """Values by name, as fast_neural_style has them; each is a list and a shape."""
    r = random.Random(7)
    values = OrderedDict()

    def normal(count, scale, mean=0.0):
        return [single(r.gauss(mean, scale)) for _ in range(count)]

    for name, norm, _, cin, cout, side, _ in layers(width, blocks):
        scale = 1 / sqrt(cin * side * side)
        last = norm is None
        values[name + ".conv2d.weight"] = (
            normal(cout * cin * side * side, scale * (90 if last else 1)),
            (cout, cin, side, side))
        # those before instance norm change nothing
        values[name + ".conv2d.bias"] = (normal(cout, 20, 120 if last else 0), (cout,))
        if not last:
            values[norm + ".weight"] = (normal(cout, 0.3, 1), (cout,))
            values[norm + ".bias"] = (normal(cout, 0.3), (cout,))
            values[norm + ".running_mean"] = (normal(cout, 50), (cout,))
            values[norm + ".running_var"] = (normal(cout, 1, 900), (cout,))
    return values


class Storage:
    def __init__(self, key, values):
        self.key, self.values = key, values


class Tensor:
    def __init__(self, storage, shape):
        self.storage, self.shape = storage, shape

    def __reduce__(self):
        strides, n = [], 1
        for side in reversed(self.shape):
            strides.insert(0, n)
            n *= side
        return rebuild, (self.storage, 0, self.shape, tuple(strides), False, OrderedDict())


def rebuild(*_):
    """Stands for torch._utils._rebuild_tensor_v2."""


class FloatStorage:
    """Stands for torch.FloatStorage."""


def pretend_to_be_torch():
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    rebuild.__module__, rebuild.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    FloatStorage.__module__, FloatStorage.__qualname__ = "torch", "FloatStorage"
    utils._rebuild_tensor_v2, torch.FloatStorage = rebuild, FloatStorage
    torch._utils = utils
    sys.modules["torch"], sys.modules["torch._utils"] = torch, utils


class Pickler(pickle.Pickler):
    legacy = False

    def persistent_id(self, obj):
        if not isinstance(obj, Storage):
            return None
        pid = ("storage", FloatStorage, obj.key, "cpu", len(obj.values))
        return pid + (None,) if self.legacy else pid


def write_checkpoint(file, kind, values):
    pretend_to_be_torch()
    storages = [Storage(str(i), v[0]) for i, v in enumerate(values.values())]
    state = OrderedDict((k, Tensor(s, v[1])) for (k, v), s in zip(values.items(), storages))
    raw = {s.key: struct.pack(f"<{len(s.values)}f", *s.values) for s in storages}
    if kind == "zip":
        with zipfile.ZipFile(file, "w") as z:
            with z.open("archive/data.pkl", "w") as f:
                Pickler(f, 2).dump(state)
            for key, data in raw.items():
                z.writestr("archive/data/" + key, data)
            z.writestr("archive/version", "3\n")
        return
    with open(file, "wb") as f:
        pickle.dump(0x1950A86A20F9469CFC6C, f, 2)
        pickle.dump(1001, f, 2)
        pickle.dump({"protocol_version": 1001, "little_endian": True,
                     "type_sizes": {"short": 2, "int": 4, "long": 4}}, f, 2)
        p = Pickler(f, 2)
        p.legacy = True
        p.dump(state)
        pickle.dump([s.key for s in storages], f, 2)
        for s in storages:
            f.write(struct.pack("<q", len(s.values)) + raw[s.key])


def write_nstnet(file, width, blocks, values, metadata):
    header, data = {"__metadata__": {"format": "nst net 1", "width": str(width),
                                     "blocks": str(blocks), **metadata}}, b""

    def add(name, numbers, shape):
        nonlocal data
        raw = struct.pack(f"<{len(numbers)}f", *numbers)
        header[name] = {"dtype": "F32", "shape": list(shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw

    for name, norm, own, *_ in layers(width, blocks):
        factor = 255 if own == "first" else 1 / 255 if own == "last" else 1
        w, shape = values[name + ".conv2d.weight"]
        add(own + ".weight", [factor * v for v in w], shape)
        if norm:
            add(own + ".scale", *values[norm + ".weight"])
            add(own + ".shift", *values[norm + ".bias"])
        else:
            b, shape = values[name + ".conv2d.bias"]
            add(own + ".bias", [factor * v for v in b], shape)
    text = json.dumps(header).encode()
    with open(file, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def mirror(i, n):
    i = abs(i)
    return i if i < n else 2 * (n - 1) - i


def convolve(planes, weight, bias, side, kind):
    """3-D lists: channels, rows, columns."""
    if kind == "up":
        planes = [[[v for v in row for _ in (0, 1)] for row in p for _ in (0, 1)]
                  for p in planes]
    step = 2 if kind == "down" else 1
    h, w, r = len(planes[0]), len(planes[0][0]), side // 2
    rows = [[mirror(y + k - r, h) for k in range(side)] for y in range(0, h, step)]
    padded = [[[p[y][mirror(x - r, w)] for x in range(w + 2 * r)] for y in range(h)]
              for p in planes]
    out, at = [], 0
    for b in bias:
        plane = [[b] * len(range(0, w, step)) for _ in rows]
        for p in padded:
            for k in range(side):
                for m in range(side):
                    v = weight[at]
                    at += 1
                    for to, ys in zip(plane, rows):
                        line = p[ys[k]][m:m + w:step]
                        for x, u in enumerate(line):
                            to[x] += v * u
        out.append(plane)
    return out


def normalise(planes, scale, shift):
    out = []
    for p, a, b in zip(planes, scale, shift):
        n = len(p) * len(p[0])
        mean = sum(map(sum, p)) / n
        var = sum((v - mean) ** 2 for row in p for v in row) / n
        a /= sqrt(var + 1e-5)
        out.append([[a * (v - mean) + b for v in row] for row in p])
    return out


def paint(width, blocks, planes):
    values = weights(width, blocks)
    skip = None
    for name, norm, own, _, _, side, kind in layers(width, blocks):
        first = own.endswith("conv1") and own.startswith("block")
        if first:
            skip = planes
        planes = convolve(planes, values[name + ".conv2d.weight"][0],
                          values[name + ".conv2d.bias"][0], side, kind)
        if norm:
            planes = normalise(planes, values[norm + ".weight"][0],
                               values[norm + ".bias"][0])
        if own.endswith("conv2"):
            planes = [[[u + v for u, v in zip(r, s)] for r, s in zip(p, q)]
                      for p, q in zip(planes, skip)]
        elif norm:
            planes = [[[max(v, 0) for v in row] for row in p] for p in planes]
    return planes


def read_ppm(file):
    """Planes of a PPM without comments, P3 or P6."""
    with open(file, "rb") as f:
        data = f.read()
    words = data.split(None, 4)
    w, h = int(words[1]), int(words[2])
    if words[0] == b"P3":
        flat = [int(v) for v in words[4].split()]
    else:
        flat = list(data[-3 * w * h:])
    return [[flat[3 * y * w + c:3 * (y + 1) * w:3] for y in range(h)] for c in range(3)]


def write_photo(w, h, file):
    r, out = random.Random(5), bytearray()
    for y in range(h):
        for x in range(w):
            disc = (x - w / 3) ** 2 + (y - h / 2) ** 2 < (min(w, h) / 3) ** 2
            sky = 255 * y / h
            for v in (230 - sky / 3 if disc else sky, 90 + 60 * ((x // 20 + y // 15) % 2),
                      255 - sky / 2 if disc else 200 * x / w):
                out.append(int(min(max(v + r.gauss(0, 6), 0), 255)))
    with open(file, "wb") as f:
        f.write(b"P6\n%d %d\n255\n" % (w, h) + out)


def report(wanted, result):
    errors = [abs(min(max(u, 0), 255) - v) for p, q in zip(wanted, result)
              for r, s in zip(p, q) for u, v in zip(r, s)]
    values = [v for p in result for row in p for v in row]
    near = sum(e <= 1 for e in errors) / len(errors)
    print(f"{100 * near:.3f} % within 1 of 255, at most {max(errors):.2f}; values from "
          f"{min(values)} to {max(values)}")
    return 0 if near >= 0.999 and max(values) - min(values) > 50 else 1


def by_torch(checkpoint, photos):
    """What the checkpoint paints from each photograph."""
    try:
        import torch
    except ImportError:
        sys.exit(77)
    d = {k: v.double() for k, v in torch.load(checkpoint, map_location="cpu").items()}
    width = d["conv1.conv2d.weight"].shape[0]
    blocks = sum(k.startswith("res") and k.endswith("conv1.conv2d.weight") for k in d)
    for photo in photos:
        yield torch_paint(d, width, blocks, torch.tensor([read_ppm(photo)],
                                                         dtype=torch.float64))


def torch_paint(d, width, blocks, x):
    from torch.nn.functional import instance_norm, interpolate, pad, relu, conv2d

    skip = None
    for name, norm, own, _, _, side, kind in layers(width, blocks):
        if own.startswith("block") and own.endswith("conv1"):
            skip = x
        if kind == "up":
            x = interpolate(x, scale_factor=2, mode="nearest")
        x = conv2d(pad(x, 4 * (side // 2,), mode="reflect"), d[name + ".conv2d.weight"],
                   d[name + ".conv2d.bias"], stride=2 if kind == "down" else 1)
        if norm:
            x = instance_norm(x, None, None, d[norm + ".weight"], d[norm + ".bias"], True,
                              0.1, 1e-5)
        x = x + skip if own.endswith("conv2") else relu(x) if norm else x
    return x[0].tolist()


def main(command, *args):
    if command == "write":
        kind, width, blocks, file = args[0], int(args[1]), int(args[2]), args[3]
        values = weights(width, blocks)
        if kind == "nstnet":
            write_nstnet(file, width, blocks, values,
                         dict(a.split("=", 1) for a in args[4:]))
        else:
            write_checkpoint(file, kind, values)
        return 0
    if command == "photo":
        write_photo(int(args[0]), int(args[1]), args[2])
        return 0
    if command == "paint":
        return report(paint(int(args[0]), int(args[1]), read_ppm(args[2])),
                      read_ppm(args[3]))
    return max([report(wanted, read_ppm(result))
                for wanted, result in zip(by_torch(args[0], args[1::2]), args[2::2])])


sys.exit(main(*sys.argv[1:]))
