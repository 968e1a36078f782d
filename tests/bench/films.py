#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""films.py PHOTO FOLDER [NAME=FILM...] - the figures and sheets of docs/FILM.md.

Makes films with known motion from the photograph, paints them and the films given (10
frames of each, from the fifth second) with and without optical flow, and prints how much
neighbouring frames differ along the motion: the mean change of luma, of 255. The motion of
the given films is that of blocks of 8 x 8 pixels that match within whole pixels. The
sheets in FOLDER have, from the top: the film, without flow, with flow, and what the last
two change from frame to frame along the motion, six times as strong.

Environment: NST (nst), STYLE (van-gogh), PRESETS ("draft"), SIZE (240x136), FILMS (those
made; all by default). Needs python3-numpy and ffmpeg. The films of docs/FILM.md are in the
Debian package opencv-doc: usr/share/doc/opencv-doc/examples/data/{tree,vtest}.avi."""
import os
import subprocess
import sys

import numpy as np

LUMA = np.array([0.299, 0.587, 0.114])
FRAMES, BLOCK, REACH, MARGIN = 10, 8, 7, 8
W, H = map(int, os.environ.get("SIZE", "240x136").split("x"))
Y, X = np.mgrid[0:H, 0:W].astype(float)


def read(path, width, height, frames, seek=0):
    scale = f"scale={width}:{height}:flags=lanczos:force_original_aspect_ratio=increase,crop={width}:{height}"
    data = subprocess.run(["ffmpeg", "-v", "error", *(["-ss", str(seek)] if seek else []), "-i", path, "-vf", scale, "-frames:v",
                           str(frames), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True).stdout
    return np.frombuffer(data, np.uint8).reshape(-1, height, width, 3).astype(float)


def sample(image, x, y):
    """The image at positions, interpolated by a Lanczos kernel of three lobes."""
    kernel = lambda t: np.where(abs(t) < 3, np.sinc(t) * np.sinc(t / 3), 0)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    total, weights = 0, 0
    for j in range(-2, 4):
        for i in range(-2, 4):
            k = kernel(x - left - i) * kernel(y - top - j)
            at = image[np.clip(top + j, 0, image.shape[0] - 1), np.clip(left + i, 0, image.shape[1] - 1)]
            total, weights = total + (k[..., None] if image.ndim == 3 else k) * at, weights + k
    return total / (weights[..., None] if image.ndim == 3 else weights)


def motion(u, v, visible=True):
    """Where pixels were in the frame before, and whether they were visible there."""
    inside = (X + u >= 0) & (X + u <= W - 1) & (Y + v >= 0) & (Y + v <= H - 1)
    return u + 0 * X, v + 0 * X, inside & visible


def made(kind, photo):
    """A film of known motion: frames, and the motion from each to the one before."""
    frames, back = [], [None]
    big = read(photo, 2 * W, 2 * H, 1)[0]
    soft = big
    for axis in (0, 1):  # so that half of its pixels show it
        soft = sum(k * np.roll(soft, i - 2, axis) for i, k in enumerate(np.array([1, 4, 6, 4, 1]) / 16))
    noise = np.random.default_rng(7)
    for t in range(FRAMES):
        if kind == "pan":  # by 3 and 1 pixels
            frame, where = big[H // 4 + t:, W // 4 + 3 * t:][:H, :W], motion(3, 1)
        elif kind == "zoom":  # by 1 %
            z, cx, cy = 1.01 ** -t, (W - 1) / 2, (H - 1) / 2
            frame = sample(soft, ((X - cx) * z + cx) * 2 + 0.5, ((Y - cy) * z + cy) * 2 + 0.5)
            where = motion((X - cx) * (1 / 1.01 - 1), (Y - cy) * (1 / 1.01 - 1))
        elif kind == "object":  # a disc of the mirrored photograph moves by 4 and 2, the rest by 1
            radius, ox, oy = 0.28 * H, 0.25 * W + 4 * t, 0.4 * H + 2 * t
            distance = np.hypot(X - ox, Y - oy)
            disc, frame = distance < radius, big[H // 2:, W // 2 + t:][:H, :W].copy()
            frame[disc] = sample(soft[:, ::-1], 2 * (X - ox) + W, 2 * (Y - oy) + H)[disc]
            hidden = ~disc & (np.hypot(X + 1 - ox + 4, Y - oy + 2) < radius + 1)
            where = motion(np.where(disc, -4.0, 1.0), np.where(disc, -2.0, 0.0), ~hidden & (abs(distance - radius) > 2))
        else:  # still, with noise
            frame, where = soft[::2, ::2] + noise.normal(0, 2.6, (H, W, 3)), motion(0, 0)
        frames.append(np.clip(np.rint(frame), 0, 255))
        if t:
            back.append(where)
    return frames, back


def matched(frames):
    """The motion of blocks by whole pixels; visible where a block matches well."""
    back = [None]
    for before, now in zip(frames, frames[1:]):
        a, b = np.pad(before @ LUMA, REACH, mode="edge"), now @ LUMA
        h, w = H // BLOCK, W // BLOCK
        best = np.full((h, w), np.inf)
        u, v = np.zeros((h, w)), np.zeros((h, w))
        for j in range(-REACH, REACH + 1):
            for i in range(-REACH, REACH + 1):
                d = abs(b - a[REACH + j:REACH + j + H, REACH + i:REACH + i + W])
                d = d[:h * BLOCK, :w * BLOCK].reshape(h, BLOCK, w, BLOCK).mean((1, 3)) + 0.05 * np.hypot(i, j)
                better = d < best
                best[better], u[better], v[better] = d[better], i, j
        full = lambda p, fill: np.pad(np.kron(p, np.ones((BLOCK, BLOCK))), ((0, H - h * BLOCK), (0, W - w * BLOCK)), constant_values=fill)
        back.append(motion(full(u, 0), full(v, 0), full(best, np.inf) < 6))
    return back


def changes(frames, back):
    """For each pair: the change along the motion, 0 where it is unknown."""
    for before, now, (u, v, visible) in zip(frames, frames[1:], back[1:]):
        yield abs(now @ LUMA - sample(before @ LUMA, X + u, Y + v)) * visible, visible


def change(frames, back):
    inner = (slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
    return np.mean([d[inner].sum() / known[inner].sum() for d, known in changes(frames, back)])


def painted(frames, folder, options):
    name = os.path.join(folder, "film.pnm")
    with open(name, "wb") as f:
        for frame in frames:
            f.write(b"P6\n%d %d\n255\n" % (W, H) + frame.astype(np.uint8).tobytes())
    subprocess.run([os.environ.get("NST", "nst"), "-q", "--history", "none", "--pnm", "-S", str(max(W, H)), "-s",
                    os.environ.get("STYLE", "van-gogh"), *options, name, "-o", name + ".out"], check=True)
    data, size, result = open(name + ".out", "rb").read(), W * H * 3, []
    step = len(data) // len(frames)
    for t in range(len(frames)):
        result.append(np.frombuffer(data[(t + 1) * step - size:(t + 1) * step], np.uint8).reshape(H, W, 3).astype(float))
    os.remove(name)
    os.remove(name + ".out")
    return result


def sheet(path, film, none, auto, back):
    rows = [np.concatenate(f, 1) for f in (film, none, auto)]
    for f in (none, auto):
        d = [np.zeros((H, W))] + [6 * d for d, _ in changes(f, back)]
        rows.append(np.repeat(np.concatenate(d, 1)[..., None], 3, 2))
    image = np.clip(np.concatenate(rows, 0), 0, 255).astype(np.uint8)
    subprocess.run(["ffmpeg", "-y", "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s",
                    f"{image.shape[1]}x{image.shape[0]}", "-i", "-", "-vf", "scale=1500:-2:flags=area", "-q:v", "11", path],
                   input=image.tobytes(), check=True)


def main():
    photo, folder, given = sys.argv[1], sys.argv[2], [a.split("=", 1) for a in sys.argv[3:]]
    os.makedirs(folder, exist_ok=True)
    films = [(kind, *made(kind, photo)) for kind in os.environ.get("FILMS", "pan zoom object still").split()]
    for name, path in given:
        frames = list(read(path, W, H, FRAMES, 5))
        films.append((name, frames, matched(frames)))
    for name, film, back in films:
        for preset in os.environ.get("PRESETS", "draft").split():
            options = [] if preset == "default" else ["--preset", preset]
            none, auto = (painted(film, folder, options + ["--flow", flow]) for flow in ("none", "auto"))
            a, b, c = change(film, back), change(none, back), change(auto, back)
            print(f"| {name} | {preset} | {a:.1f} | {b:.1f} | {c:.1f} ({c / b:.2f} times) |", flush=True)
            if preset == os.environ.get("PRESETS", "draft").split()[0]:
                sheet(os.path.join(folder, f"film-{name}.jpg"), film, none, auto, back)


main()
