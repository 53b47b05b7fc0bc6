"""Measures OpenVINO and ONNX Runtime beside this program on one image tower, in turns, and prints a table: milliseconds for one
image, and how far the vectors are from this program's in f32.

usage: measure.py MII MODEL TOWER.onnx IMAGES [--rounds 5] [--runs 3] [--count 20] [--threads 2] [--work build/peers] [--only NAME...]

MODEL is the folder that TOWER.onnx was exported from; its input is [batch, 3, height, width], normalised, its output
[batch, D]. IMAGES is a folder; `count` of its images, evenly spread, are compared, and 24 others calibrate the peers that ask
for it. Needs openvino, nncf, onnxruntime, onnx, numpy and pillow (`make bench-peers` installs them).

Each run is a process of its own; the rounds alternate between all of them. What other processes took of the processor meanwhile
is measured: a run beside which they took more than a tenth of a core is not counted, unless there are no others, which is said.
"""
import argparse
import json
import pathlib
import statistics
import sys
from importlib.metadata import version

import numpy

from common import image_files, pixels, processor, run, spread

HERE = pathlib.Path(__file__).parent
LABELS = ["X-Ray", "Magnetic Resonance Imaging", "Computed Tomography", "Ultrasound", "Dermoscopy", "Clinical Photography",
          "Optical Coherence Tomography"]
PEERS = {"openvino-f32": "f32.xml", "openvino-bf16": "f32.xml", "openvino-int8": "int8.xml", "openvino-ptq": "ptq.xml",
         "openvino-ptq-bf16": "ptq.xml", "onnxruntime-f32": None, "onnxruntime-int8": "onnxruntime.onnx"}
OURS = {"mii-f32": "f32", "mii-bf16": "bf16", "mii-int8": "int8"}


def images_of(folder, count):
    """Those to compare, and others to calibrate with."""
    files = image_files(folder)
    compared = spread(files, count)
    others = [f for f in files if f not in set(compared)]
    return compared, spread(others or compared, 24)


class Bench:
    def __init__(self, flags):
        self.flags = flags
        self.work = pathlib.Path(flags.work)
        self.work.mkdir(parents=True, exist_ok=True)
        self.compared, calibrating = images_of(flags.images, flags.count)
        if not self.compared:
            sys.exit(f"{flags.images}: no images")
        height, width = self.size()
        self.save("compared.npy", self.compared, width, height)
        self.save("calibrating.npy", calibrating, width, height)

    def size(self):
        import onnx
        graph = onnx.load(self.flags.tower, load_external_data=False).graph
        return [d.dim_value for d in graph.input[0].type.tensor_type.shape.dim[2:]]

    def save(self, name, files, width, height):
        numpy.save(self.work / name, numpy.stack([pixels(f, width, height) for f in files]))

    def prepare(self):
        done = self.work / "prepared-from"
        tower = pathlib.Path(self.flags.tower)
        source = f"{tower.resolve()} {tower.stat().st_size} {tower.stat().st_mtime_ns}"
        if not done.exists() or done.read_text() != source:
            run([sys.executable, HERE / "prepare.py", tower, self.work / "calibrating.npy", self.work])
            done.write_text(source)

    def vectors(self, name):
        return self.work / f"{name}.npy"

    def embed(self, what, precision, name):
        run([self.flags.mii, "embed", "--model", self.flags.model, "--precision", precision, *what, "--output",
             self.vectors(name), "--threads", self.flags.threads, "--quiet"])

    def measure_peer(self, name, first):
        file = self.work / PEERS[name] if PEERS[name] else self.flags.tower
        out, foreign = run([sys.executable, HERE / "peer.py", name, file, self.work / "compared.npy", self.flags.runs,
                            self.flags.threads, *([self.vectors(name)] if first else [])])
        figures = json.loads(out.strip().splitlines()[-1])
        return statistics.median(figures["seconds"]), foreign, figures["peak_memory_mb"]

    def measure_ours(self, name, first):
        out, foreign = run([self.flags.mii, "bench", "--model", self.flags.model, "--precision", OURS[name], "--batch", 1,
                            "--repeats", self.flags.runs, "--threads", self.flags.threads, "--json", "--quiet"])
        figures = json.loads(out)["figures"]
        return figures["batch 1 latency, ms"] / 1e3, foreign, figures["peak memory, images only, MB"]

    def agreement(self, name):
        """Cosine distances from this program's f32, and images whose best label of seven is the same."""
        exact, own, texts = (numpy.load(self.vectors(n)).astype(numpy.float64) for n in ("mii-f32", name, "texts"))
        unit = [v / numpy.linalg.norm(v, axis=1, keepdims=True) for v in (exact, own)]
        distance = numpy.maximum(0, 1 - (unit[0] * unit[1]).sum(1))
        same = (unit[0] @ texts.T).argmax(1) == (unit[1] @ texts.T).argmax(1)
        return distance.mean(), distance.max(), int(same.sum())


def print_table(bench, names, runs):
    print(processor())
    print(f"{bench.flags.threads} threads, model {bench.flags.model}, {bench.flags.rounds} rounds; "
          f"{run([bench.flags.mii, '--version'])[0].strip()}, "
          + ", ".join(f"{p} {version(p)}" for p in ("openvino", "nncf", "onnxruntime")))
    print("| | one image, ms: median (least) | runs that count | foreign cores | peak memory, MB | cosine distance: mean, worst |"
          " same best label |\n|---|---|---|---|---|---|---|")
    for name in names:
        quiet = [r for r in runs[name] if r[1] <= 0.1]
        counted = quiet or runs[name]
        seconds = [r[0] for r in counted]
        mean, worst, same = bench.agreement(name)
        print(f"| {name} | {1e3 * statistics.median(seconds):.1f} ({1e3 * min(seconds):.1f}) | {len(quiet)} of {len(runs[name])}"
              f"{'' if quiet else ', none quiet'} | {statistics.median(r[1] for r in counted):.2f} | {max(r[2] for r in counted):.0f}"
              f" | {mean:.1e}, {worst:.1e} | {same} of {len(bench.compared)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("mii", "model", "tower", "images"):
        parser.add_argument(name)
    for name, default in (("rounds", 5), ("runs", 3), ("count", 20), ("threads", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--work", default="build/peers")
    parser.add_argument("--only", nargs="+", choices=[*OURS, *PEERS], default=[*OURS, *PEERS])
    bench = Bench(parser.parse_args())
    bench.prepare()
    bench.embed(["--texts", *LABELS], "f32", "texts")
    for name, precision in OURS.items():
        if name in bench.flags.only or name == "mii-f32":
            bench.embed(["--images", *bench.compared], precision, name)
    runs = {name: [] for name in bench.flags.only}
    for turn in range(bench.flags.rounds):
        for name in bench.flags.only:
            runs[name].append((bench.measure_ours if name in OURS else bench.measure_peer)(name, turn == 0))
    print_table(bench, bench.flags.only, runs)


main()
