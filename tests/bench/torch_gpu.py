#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The same evaluation in PyTorch on a GPU, to time in turn with `bench evaluations`:

    tests/bench/torch_gpu.py --stack tutorial --size 256 512 --precision tf32 fp16 [--how graph]

Channels last, cuDNN's own choice of kernels, weights at random (time does not depend on
them). --how eager launches each kernel; graph captures forward and backward in a CUDA graph
and replays it; compile is torch.compile(mode="reduce-overhead"), which takes a minute to
begin. Prints a line of JSON for each of them: the median and the least of --evaluations times.
"""
import argparse
import itertools
import json
import statistics
import time

import torch
import torch.nn.functional as F

CHANNELS = [64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512]
# convolutions, those whose maps are content and style, and whether after the ReLU
STACKS = {"tutorial": (5, {3}, {0, 1, 2, 3, 4}, False), "gatys": (13, {9}, {0, 2, 4, 8, 12}, True)}


def layers(convs, dtype):
    """Weights and biases, None where maps are pooled."""
    out, width = [], 3
    for c in CHANNELS:
        if c == 0:
            out.append(None)
            continue
        w = torch.randn(c, width, 3, 3, device="cuda") * (2 / (9 * width)) ** 0.5
        out.append((w.to(dtype, memory_format=torch.channels_last), torch.zeros(c, device="cuda", dtype=dtype)))
        width = c
        if sum(o is not None for o in out) == convs:
            return out


def gram(x):
    n, c, h, w = x.shape
    f = x.permute(0, 2, 3, 1).reshape(h * w, c)
    return f.t() @ f / (c * h * w)


def maps(x, net, stack):
    _, content, style, after = stack
    k, out = 0, {}
    for layer in net:
        if layer is None:
            x = F.max_pool2d(x, 2)
            continue
        x = F.conv2d(x, *layer, padding=1)
        if not after and k in content | style:
            out[k] = x
        x = F.relu(x)
        if after and k in content | style:
            out[k] = x
        k += 1
    return out


def measure(name, size, precision, how, evaluations):
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.benchmark = True
    dtype = torch.half if precision == "fp16" else torch.float
    stack = STACKS[name]
    net = layers(stack[0], dtype)
    x = torch.rand(1, 3, size, size, device="cuda", requires_grad=True)
    mean = torch.tensor([0.485, 0.456, 0.406], device="cuda").view(1, 3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225], device="cuda").view(1, 3, 1, 1)
    with torch.no_grad():
        other = torch.rand_like(x).to(dtype, memory_format=torch.channels_last)
        targets = {k: (v.clone(), gram(v.float())) for k, v in maps(other, net, stack).items()}

    def loss():
        seen = maps(((x - mean) / deviation).to(dtype, memory_format=torch.channels_last), net, stack)
        total = 0
        for k, v in seen.items():
            if k in stack[1]:
                total = total + (v.float() - targets[k][0].float()).square().mean()
            if k in stack[2]:
                total = total + 7000 * (gram(v.float() if precision == "fp32" else v).float() - targets[k][1]).square().mean()
        return total

    function = torch.compile(loss, mode="reduce-overhead") if how == "compile" else loss

    def evaluate():
        x.grad = None
        function().backward()

    for _ in range(5):
        evaluate()
    run = evaluate
    if how == "graph":
        graph, side = torch.cuda.CUDAGraph(), torch.cuda.Stream()
        with torch.cuda.stream(side):
            evaluate()
        torch.cuda.synchronize()
        x.grad = None
        with torch.cuda.graph(graph):
            loss().backward()
        run = graph.replay
    times = []
    for _ in range(evaluations):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        run()
        torch.cuda.synchronize()
        times.append(1e3 * (time.perf_counter() - begin))
    print(json.dumps({"engine": f"torch-{how}", "stack": name, "size": size, "precision": precision,
                      "ms_per_evaluation": round(statistics.median(times), 3), "ms_min": round(min(times), 3),
                      "memory_mib": torch.cuda.max_memory_allocated() >> 20}))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--stack", choices=STACKS, nargs="+", default=["tutorial"])
    p.add_argument("--size", type=int, nargs="+", default=[256])
    p.add_argument("--precision", choices=["fp32", "tf32", "fp16"], nargs="+", default=["tf32"])
    p.add_argument("--how", choices=["eager", "graph", "compile"], nargs="+", default=["graph"])
    p.add_argument("--evaluations", type=int, default=50)
    a = p.parse_args()
    for this in itertools.product(a.stack, a.size, a.precision, a.how):
        measure(*this, a.evaluations)


main()
