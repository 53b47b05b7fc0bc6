"""Every DICOM file of Debian's python3-pydicom (and of folders named beside it) gives the pixels that pydicom gives
with GDCM or libjpeg behind it: equal when compressed without loss, within two grey levels else; or fails with a
sentence.

    dicom_oracle.py PROBE WORK_FOLDER [--table FILE.md] [FOLDER...]
"""
import pathlib
import subprocess
import sys
import venv

SKIPPED = 77
PACKAGES = ["pydicom==3.0.2", "numpy", "pylibjpeg", "pylibjpeg-libjpeg", "pylibjpeg-openjpeg", "python-gdcm"]


def skip(why):
    print("skipped:", why)
    sys.exit(SKIPPED)


def enter_environment(work):
    """Runs this script again in a virtual environment that has pydicom."""
    python = work / "venv" / "bin" / "python"
    if pathlib.Path(sys.executable) == python:
        return
    if not (work / "venv" / "ready").exists():
        venv.create(work / "venv", with_pip=True, clear=True)
        if subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], stdout=subprocess.DEVNULL).returncode:
            skip("pydicom cannot be had from PyPI here")
        (work / "venv" / "ready").touch()
    sys.exit(subprocess.run([python, *sys.argv]).returncode)


def test_files(work):
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


def files_in(folder):
    other = {".py", ".json", ".md", ".zip", ".txt", ".sh"}
    return sorted(p for p in folder.rglob("*")
                  if p.is_file() and p.suffix not in other and p.name not in ("README", "DICOMDIR", "ISSUES"))


def expected_frames(path):
    """What pydicom makes of a file: a function of the frame's index that gives real values or RGB."""
    import numpy
    import pydicom
    from pydicom.pixels import apply_color_lut, apply_modality_lut, pixel_array

    ds = pydicom.dcmread(path, force=True)
    ds.file_meta = getattr(ds, "file_meta", None) or pydicom.dataset.FileMetaDataset()
    if "TransferSyntaxUID" not in ds.file_meta:
        ds.file_meta.TransferSyntaxUID = pydicom.uid.UID(
            "1.2.840.10008.1.2" if ds.original_encoding[0] else
            "1.2.840.10008.1.2.1" if ds.original_encoding[1] else "1.2.840.10008.1.2.2")

    def frame(index):
        array = pixel_array(ds, index=index, raw=False)
        if ds.PhotometricInterpretation == "PALETTE COLOR":
            array = apply_color_lut(array, ds)
            return (array >> 8).astype(numpy.uint8) if array.dtype.itemsize > 1 else array
        if ds.SamplesPerPixel == 1:
            return apply_modality_lut(array, ds).astype(numpy.float64)
        if array.dtype.itemsize > 1:
            array = array >> max(0, ds.BitsStored - 8)
        return array.astype(numpy.uint8)

    return ds, frame


def is_lossy(ds):
    return ds.file_meta.TransferSyntaxUID in ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51",
                                              "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.91")


def compare(probe, path, scratch):
    """(ok, result) of one file."""
    import numpy

    answer = subprocess.run([probe, path, scratch], capture_output=True, text=True, timeout=60).stdout.strip()
    if not answer:
        return False, "the probe crashed"
    try:
        ds, frame = expected_frames(path)
        first = frame(0)
    except Exception as error:  # pydicom cannot either
        why = f"{type(error).__name__}"
        if answer.startswith("error"):
            return True, "refused by both: " + answer.split(" ", 2)[2]
        return True, f"read; pydicom cannot ({why})"
    if answer.startswith("error"):
        return False, answer.split(" ", 2)[2]
    kind, rows, cols, frames, *indices = answer.split()
    shape = (int(rows), int(cols)) + ((3,) if kind == "colour" else ())
    data = numpy.fromfile(scratch, numpy.uint8 if kind == "colour" else numpy.float64).reshape((-1,) + shape)
    worst = 0.0
    for found, index in zip(data, map(int, indices)):
        expected = first if index == 0 else frame(index)
        if expected.shape != found.shape:
            return False, f"shape {found.shape}, expected {expected.shape}"
        worst = max(worst, float(numpy.abs(found.astype(numpy.float64) - expected.astype(numpy.float64)).max()))
    slope = abs(float(ds.get("RescaleSlope", 1) or 1)) if kind == "grey" else 1
    # YBR to RGB is rounded once here and may be elsewhere: one level. Lossy codecs may differ by two.
    allowed = 2 * slope if is_lossy(ds) else 1 if str(ds.PhotometricInterpretation).startswith("YBR") else 0
    note = "equal" if worst == 0 else f"at most {worst:g} apart"
    return worst <= allowed, note + ("" if worst <= allowed else f", allowed {allowed:g}")


def main():
    arguments = sys.argv[1:]
    table = None
    if "--table" in arguments:
        at = arguments.index("--table")
        table = pathlib.Path(arguments[at + 1])
        del arguments[at:at + 2]
    probe, work = pathlib.Path(arguments[0]).resolve(), pathlib.Path(arguments[1]).resolve()
    folders = [test_files(work)] + [pathlib.Path(a) for a in arguments[2:]]
    enter_environment(work)
    rows, wrong = [], 0
    for folder in folders:
        for path in files_in(folder):
            ok, result = compare(probe, path, work / "frames.bin")
            rows.append((f"{folder.name}/{path.relative_to(folder)}", result))
            wrong += not ok
            if not ok:
                print("WRONG", rows[-1])
    print(f"{len(rows)} files, {wrong} wrong")
    if table:
        table.write_text("".join(f"| {name} | {result} |\n" for name, result in rows))
    sys.exit(bool(wrong) or len(rows) < 50)


main()
