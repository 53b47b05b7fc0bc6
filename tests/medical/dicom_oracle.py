"""Reads DICOM files with this program and with pydicom, and compares the first, the middle and the last frame: grey
as real values, colour as RGB. Images that were compressed without loss must be equal.

    dicom_oracle.py PROBE WORK_FOLDER [--table FILE.md] [FOLDER...]

PROBE is build/release/tests/medical/dicom_probe. Without a FOLDER the files are those of Debian's python3-pydicom.
Prints a line for each file that differs or that only one of the two reads, then the counts. Exits with 1 when a file
differs or is refused by this program alone.

Needs python3-venv and PyPI: the packages below go to a virtual environment in WORK_FOLDER. Exits with 77 without.
"""
import collections
import pathlib
import subprocess
import sys
import venv

SKIPPED = 77
PACKAGES = ["pydicom==3.0.2", "numpy", "pylibjpeg", "pylibjpeg-libjpeg", "pylibjpeg-openjpeg", "pylibjpeg-rle",
            "pyjpegls", "pillow"]
JPEG_DCT = {"1.2.840.10008.1.2.4." + n for n in ("50", "51")}
LOSSY = JPEG_DCT | {"1.2.840.10008.1.2.4." + n for n in ("81", "91", "93", "203")}

EQUAL, CLOSE, BOTH_REFUSE, WE_REFUSE, THEY_REFUSE, DIFFERENT = (
    "equal", "as close as lossy decoders are", "refused by both", "refused by this program alone",
    "refused by pydicom alone", "different")


def skip(why):
    print("skipped:", why)
    sys.exit(SKIPPED)


def enter_environment(work):
    """Runs this script again in a virtual environment that has pydicom."""
    python, ready = work / "venv" / "bin" / "python", work / "venv" / "ready"
    if pathlib.Path(sys.executable) == python:
        return
    if not ready.exists() or ready.read_text() != " ".join(PACKAGES):
        venv.create(work / "venv", with_pip=True, clear=True)
        if subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], stdout=subprocess.DEVNULL).returncode:
            skip("pydicom cannot be had from PyPI here")
        ready.write_text(" ".join(PACKAGES))
    sys.exit(subprocess.run([python, "-W", "ignore", *sys.argv]).returncode)


def debian_files(work):
    """The files of Debian's package, unpacked but not installed."""
    if not (work / "package").exists():
        (work / "download").mkdir(parents=True, exist_ok=True)
        fetched = subprocess.run(["apt-get", "download", "-qq", "python3-pydicom"], cwd=work / "download",
                                 stderr=subprocess.DEVNULL)
        if fetched.returncode:
            skip("the Debian package python3-pydicom cannot be had here")
        package = next((work / "download").glob("python3-pydicom_*.deb"))
        subprocess.run(["dpkg", "-x", package, work / "package"], check=True)
    return work / "package/usr/lib/python3/dist-packages/pydicom/data/test_files"


def is_dicom(path):
    """A Part 10 file, or one that begins with an element of group 0002 or 0008."""
    if not path.is_file() or path.name == "DICOMDIR":
        return False
    with path.open("rb") as file:
        head = file.read(132)
    return head[128:] == b"DICM" or head[:2] in (b"\2\0", b"\10\0", b"\0\10")


def rescaled(array, ds, index):
    """By the modality LUT or the rescale. pydicom looks only at the top level; in an enhanced object the frame's
    group or the one that all frames share has it (PS3.3 C.7.6.16.2.9)."""
    import numpy
    from pydicom.pixels import apply_modality_lut

    for sequence, at in (("PerFrameFunctionalGroupsSequence", index), ("SharedFunctionalGroupsSequence", 0)):
        groups = ds.get(sequence) or []
        values = groups[at].get("PixelValueTransformationSequence") if at < len(groups) else None
        if values:
            ds = values[0]
            break
    return apply_modality_lut(array, ds).astype(numpy.float64)


def coloured(array, ds):
    """By the palette. pydicom 3.0.2 takes the words of a big-endian one for little-endian ones."""
    import numpy
    from pydicom.pixels import apply_color_lut

    array = apply_color_lut(array, ds)
    if array.dtype.itemsize == 1:
        return array
    segmented = "SegmentedRedPaletteColorLookupTableData" in ds
    if ds.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.2" and not segmented:
        array = array.byteswap()
    return (array >> 8).astype(numpy.uint8)


def expected_frames(path):
    """What pydicom makes of the first, the middle and the last frame: real values or RGB, by their index."""
    import numpy
    import pydicom
    from pydicom.pixels import pixel_array

    ds = pydicom.dcmread(path, force=True)
    ds.file_meta = getattr(ds, "file_meta", None) or pydicom.dataset.FileMetaDataset()
    if "TransferSyntaxUID" not in ds.file_meta:
        ds.file_meta.TransferSyntaxUID = pydicom.uid.UID(
            "1.2.840.10008.1.2" if ds.original_encoding[0] else
            "1.2.840.10008.1.2.1" if ds.original_encoding[1] else "1.2.840.10008.1.2.2")

    # Pillow's libjpeg-turbo spreads chroma over its pixels as IJG's library does; no standard says how.
    eight_bit_jpeg = ds.file_meta.TransferSyntaxUID in JPEG_DCT and ds.BitsAllocated == 8
    plugin = "pillow" if eight_bit_jpeg else ""

    def frame(index):
        array = pixel_array(ds, index=index, raw=False, decoding_plugin=plugin)
        if ds.PhotometricInterpretation == "PALETTE COLOR":
            return coloured(array, ds)
        if ds.SamplesPerPixel == 1:
            return rescaled(array, ds, index)
        if array.dtype.itemsize > 1:
            array = array >> max(0, ds.BitsStored - 8)
        return array.astype(numpy.uint8)

    count = int(ds.get("NumberOfFrames") or 1)
    return ds, {index: frame(index) for index in (0, count // 2, count - 1)}


def allowed_difference(ds, kind):
    """Lossy codecs may differ by two levels in each component, of which blue is Y + 1.772 Cb. YBR to RGB is rounded
    once here and may be elsewhere."""
    if ds.file_meta.TransferSyntaxUID in LOSSY:
        slope = abs(float(ds.get("RescaleSlope", 1) or 1))
        return 2 * slope if kind == "grey" else 2 * 2.772
    return 1 if str(ds.PhotometricInterpretation).startswith("YBR") else 0


def compare(probe, path, scratch):
    """(outcome, explanation) of one file."""
    import numpy

    answer = subprocess.run([probe, path, scratch], capture_output=True, text=True, timeout=60).stdout.strip()
    if not answer:
        return DIFFERENT, "the probe crashed"
    refusal = answer.split(" ", 2)[2] if answer.startswith("error") else None
    try:
        ds, frames_of_pydicom = expected_frames(path)
    except Exception as error:  # whatever a damaged file makes it raise
        return (BOTH_REFUSE, refusal) if refusal else (THEY_REFUSE, f"{type(error).__name__}: {str(error)[:200]}")
    if refusal:
        return WE_REFUSE, refusal
    kind, rows, cols, frames, *indices = answer.split()
    shape = (int(rows), int(cols)) + ((3,) if kind == "colour" else ())
    data = numpy.fromfile(scratch, numpy.uint8 if kind == "colour" else numpy.float64).reshape((-1,) + shape)
    worst = 0.0
    for found, index in zip(data, map(int, indices)):
        expected = frames_of_pydicom[index]
        if expected.shape != found.shape:
            return DIFFERENT, f"shape {found.shape}, expected {expected.shape}"
        worst = max(worst, float(numpy.abs(found.astype(numpy.float64) - expected.astype(numpy.float64)).max()))
    if worst == 0:
        return EQUAL, ""
    allowed = allowed_difference(ds, kind)
    if worst <= allowed:
        return CLOSE, f"at most {worst:g} apart"
    return DIFFERENT, f"{worst:g} apart, allowed {allowed:g}"


def main():
    arguments = sys.argv[1:]
    table = None
    if "--table" in arguments:
        at = arguments.index("--table")
        table = pathlib.Path(arguments[at + 1])
        del arguments[at:at + 2]
    if len(arguments) < 2:
        sys.exit(__doc__)
    probe, work = pathlib.Path(arguments[0]).resolve(), pathlib.Path(arguments[1]).resolve()
    folders = [pathlib.Path(a) for a in arguments[2:]] or [debian_files(work)]
    enter_environment(work)
    rows, counts = [], collections.Counter()
    for folder in folders:
        for path in sorted(filter(is_dicom, folder.rglob("*"))):
            outcome, why = compare(probe, path, work / "frames.bin")
            counts[outcome] += 1
            rows.append((f"{folder.name}/{path.relative_to(folder)}", f"{outcome}: {why}" if why else outcome))
            if outcome in (WE_REFUSE, THEY_REFUSE, DIFFERENT):
                print(*rows[-1], sep=": ")
    print(f"{len(rows)} files:", ", ".join(f"{counts[o]} {o}" for o in (EQUAL, CLOSE, BOTH_REFUSE, WE_REFUSE,
                                                                         THEY_REFUSE, DIFFERENT)))
    if table:
        table.write_text("".join(f"| {name} | {result} |\n" for name, result in rows))
    sys.exit(bool(counts[WE_REFUSE] or counts[DIFFERENT] or not rows))


main()
