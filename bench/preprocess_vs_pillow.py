#!/usr/bin/env python3
"""Times reading, decoding, resizing to 480 x 480 and normalising a JPEG of 3000 x 2500, here and with Pillow 9.4.

usage: preprocess_vs_pillow.py IMAGE_PROBE [RUNS]

Both sides take turns in the same run, and here the way is the one that the program takes. Needs Debian's python3-pil
and python3-numpy (run it with /usr/bin/python3). Exit status 1 when bytes differ.
"""

import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from PIL import Image

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "data", "golden", "synthetic")
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


def make_pictures(folder):
    """Two pictures: one smooth, as an enlarged one is, one full of detail to its last pixel."""
    source = Image.open(os.path.join(GOLDEN, "rgb-480.png")).convert("RGB")
    tiled = Image.new("RGB", (3000, 2500))
    for y in range(0, 2500, 480):
        for x in range(0, 3000, 480):
            tiled.paste(source, (x, y))
    pictures = {"enlarged": source.resize((3000, 2500), Image.BICUBIC), "tiled": tiled}
    for name, picture in pictures.items():
        path = os.path.join(folder, name + ".jpg")
        picture.save(path, quality=90)
        yield name, path


def time_pillow(path):
    start = time.perf_counter()
    resized = Image.open(path).convert("RGB").resize((480, 480), Image.BICUBIC)
    (np.asarray(resized).astype(np.float32) / np.float32(255) - MEAN) / STD
    seconds = time.perf_counter() - start
    return seconds, hashlib.sha256(resized.tobytes()).hexdigest()


def time_here(probe, command, path):
    probe.stdin.write(f"{command} 480 480 {path}\n")
    probe.stdin.flush()
    seconds, digest = probe.stdout.readline().split()
    return float(seconds), digest


def main():
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 21
    probe = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    good = True
    with tempfile.TemporaryDirectory() as folder:
        for name, path in make_pictures(folder):
            sides = {
                "Pillow": lambda: time_pillow(path),
                "here": lambda: time_here(probe, "time", path),
            }
            seconds = {side: [] for side in sides}
            digests = set()
            for _ in range(runs):
                for side, measure in sides.items():
                    taken, digest = measure()
                    seconds[side].append(taken)
                    digests.add(digest)
            medians = {side: statistics.median(values) for side, values in seconds.items()}
            print(f"{name}: {os.path.getsize(path)} bytes, {'the same bytes' if len(digests) == 1 else 'DIFFERENT BYTES'}")
            for side, median in medians.items():
                print(f"  {side:20} {1000 * median:7.1f} ms   {median / medians['Pillow']:.2f}")
            good = good and len(digests) == 1
    probe.stdin.close()
    probe.wait()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
