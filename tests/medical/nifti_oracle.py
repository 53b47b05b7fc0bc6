#!/usr/bin/env python3
"""Compares every slice of volumes in three planes with what nibabel and numpy make of the same files.

usage: nifti_oracle.py NIFTI_PROBE ENVIRONMENT

ENVIRONMENT is a folder for a virtual environment with nibabel and numpy, made if need be. Compared are volumes
made here (types, byte orders, versions, scalings, flipped, permuted and oblique axes) and the files *.nii and
*.nii.gz of the folder that MII_SHARED_DATA names, or of its folder nifti, or of ../shared/data/nifti beside the
source tree. Exit status: 0 all equal, 1 differences (each is printed), 77 skipped because nibabel cannot be had.
"""

import gzip
import hashlib
import itertools
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from oracle_environment import enter_environment

# The rule for the axes of oblique volumes that is compared with is that of nibabel 5.4.
PACKAGES = ["nibabel>=5.4", "numpy"]
PLANES = ["axial", "coronal", "sagittal"]


# --- what nibabel says ---------------------------------------------------------------------------------------


def values_of(image):
    """[i, j, k, times] of doubles, or [i, j, k, times, 3] of bytes; scaled as nibabel does."""
    data = np.asanyarray(image.dataobj)
    if data.dtype.names:
        data = np.stack([data[channel] for channel in "RGB"], axis=-1)
        return data.reshape(*data.shape[:3], -1, 3, order="F")
    if np.iscomplexobj(data):  # numpy.abs is an approximation of its own; numpy.hypot is the C library's, as here
        data = np.hypot(data.real.astype(np.float64), data.imag.astype(np.float64))
    data = data.astype(np.float64)
    return data.reshape(*data.shape[:3], -1, order="F")


def affine_of(image):
    """Without sform and qform nibabel flips the first axis, as ANALYZE did; nifti1.h knows no such flip."""
    header = image.header
    if header["sform_code"] > 0 or header["qform_code"] > 0:
        return image.affine
    return np.diag([*np.abs(header["pixdim"][1:4]), 1])


def canonical(image):
    """The values with axes that lead right, anterior and superior."""
    orientation = nib.orientations.io_orientation(affine_of(image))
    return nib.orientations.apply_orientation(values_of(image), orientation)


def slices_of(values, plane):
    """The slices [rows, cols] of one time in the radiological convention, in their order."""
    if plane == "axial":  # inferior to superior; the patient's right on the left, anterior on top
        return [values[::-1, ::-1, k].swapaxes(0, 1) for k in range(values.shape[2])]
    if plane == "coronal":  # posterior to anterior; the patient's right on the left, superior on top
        return [values[::-1, j, ::-1].swapaxes(0, 1) for j in range(values.shape[1])]
    # right to left; anterior on the left, superior on top
    return [values[i, ::-1, ::-1].swapaxes(0, 1) for i in reversed(range(values.shape[0]))]


def expected(path, plane):
    values = canonical(nib.load(path))
    cuts = [cut for t in range(values.shape[3]) for cut in slices_of(values[:, :, :, t], plane)]
    hashes = [hashlib.sha256(np.ascontiguousarray(cut).tobytes()).hexdigest() for cut in cuts]
    times = values.shape[3]
    return " ".join([str(len(cuts) // times), str(times), *map(str, cuts[0].shape[:2]), *hashes])


def expected_info(path):
    image = nib.load(path)
    affine = affine_of(image)
    known = image.header["sform_code"] > 0 or image.header["qform_code"] > 0
    orientation = nib.orientations.io_orientation(affine)
    sizes = nib.affines.voxel_sizes(affine)[np.argsort(orientation[:, 0])]
    return "".join(nib.orientations.ornt2axcodes(orientation)), bool(known), sizes


# --- volumes -------------------------------------------------------------------------------------------------

TYPES = ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", "c8", "c16"]
RGB = [("R", "u1"), ("G", "u1"), ("B", "u1")]


def samples(shape, dtype, seed=1):
    random = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.names:
        return random.integers(0, 256, (*shape, len(dtype.names)), "u1").view(dtype)[..., 0]
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return random.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    values = random.normal(size=shape) * 1000
    return (values + 1j * random.normal(size=shape) if dtype.kind == "c" else values).astype(dtype)


def made(data, affine, form, order="<", slope=None, inter=None, coded="s"):
    """An image whose voxels are stored as given. coded: which of the forms s and q are set."""
    header = form.header_class(endianness=order)
    header.set_data_dtype(data.dtype)
    header.set_data_shape(data.shape)
    header.set_xyzt_units("mm", "sec")
    if "s" in coded:
        header.set_sform(affine, 1)
    if "q" in coded:
        header.set_qform(affine, 1)
    header["vox_offset"] = header.single_vox_offset
    header["scl_slope"] = np.nan if slope is None else slope
    header["scl_inter"] = np.nan if inter is None else inter
    padding = b"\0" * (header.single_vox_offset - len(header.binaryblock))
    return header.binaryblock + padding + data.astype(data.dtype.newbyteorder(order)).tobytes(order="F")


def rotation(random):
    """A random rotation: the quaternion of four normal numbers."""
    q = random.normal(size=4)
    return nib.quaternions.quat2mat(q / np.linalg.norm(q))


def affines():
    """name, affine: all 48 permuted and flipped ones, then oblique, sheared and mirrored ones."""
    for order, signs in itertools.product(itertools.permutations(range(3)), itertools.product([1, -1], repeat=3)):
        affine = np.eye(4)
        affine[:3, :3] = np.eye(3)[list(order)] * np.array(signs) * [0.7, 1.1, 3.0]
        affine[:3, 3] = [10, -20, 30]
        yield f"axes{''.join(map(str, order))}{''.join('+-'[s < 0] for s in signs)}", affine
    random = np.random.default_rng(2)
    for number in range(100):
        affine = np.eye(4)
        affine[:3, :3] = rotation(random) @ np.diag(random.uniform(0.3, 5, 3))
        if number % 2:
            affine[:3, :3] += random.normal(size=(3, 3)) * 0.2
        if number % 3 == 0:
            affine[:3, 0] *= -1
        yield f"oblique{number}", affine


def volumes():
    """name, bytes"""
    skew = nib.affines.from_matvec(np.array([[0, 0, 3], [-0.7, 0, 0], [0, 1.1, 0.1]]))
    forms = {"nifti1": nib.Nifti1Image, "nifti2": nib.Nifti2Image}
    for (name, form), order, dtype in itertools.product(forms.items(), "<>", [*TYPES, RGB, RGB + [("A", "u1")]]):
        data = samples((3, 4, 5), dtype)
        label = f"{name}-{'little' if order == '<' else 'big'}-{np.dtype(dtype).str.strip('<>|')}"
        yield f"{label}.nii", made(data, skew, form, order)
        if data.dtype.kind != "V":
            inter = 0 if data.dtype.kind == "c" else -1024.5  # nibabel adds it to the real part alone
            yield f"{label}-scaled.nii", made(data, skew, form, order, 0.3, inter)
            yield f"{label}-slope0.nii.gz", gzip.compress(made(data, skew, form, order, 0, 7))
    data = samples((5, 4, 3), "i2")
    for (label, affine), form in itertools.product(affines(), forms.values()):
        yield f"{label}-{form.__name__}-s.nii", made(data, affine, form)
        yield f"{label}-{form.__name__}-q.nii", made(data, affine, form, coded="q")
    yield "no-form.nii", made(data, skew, forms["nifti1"], coded="")
    for shape in [(2, 3, 4, 5), (2, 3, 4, 1, 3), (2, 1, 3, 2, 3, 2), (1, 1, 1), (7, 5, 1)]:
        yield f"shape{'x'.join(map(str, shape))}.nii", made(samples(shape, "i2"), skew, forms["nifti1"])


def shared_files():
    beside = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = pathlib.Path(os.environ.get("MII_SHARED_DATA") or beside)
    folder = folder / "nifti" if (folder / "nifti").is_dir() else folder
    return [path for path in sorted(folder.glob("*")) if path.name.endswith((".nii", ".nii.gz"))]


# --- the comparison ------------------------------------------------------------------------------------------


def compare(probe, paths):
    commands = [f"{what} {path}" for path in paths for what in ["info", *PLANES]]
    run = subprocess.run([probe], input="\n".join(commands) + "\n", capture_output=True, text=True, check=True)
    answers = iter(run.stdout.splitlines())
    wrong, slices = 0, 0
    if run.stderr:
        print(f"DIFFERENT: the library is not silent: {run.stderr[:1000]}")
        wrong += 1
    for path in paths:
        codes, known, sizes = expected_info(path)
        ours = next(answers).split()
        # Squares of three numbers, a sum and a root: a few units in the last place of a double.
        same_sizes = len(ours) == 5 and np.allclose([float(x) for x in ours[2:]], sizes, rtol=8 * 2.0**-52, atol=0)
        if ours[:2] != [codes, str(int(known))] or not same_sizes:
            wrong += 1
            print(f"DIFFERENT {path.name}: nibabel {codes} {known} {sizes}; here {' '.join(ours)}")
        for plane in PLANES:
            theirs, ours = expected(path, plane), next(answers)
            slices += len(theirs.split()) - 4
            if theirs != ours:
                wrong += 1
                print(f"DIFFERENT {path.name} {plane}: nibabel {theirs[:100]}; here {ours[:100]}")
    return wrong, slices


def main():
    with tempfile.TemporaryDirectory() as folder:
        paths = shared_files()
        real = len(paths)
        for name, data in volumes():
            paths.append(pathlib.Path(folder) / name)
            paths[-1].write_bytes(data)
        wrong, slices = compare(sys.argv[1], paths)
    print(f"nibabel {nib.__version__}: {len(paths)} volumes, {real} of them real; {slices} slices, {wrong} differences")
    return 1 if wrong else 0


if __name__ == "__main__":
    enter_environment(pathlib.Path(sys.argv[2]), PACKAGES)
    import nibabel as nib
    import numpy as np

    sys.exit(main())
