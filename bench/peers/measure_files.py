"""Measures from JPEG files to vectors: this program and OpenVINO's pipeline, as whole processes in turns, and prints a table.

usage: measure_files.py MII MODEL TOWER.onnx IMAGES [--rounds 5] [--files 500] [--threads 2] [--work build/peers] [--only NAME...]

Each process runs over FILES images of IMAGES, evenly spread, and over three times as many (some come again). The steady rate is what
the difference of the two says: it leaves out what a start costs. See measure.py for runs beside which others used the processor.
"""
import argparse
import pathlib
import statistics
import sys
import time

import numpy

from common import image_files, processor, run, spread

HERE = pathlib.Path(__file__).parent
OURS = {f"mii-{p}": p for p in ("f32", "bf16", "int8")}
PEERS = {f"openvino-{p}, batch {n}": (p, n) for p in ("f32", "bf16") for n in (1, 4, 16)}


class Bench:
    def __init__(self, flags):
        self.flags = flags
        self.work = pathlib.Path(flags.work)
        self.work.mkdir(parents=True, exist_ok=True)
        files = [str(f) for f in spread(image_files(flags.images), flags.files)]
        if not files:
            sys.exit(f"{flags.images}: no images")
        self.lists = {}
        for times in (1, 3):
            self.lists[times] = self.work / f"files-{times}.txt"
            self.lists[times].write_text("\n".join(files * times) + "\n")
        self.files = len(files)

    def command(self, name, times):
        vectors = self.work / f"files-{name}.npy"
        vectors.unlink(missing_ok=True)
        if name in OURS:
            return [self.flags.mii, "embed", "--model", self.flags.model, "--precision", OURS[name], "--images-from",
                    self.lists[times], "--output", vectors, "--threads", self.flags.threads, "--quiet"]
        precision, batch = PEERS[name]
        return [sys.executable, HERE / "peer_files.py", precision, batch, self.flags.tower, self.lists[times], vectors,
                self.flags.threads]

    def measure(self, name):
        """Seconds for the files once and three times, and how many cores others took."""
        seconds, foreign = {}, 0.0
        for times in (3, 1):
            command = self.command(name, times)
            start = time.perf_counter()
            foreign = max(foreign, run(command)[1])
            seconds[times] = time.perf_counter() - start
        return seconds[1], seconds[3], foreign

    def distance(self, name):
        """The mean cosine distance from this program's f32."""
        exact, own = (numpy.load(self.work / f"files-{n}.npy").astype(numpy.float64) for n in ("mii-f32", name))
        exact, own = (v / numpy.linalg.norm(v, axis=1, keepdims=True) for v in (exact, own))
        return max(0.0, (1 - (exact * own).sum(1)).mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("mii", "model", "tower", "images"):
        parser.add_argument(name)
    for name, default in (("rounds", 5), ("files", 500), ("threads", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--work", default="build/peers")
    parser.add_argument("--only", nargs="+", choices=[*OURS, *PEERS], default=[*OURS, *PEERS])
    flags = parser.parse_args()
    bench = Bench(flags)
    run(bench.command("mii-f32", 1))
    runs = {name: [bench.measure(name)] for name in flags.only}
    for _ in range(flags.rounds - 1):
        for name in flags.only:
            runs[name].append(bench.measure(name))
    print(processor())
    print(f"{flags.threads} threads, {bench.files} files; medians of {flags.rounds} rounds")
    print("| | steady, files/s | whole process, files/s | foreign cores | mean cosine distance |\n|---|---|---|---|---|")
    for name in flags.only:
        counted = [r for r in runs[name] if r[2] <= 0.1] or runs[name]
        steady = statistics.median(2 * bench.files / (three - one) for one, three, _ in counted)
        whole = statistics.median(bench.files / one for one, _, _ in counted)
        foreign = statistics.median(r[2] for r in counted)
        print(f"| {name} | {steady:.0f} | {whole:.0f} | {foreign:.2f} | {bench.distance(name):.1e} |")


main()
