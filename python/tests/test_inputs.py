"""Every kind of image that is taken gives the vector of the same pixels; everything else is refused with a reason."""
import base64
import io
import pathlib
import re
import warnings

import numpy as np
import pytest
from PIL import Image as PilImage

import medimageinsight as mii
from medimageinsight import errors

from conftest import ROOT


class Tensor:
    """Stands for a torch tensor: DLPack and nothing else."""

    def __init__(self, array, device=(1, 0)):
        self._array, self._device = array, device

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._device


@pytest.fixture(scope="module")
def expected(engine, images):
    return engine.encode_images(images / "rgb.png")


@pytest.fixture(scope="module")
def pixels(images):
    return np.asarray(PilImage.open(images / "rgb.png").convert("RGB"))


def kinds(path, pixels):
    data = path.read_bytes()
    text = base64.b64encode(data).decode()
    return {
        "str": str(path), "Path": path, "bytes": data, "bytearray": bytearray(data), "memoryview": memoryview(data),
        "data URI": "data:image/png;base64," + text, "long base64": text, "PIL": PilImage.open(path), "array": pixels,
        "tensor": Tensor(pixels), "ImageInput": mii.ImageInput(str(path)), "Image": mii.read_image(path),
        "negative strides": pixels[::-1, ::-1][::-1, ::-1],
        "Fortran order": np.asfortranarray(pixels),
        "part of a larger array": np.pad(pixels, ((3, 3), (2, 2), (0, 0)))[3:-3, 2:-2],
        "read-only": np.frombuffer(pixels.tobytes(), np.uint8).reshape(pixels.shape),
    }


def test_every_kind_of_image_gives_the_same_vector(engine, images, expected, pixels):
    for name, image in kinds(images / "rgb.png", pixels).items():
        np.testing.assert_array_equal(engine.encode_images(image), expected, err_msg=name)
        np.testing.assert_array_equal(engine.encode_images([image]), expected, err_msg=name)


def test_all_kinds_together_keep_their_order(engine, images, pixels):
    given = list(kinds(images / "rgb.png", pixels).values())
    given.insert(1, images / "grey.jpg")
    vectors = engine.encode_images(given)
    np.testing.assert_allclose(vectors[1], engine.encode_images(images / "grey.jpg")[0], atol=2e-6)
    np.testing.assert_allclose(vectors[2:], np.repeat(vectors[:1], len(given) - 2, 0), atol=2e-6)


def test_a_generator_is_read_piece_by_piece(engine, rgb):
    open_at_once, most = set(), [0]

    def generate(n):
        for i in range(n):
            open_at_once.add(i)
            most[0] = max(most[0], len(open_at_once))
            yield np.roll(rgb, i, axis=1)
            if i % 32 == 31:
                open_at_once.clear()

    vectors = engine.encode_images(generate(70))
    assert vectors.shape == (70, engine.dim) and most[0] <= 33
    np.testing.assert_allclose(vectors[69], engine.encode_images(np.roll(rgb, 69, axis=1))[0], atol=2e-6)


def test_a_folder_stands_for_its_images(engine, images):
    found, failures = mii.find_images(images)
    assert failures == [] and [i.path for i in found] == sorted(i.path for i in found)
    np.testing.assert_array_equal(engine.encode_images(images), engine.encode_images(found))


def test_grey_is_three_equal_colours(engine, pixels):
    grey = pixels[..., 0]
    np.testing.assert_array_equal(engine.encode_images(grey), engine.encode_images(np.stack([grey] * 3, axis=2)))


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "CMYK", "YCbCr", "HSV"])
def test_pil_images_are_converted_as_pillow_does(engine, pixels, mode):
    image = PilImage.fromarray(pixels).convert(mode)
    np.testing.assert_array_equal(engine.encode_images(image), engine.encode_images(np.asarray(image.convert("RGB"))))


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint16", "int32", "uint32", "float16", "float32", "float64", ">i2", ">f4"])
def test_measured_values_are_shown_by_the_profile(dtype):
    values = (np.arange(64 * 64).reshape(64, 64) % 101).astype(dtype)
    shown = mii.read_image(values, decode="window:50.5,100").pixels
    expected = np.clip(np.floor((values.astype(np.float64) - 50) / 99 * 255 + 127.5 + 0.5), 0, 255)  # PS3.3 C.11.2.1.2
    assert shown.shape == (64, 64, 3) and np.array_equal(shown[..., 0], shown[..., 1])
    assert np.abs(shown[..., 0] - expected).max() <= 1


def test_provenance_tells_how_values_were_shown():
    provenance = mii.read_image(np.linspace(-1000, 400, 10000).reshape(100, 100), decode="ct-lung").provenance
    assert provenance["format"] == "array" and provenance["profile"] == "ct-lung" and provenance["applied"] == "window"
    assert mii.read_image(np.zeros((4, 4), np.uint8)).provenance is None


def test_values_that_are_not_finite_are_shown_black_or_at_the_end():
    values = np.full((8, 8), 5.0)
    values[0, 0], values[1, 1], values[2, 2], values[3, 3] = np.nan, np.inf, -np.inf, 6
    assert mii.read_image(values).pixels[0, 0, 0] == 0


def ct_dataset():
    """A pydicom dataset of 16 x 16 Hounsfield units, with a window."""
    import pydicom
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    dataset = pydicom.Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.Modality, dataset.PhotometricInterpretation = "CT", "MONOCHROME2"
    dataset.Rows = dataset.Columns = 16
    dataset.SamplesPerPixel, dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 1, 16, 16, 15
    dataset.PixelRepresentation = 1
    dataset.RescaleIntercept, dataset.RescaleSlope = -1000, 1
    dataset.WindowCenter, dataset.WindowWidth = 40, 400
    dataset.PixelData = (np.arange(256, dtype=np.int16) * 8).tobytes()
    return dataset


def test_a_pydicom_dataset_is_read_as_its_file(engine, tmp_path):
    import pydicom

    dataset = ct_dataset()
    pydicom.dcmwrite(tmp_path / "ct.dcm", dataset, enforce_file_format=True)
    np.testing.assert_array_equal(engine.encode_images(dataset), engine.encode_images(tmp_path / "ct.dcm"))
    image = mii.read_image(pydicom.dcmread(tmp_path / "ct.dcm"))
    assert image.provenance["window_center"] == 40 and image.provenance["modality"] == "CT"
    assert mii.read_image(dataset, decode="ct-lung").provenance["window_width"] == 1500
    file = mii.ImageFile(tmp_path / "ct.dcm")
    assert len(file) == 1 and file.measured and "1 frame" in repr(file)
    np.testing.assert_array_equal(file.values(), np.arange(256).reshape(16, 16) * 8 - 1000)
    del dataset.PixelData
    with pytest.raises(errors.Error):
        engine.encode_images(dataset)


def test_series_are_in_order_and_pooled(engine, tmp_path):
    import pydicom

    first = ct_dataset()
    first.StudyInstanceUID, first.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    first.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    for i, z in enumerate([10, 0, 5]):
        first.SOPInstanceUID = first.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.4.{i + 1}"
        first.InstanceNumber, first.ImagePositionPatient = i + 1, [0, 0, z]
        pydicom.dcmwrite(tmp_path / f"{i}.dcm", first, enforce_file_format=True)
    (tmp_path / "notes.txt").write_text("no image")
    series, skipped = mii.find_series(tmp_path)
    assert len(series) == 1 and [s.position_mm for s in series[0].slices] == [0, 5, 10]
    assert [pathlib.Path(path).name for path, _ in skipped] in ([], ["notes.txt"])
    vectors = engine.encode_series(series[0])
    assert vectors.shape == (3, engine.dim)
    pooled = engine.encode_series(series[0], pooling="mean")
    np.testing.assert_allclose(pooled, vectors.mean(0) / np.linalg.norm(vectors.mean(0)), atol=1e-5)
    np.testing.assert_allclose(pooled, mii.pool_slices(vectors), atol=1e-6)


@pytest.mark.parametrize("image, error, says", [
    (None, errors.InvalidInput, "None"),
    (7, errors.InvalidInput, "int"),
    ({"image": 1}, errors.InvalidInput, "dict"),
    ("/nowhere/x.png", errors.IoError, "/nowhere/x.png"),
    ("a\0b", errors.InvalidInput, "zero byte"),
    (b"", errors.InvalidImage, "images"),
    (b"no image at all", errors.InvalidImage, "images"),
    ("data:image/png;base64,####", errors.InvalidImage, "base64"),
    ("data:image/png,raw", errors.InvalidImage, "base64"),
    (np.zeros(5, np.uint8), errors.InvalidInput, r"\[5\]"),
    (np.zeros((3, 50, 60), np.uint8), errors.InvalidInput, "transpose"),
    (np.zeros((2, 3, 4, 5), np.uint8), errors.InvalidInput, "expected"),
    (np.zeros((5, 5, 4), np.uint8), errors.InvalidInput, r"\[5, 5, 4\]"),
    (np.zeros((5, 5, 3), np.float32), errors.InvalidInput, "uint8"),
    (np.zeros((5, 5), bool), errors.InvalidInput, "bool"),
    (np.zeros((5, 5), complex), errors.InvalidInput, "complex128"),
    (np.zeros((5, 5), np.int64), errors.InvalidInput, "int64"),
    (np.array([["a", "b"], ["c", "d"]]), errors.InvalidInput, "<U1"),
    (np.empty((2, 2), object), errors.InvalidInput, "expected"),
    (np.zeros((0, 5), np.uint8), errors.InvalidInput, "no values"),
    (Tensor(np.zeros((5, 5), np.uint8), device=(2, 0)), errors.InvalidInput, "cpu"),
    (Tensor(np.zeros((5, 5), np.int64)), errors.InvalidInput, "int64"),
], ids=lambda value: None if isinstance(value, type) else str(value)[:20])
def test_what_is_no_image_is_refused_with_a_reason(engine, image, error, says):
    for given in (image, [image]):
        with pytest.raises(error, match=says):
            engine.encode_images(given)


def test_an_error_names_the_image(engine, rgb, images):
    with pytest.raises(errors.InvalidImage, match=r"images\[3\]"):
        engine.encode_images([rgb, rgb, images / "rgb.png", b"broken", rgb])
    with pytest.raises(errors.InvalidInput, match=r"images\[1\]"):
        engine.encode_images([rgb, None])
    damaged = (images / "rgb.png").read_bytes()[:300]
    with pytest.raises(errors.InvalidImage, match=r"images\[0\]"):
        engine.encode_images([damaged, rgb])


def test_images_that_fail_can_be_rows_of_nan(engine, rgb):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        vectors = engine.encode_images([rgb, b"broken", rgb], on_error="nan")
    assert np.isnan(vectors[1]).all() and not np.isnan(vectors[[0, 2]]).any()
    assert "images[1]" in str(caught[0].message)
    with pytest.raises(errors.InvalidArgument, match="ignore"):
        engine.encode_images([rgb], on_error="ignore")


def test_what_a_generator_raises_comes_back(engine, rgb):
    class Broken(Exception):
        pass

    def generate():
        yield rgb
        raise Broken("here")

    with pytest.raises(Broken, match="here"):
        engine.encode_images(generate())


def test_an_image_beyond_the_limits_is_refused(engine):
    with pytest.raises(errors.ImageTooLarge):
        engine.encode_images(np.zeros((100, 101), np.uint8), decode=mii.DecodeOptions(max_pixels=10_000))
    data = io.BytesIO()
    PilImage.new("L", (200, 200)).save(data, "png")
    with pytest.raises(errors.ImageTooLarge):
        engine.encode_images(data.getvalue(), decode=mii.DecodeOptions(max_pixels=10_000))


def test_a_file_is_read_by_all_of_its_options(tmp_path):
    values = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 3
    PilImage.fromarray(values).save(tmp_path / "grey16.png")
    data = (tmp_path / "grey16.png").read_bytes()
    for file in (tmp_path / "grey16.png", data):
        shown = mii.ImageFile(file, decode=mii.DecodeOptions(grey16="high_byte"))[0]
        np.testing.assert_array_equal(shown.pixels[..., 0], values >> 8)
        with pytest.raises(errors.ImageTooLarge):
            mii.ImageFile(file, decode=mii.DecodeOptions(max_pixels=values.size - 1))[0]
        with pytest.raises(errors.ImageTooLarge):
            mii.ImageFile(file, decode=mii.DecodeOptions(max_file_bytes=len(data) - 1))


@pytest.mark.parametrize("texts, error", [
    (None, errors.InvalidInput), (5, errors.InvalidInput), (b"bytes", errors.InvalidInput), ([1], errors.InvalidInput),
    (["\ud800"], errors.InvalidInput), ("x" * (2 << 20), errors.InvalidText)])
def test_what_is_no_text_is_refused(engine, texts, error):
    with pytest.raises(error):
        engine.encode_texts(texts)


@pytest.mark.parametrize("labels", [[], ["a", "a"], [""], None, [None]])
def test_labels_that_make_no_sense_are_refused(engine, rgb, labels):
    with pytest.raises(errors.InvalidArgument):
        engine.classify(rgb, labels)


@pytest.mark.parametrize("vectors", [None, "text", [[1, 2], [3]], np.zeros((2, 3, 4)), np.zeros((2, 5)), [[None]]])
def test_vectors_that_do_not_fit_are_refused(engine, vectors):
    head = engine.zero_shot_head(["a", "b"])
    with pytest.raises(errors.InvalidArgument):
        head.score(vectors)


@pytest.mark.parametrize("options", [{"profile": "x"}, {"plane": "oblique"}, {"grey16": "low_byte"}, {"profile": "window:1"}])
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(errors.InvalidArgument):
        mii.DecodeOptions(**options)


def test_every_code_has_a_class():
    header = (ROOT / "include" / "mii" / "error.h").read_text()
    codes = re.search(r"enum class ErrorCode \{(.*?)\};", header, re.DOTALL).group(1)
    assert set(errors.BY_CODE) == set(re.findall(r"^  (\w+),", codes, re.MULTILINE))
    for code, kind in errors.BY_CODE.items():
        assert issubclass(kind, mii.Error) and kind.code == code
    assert issubclass(errors.IoError, OSError) and issubclass(errors.InvalidImage, ValueError)
