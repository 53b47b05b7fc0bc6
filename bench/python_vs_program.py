"""Measures the Python package beside the program on the same images, alternately: rates, a call's overhead, threads. With a clone
of the public implementation and PyTorch in another environment, the ratio to that.

usage: python_vs_program.py [--model MODEL] [-n IMAGES] [--reference CLONE --reference-python PYTHON]
Runs with the Python in which the wheel is installed.
"""
import argparse
import base64
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np

import medimageinsight as mii

PROGRAM = pathlib.Path(sys.executable).parent / "mii"
REFERENCE = """
import base64, pathlib, sys, tempfile, time
sys.path[:0] = [sys.argv[1], sys.argv[2]]
from record_reference import with_all_keys
from medimageinsightmodel import MedImageInsight
import torch
folder = with_all_keys(pathlib.Path(sys.argv[3]), pathlib.Path(sys.argv[1]), pathlib.Path(tempfile.mkdtemp(), "model"))
classifier = MedImageInsight(str(folder), "medimageinsigt-v1.0.0.pt", "language_model.pth")
classifier.load_model()
classifier.model.eval()
images = [base64.b64encode(pathlib.Path(path).read_bytes()).decode() for path in sys.argv[4:]]
with torch.no_grad():
    classifier.encode(images=images[:1])
    start = time.perf_counter()
    for image in images:
        classifier.encode(images=[image])
print(time.perf_counter() - start)
"""


def seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def make_images(folder: pathlib.Path, n: int) -> list[str]:
    """JPEGs of 640 x 480 with detail."""
    from PIL import Image

    random = np.random.default_rng(0)
    y, x = np.mgrid[0:480, 0:640]
    paths = []
    for i in range(n):
        wave = 128 + 80 * np.sin(x / random.uniform(5, 40)) * np.cos(y / random.uniform(5, 40))
        path = folder / f"{i:04}.jpg"
        Image.fromarray(np.clip(wave[..., None] + random.normal(0, 15, (480, 640, 3)), 0, 255).astype(np.uint8)).save(path)
        paths.append(str(path))
    return paths


def program_seconds(paths: list[str], model: str, folder: pathlib.Path) -> float:
    """Of `mii embed`, less what it takes for one image: starting and loading are not compared."""
    def run(some):
        (folder / "list").write_text("\n".join(some))
        command = [PROGRAM, "embed", "--model", model, "--images-from", folder / "list", "--output", folder / "v.npy", "--quiet"]
        return seconds(lambda: subprocess.run(command, check=True))

    return run(paths) - run(paths[:1])


def overhead(engine: mii.Engine) -> float:
    """Seconds that a call takes beyond its computation: a text whose vector is remembered needs none."""
    engine.encode_texts("lung")
    return min(seconds(lambda: [engine.encode_texts("lung") for _ in range(1000)]) for _ in range(5)) / 1000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default=mii.starter_path())
    parser.add_argument("-n", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--reference")
    parser.add_argument("--reference-python")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = make_images(pathlib.Path(folder), flags.n)
        engine = mii.Engine.open(flags.model)
        print(engine)
        engine.encode_images(paths[:8])
        pairs = [(seconds(lambda: engine.encode_images(paths)), program_seconds(paths, flags.model, pathlib.Path(folder)))
                 for _ in range(flags.repeats)]
        ours, program = (statistics.median(column) for column in zip(*pairs))
        print(f"{flags.n} JPEGs: Python {flags.n / ours:.1f} images/s, mii embed {flags.n / program:.1f}; "
              f"{100 * statistics.median(p / o for o, p in pairs):.1f} % of its rate")
        small = [np.asarray(mii.read_image(path).pixels) for path in paths[:100]]
        one = seconds(lambda: [engine.encode_images(image) for image in small])

        def ask(images):
            for image in images:
                engine.encode_images(image)

        threads = [threading.Thread(target=ask, args=[small[k::4]]) for k in range(4)]
        four = seconds(lambda: ([t.start() for t in threads], [t.join() for t in threads]))
        print(f"one thread, image after image: {100 / one:.1f} images/s; four threads: {100 / four:.1f}")
        print(f"a call's overhead: {1e6 * overhead(engine):.1f} us")
        if flags.reference:
            some = paths[:10]
            exact = mii.Engine.open(flags.model, precision="f32")
            exact.encode_images(some[0])
            encoded = [base64.b64encode(pathlib.Path(path).read_bytes()).decode() for path in some]
            ours = seconds(lambda: [exact.encode_images(mii.from_base64(text)) for text in encoded])
            here = pathlib.Path(__file__).resolve().parents[1] / "python" / "tests"
            told = subprocess.run([flags.reference_python, "-c", REFERENCE, flags.reference, str(here), flags.model, *some],
                                  check=True, capture_output=True, text=True).stdout
            theirs = float(told.split()[-1])
            print(f"{len(some)} images one by one in f32: here {ours:.2f} s, the public implementation {theirs:.2f} s; "
                  f"ratio {theirs / ours:.1f}")


if __name__ == "__main__":
    main()
