#!/usr/bin/env python3
"""Compares how this library and Pillow read the files of folders, pixel for pixel.

usage: compare_with_pillow.py IMAGE_PROBE FOLDER...

Needs Pillow (10.4 is what docs/image-files.md was made with) and numpy in the Python that runs it; IMAGE_PROBE is the
program image_probe of the tests. Every file below the folders is read by both, but for those whose content is of no
format that this library reads: they are counted and left out. Compared are the bytes of Image.open(f).convert("RGB"), with the rules that
include/mii/image.h names: grey of 16 bits by its own minimum and maximum, 32-bit, floating-point and signed grey by
percentiles 1 to 99, TIFF's orientation followed, a TIFF's first page.

A line is printed for each file that is not equal or refused by both, then the counts. --all prints a line for those
that both refuse as well. Exit status: 0 done, 1 when a file takes the probe down, 77 when Pillow is missing.
"""

import argparse
import collections
import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

try:
    import numpy as np
    from PIL import Image
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

EQUAL, BOTH, US, THEM, DIFFERENT, OTHER = (
    "equal", "refused by both", "refused by us alone", "refused by Pillow alone", "different", "of another format")


def grey16(values):
    """The documented rule for 16-bit grey: its own range, rounded to nearest."""
    values = values.astype(np.int64)
    low, reach = values.min(), int(values.max() - values.min())
    return np.zeros(values.shape, np.uint8) if reach == 0 else (((values - low) * 255 + reach // 2) // reach).astype(np.uint8)


def percentile_grey(values):
    """The profile percentile:1,99 of measured values: floored; NaN is black and counts in no statistics."""
    values = values.astype(np.float64)
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, [1, 99]) if finite.size else (0, 0)
    share = (np.clip(values, low, high) - low) / (high - low) if high > low else np.zeros(values.shape)
    return np.floor(np.nan_to_num(share, nan=0) * 255).astype(np.uint8)


def sample_format(image):
    """TIFF's: 1 unsigned, 2 signed, 3 floating-point."""
    return image.tag_v2.get(339, (1,))[0] if image.format == "TIFF" else 1


def measured_grey(image):
    values = np.asarray(image)
    if image.mode == "L":
        values = values.astype(np.int8)  # Pillow takes signed bytes for unsigned ones
    grey = percentile_grey(values)
    return 255 - grey if image.tag_v2.get(262) == 0 else grey


def pillow_pixels(path):
    with Image.open(path) as image:
        measured = sample_format(image) in (2, 3) or (image.format == "TIFF" and image.mode in ("I", "F"))
        image.load()
        if measured:
            grey = measured_grey(image)
        elif image.mode.startswith(("I", "F")):
            grey = grey16(np.asarray(image))
        else:
            return np.asarray(image.convert("RGB"))
        return np.repeat(grey[..., None], 3, axis=2)


def pillow_answer(path):
    """(pixels, None) or (None, why not)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pillow_pixels(path), None
    except Exception as error:  # whatever Pillow raises, it means that it does not read the file
        return None, f"{type(error).__name__}: {error}"[:120]


class Probe:
    """The program that reads with this library, started again when a file ends it."""

    def __init__(self, program):
        self.program, self.process, self.crashes = program, None, 0

    def ask(self, line):
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen([self.program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer:
            self.crashes += 1
            return "error crash the probe ended"
        return answer


def difference(probe, path, theirs):
    """How our pixels differ from theirs, in words."""
    with tempfile.NamedTemporaryFile() as file:
        width, height = map(int, probe.ask(f"write {file.name} {path}").split()[:2])
        ours = np.fromfile(file.name, np.uint8).reshape(height, width, 3).astype(int)
    if ours.shape != theirs.shape:
        return f"{width} x {height} pixels, Pillow has {theirs.shape[1]} x {theirs.shape[0]}"
    apart = np.abs(ours - theirs).max(axis=2)
    return f"{np.count_nonzero(apart)} of {apart.size} pixels differ, by at most {apart.max()}"


def compared(probe, path):
    """(kind, reason)."""
    ours = probe.ask(f"decode {path}")
    if "expected a JPEG, PNG, TIFF" in ours:
        return OTHER, ""
    theirs, why_not = pillow_answer(path)
    refused = ours.startswith("error")
    reason = ours.removeprefix("error ").split(" ", 1)[-1].removeprefix(f"{path}: ")
    if theirs is None:
        return (BOTH, reason) if refused else (THEM, why_not)
    if refused:
        return US, reason
    hash_of_theirs = hashlib.sha256(np.ascontiguousarray(theirs).tobytes()).hexdigest()
    if ours.split() == [str(theirs.shape[1]), str(theirs.shape[0]), hash_of_theirs]:
        return EQUAL, ""
    return DIFFERENT, difference(probe, path, theirs)


def files_of(folder):
    return sorted(path for path in pathlib.Path(folder).rglob("*") if path.is_file())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("probe")
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--all", action="store_true")
    arguments = parser.parse_args()
    Image.MAX_IMAGE_PIXELS = 100_000_000
    probe, counts = Probe(arguments.probe), collections.Counter()
    for folder in arguments.folders:
        for path in files_of(folder):
            kind, reason = compared(probe, path)
            counts[kind] += 1
            if kind in (US, THEM, DIFFERENT) or (arguments.all and kind == BOTH):
                print(f"{os.path.relpath(path, folder)}: {kind}: {reason}")
    print(f"{counts.total()} files: " + ", ".join(f"{counts[kind]} {kind}" for kind in (EQUAL, BOTH, US, THEM, DIFFERENT, OTHER)))
    return 1 if probe.crashes else 0


if __name__ == "__main__":
    sys.exit(main())
