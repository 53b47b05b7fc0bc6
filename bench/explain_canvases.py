#!/usr/bin/env python3
"""How well the maps of `mii explain` point: canvases of four images of different modalities; a label's energy (what is above
zero in its map) should lie in its own quarter. usage: explain_canvases.py MII MANIFEST [CANVASES [MODEL]]
MANIFEST: a TSV with the columns path, split, modality. Images of the split `train` are left out. Needs Pillow.
With a MODEL (a folder), the weights of its image tower are shuffled within each matrix: then maps must fall to chance."""
import csv
import json
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile

from PIL import Image

SIDE = 240  # of a quarter, pixels


def canvas(paths):
    image = Image.new("RGB", (2 * SIDE, 2 * SIDE))
    for quarter, path in enumerate(paths):
        tile = Image.open(path).convert("RGB").resize((SIDE, SIDE))
        image.paste(tile, (quarter % 2 * SIDE, quarter // 2 * SIDE))
    return image


def cells(grid):
    """(value, quarter) of each token."""
    rows, cols = len(grid), len(grid[0])
    return [(value, 2 * (2 * i >= rows) + (2 * j >= cols)) for i, row in enumerate(grid) for j, value in enumerate(row)]


def energy_in(grid, quarter):
    above = [(max(value, 0), q) for value, q in cells(grid)]
    total = sum(value for value, _ in above)
    return sum(value for value, q in above if q == quarter) / total if total else 0


def shuffle_image_tower(model):
    """In place: the values of every tensor of the image tower that has two dimensions or more."""
    [weights] = (pathlib.Path(model) / "vision_model").iterdir()
    data = bytearray(weights.read_bytes())
    begin = 8 + struct.unpack_from("<Q", data)[0]
    for name, tensor in json.loads(data[8:begin]).items():
        if not name.startswith("image_encoder.") or len(tensor["shape"]) < 2:
            continue
        first, last = (begin + offset for offset in tensor["data_offsets"])
        size = {"F32": 4, "BF16": 2, "F16": 2}[tensor["dtype"]]
        values = [bytes(data[at:at + size]) for at in range(first, last, size)]
        random.shuffle(values)
        data[first:last] = b"".join(values)
    weights.write_bytes(data)


def main(program, manifest, canvases=60, model=None):
    random.seed(1)
    by_modality = {}
    with open(manifest) as table:
        for row in csv.DictReader(table, delimiter="\t"):
            if row["split"] != "train":
                by_modality.setdefault(row["modality"], []).append(pathlib.Path(manifest).parent / row["path"])
    modalities = sorted(by_modality)
    energies, points, worst = {"map": [], "parts": []}, {"map": [], "parts": []}, 0
    with tempfile.TemporaryDirectory() as folder:
        chosen, paths = [], []
        for n in range(int(canvases)):
            chosen.append(random.sample(modalities, 4))
            paths.append(f"{folder}/{n}.png")
            canvas([random.choice(by_modality[m]) for m in chosen[-1]]).save(paths[-1])
        command = [program, "explain", *paths, "--json", "--quiet", "--precision", "f32", "--labels", *modalities]
        if model:
            shutil.copytree(model, f"{folder}/model")
            shuffle_image_tower(f"{folder}/model")
            command += ["--model", f"{folder}/model"]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    for four, line in zip(chosen, lines, strict=True):
        labels = {label["label"]: label for label in json.loads(line)["labels"]}
        for quarter, modality in enumerate(four):
            worst = max(worst, labels[modality]["completeness_error"])
            for kind in energies:
                grid = labels[modality][kind]
                energies[kind].append(energy_in(grid, quarter))
                points[kind].append(max(cells(grid))[1] == quarter)
    print(f"{canvases} canvases, {len(points['map'])} labels, chance 0.25, largest completeness error {worst:.1e}")
    for kind, values in energies.items():
        n = len(values)
        print(f"{kind:5}  energy {sum(values) / n:.3f}  at least half {sum(v >= 0.5 for v in values) / n:.1%}"
              f"  highest token inside {sum(points[kind]) / n:.1%}")


if __name__ == "__main__":
    main(*sys.argv[1:])
