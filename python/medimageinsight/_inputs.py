"""What people have as images and vectors, brought to what the library takes: paths (str), files (bytes), arrays in C
order, and its own Image and ImageInput."""
from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any, Union

import numpy as np

from . import _core
from .errors import InvalidImage, InvalidInput

#: One image: a path, the bytes of a file, a data: URI, a numpy array, a PIL image, a pydicom dataset, anything with
#: DLPack (a torch tensor), an Image or an ImageInput.
ImageLike = Union[str, os.PathLike, bytes, bytearray, memoryview, np.ndarray, _core.Image, _core.ImageInput, Any]

_LONGEST_PATH = 4096
# What the library takes, and what holds all values of the other types.
_DTYPES = {"uint8": "uint8", "int8": "int16", "int16": "int16", "uint16": "uint16", "int32": "int32",
           "uint32": "float64", "float16": "float32", "float32": "float32", "float64": "float64"}


def from_base64(text: str | bytes) -> bytes:
    """The bytes of a file from base64, with or without "data:...;base64," before it. Raises InvalidImage."""
    if isinstance(text, str):
        if text.startswith("data:"):
            header, comma, text = text.partition(",")
            if not comma or not header.endswith(";base64"):
                raise InvalidImage("a data: URI that is not base64: expected data:...;base64,...")
        try:
            text = text.encode("ascii")
        except UnicodeEncodeError as error:
            raise InvalidImage(f"base64 with a character outside of ASCII at position {error.start}") from None
    text = b"".join(text.split()).rstrip(b"=")
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error as error:
        raise InvalidImage(f"not base64: {error}") from None


def _of_text(text: str) -> str | bytes:
    # No path is so long, and none begins like a URI.
    if text.startswith("data:") or len(text) > _LONGEST_PATH:
        return from_base64(text)
    if "\0" in text:
        raise InvalidInput("a path with a zero byte")
    return text


def _array(values: Any, name: str) -> np.ndarray:
    array = values if isinstance(values, np.ndarray) else np.asarray(values)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3):
        hint = ""
        if array.ndim == 3 and array.shape[0] == 3:
            hint = "; with the channels first, use array.transpose(1, 2, 0)"
        elif array.ndim == 4:
            hint = "; a batch is a list of arrays: use list(array)"
        raise InvalidInput(f"{name}: an array of shape {list(array.shape)}, expected [H, W] or [H, W, 3]{hint}")
    kind = _DTYPES.get(array.dtype.name)
    if kind is None:
        raise InvalidInput(f"{name}: an array of {array.dtype}, expected {', '.join(_DTYPES)}")
    if array.ndim == 3 and kind != "uint8":
        raise InvalidInput(f"{name}: colour as {array.dtype}, expected uint8 (0 to 255)")
    if 0 in array.shape:
        raise InvalidInput(f"{name}: an array of shape {list(array.shape)} has no values")
    # Also turns negative strides and other byte orders into what the library reads.
    return np.ascontiguousarray(array, dtype=kind)


def _of_pil(image: Any, name: str) -> np.ndarray:
    if image.mode in ("F", "I") or image.mode.startswith("I;16"):
        return _array(np.asarray(image), name)
    return _array(np.asarray(image.convert("RGB")), name)


def _of_dataset(dataset: Any, name: str) -> bytes:
    """A pydicom dataset as the bytes of a file, so that windows, padding and rescale are read as of any other."""
    buffer = BytesIO()
    try:
        import pydicom

        if int(pydicom.__version__.partition(".")[0]) >= 3:
            pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
        else:
            pydicom.dcmwrite(buffer, dataset, write_like_original=False)
    except Exception as error:
        raise InvalidImage(f"{name}: a dataset that cannot be written as a file: {error}") from error
    return buffer.getvalue()


def _of_dlpack(tensor: Any, name: str) -> np.ndarray:
    try:
        device = tensor.__dlpack_device__()
    except Exception as error:
        raise InvalidInput(f"{name}: {type(tensor).__name__} that gives no device: {error}") from error
    if int(device[0]) not in (1, 3, 13):  # CPU, and its memory that CUDA and ROCm have pinned or share
        raise InvalidInput(f"{name}: a tensor on another device than the CPU: use .cpu()")
    try:
        return _array(np.from_dlpack(tensor.detach() if hasattr(tensor, "detach") else tensor), name)
    except (BufferError, RuntimeError) as error:
        raise InvalidInput(f"{name}: {type(tensor).__name__} that cannot be read: {error}") from error


def image_source(image: ImageLike, name: str = "image") -> Any:
    """One image as the library takes it. name: what errors call it. Raises InvalidInput, InvalidImage."""
    if isinstance(image, str):
        return _of_text(image)
    if isinstance(image, np.ndarray):
        return _array(image, name)
    if isinstance(image, (bytes, _core.Image, _core.ImageInput)):
        return image
    if isinstance(image, (bytearray, memoryview)):
        return bytes(image)
    if isinstance(image, os.PathLike):
        path = os.fspath(image)
        return _of_text(path) if isinstance(path, str) else os.fsdecode(path)
    kind = type(image)
    if hasattr(image, "mode") and hasattr(image, "convert"):
        return _of_pil(image, name)
    if hasattr(image, "file_meta") or kind.__module__.startswith("pydicom."):
        return _of_dataset(image, name)
    if hasattr(image, "__dlpack__"):
        return _of_dlpack(image, name)
    if hasattr(image, "__array__"):
        return _array(np.asarray(image), name)
    raise InvalidInput(f"{name}: {'None' if image is None else kind.__name__}, expected a path, bytes, an array, a PIL image, "
                       "a pydicom dataset or a tensor")


def is_one_image(images: Any) -> bool:
    """Whether this is an image and not several."""
    if isinstance(images, (list, tuple)):
        return False
    if isinstance(images, np.ndarray):
        return images.dtype != object and images.ndim in (0, 1, 2, 3)
    return (isinstance(images, (str, os.PathLike, bytes, bytearray, memoryview, _core.Image, _core.ImageInput))
            or (hasattr(images, "mode") and hasattr(images, "convert"))
            or hasattr(images, "file_meta")
            or (hasattr(images, "__dlpack__") and getattr(images, "ndim", 3) != 4))


def image_sources(images: Any) -> list | Iterator:
    """Several images: a list where their number is known, else an iterator. A folder stands for its images."""
    if isinstance(images, (str, os.PathLike)) and not str(images).startswith("data:") and os.path.isdir(images):
        found, failures = _core.find_images([os.fspath(images)], False, _core.DecodeOptions())
        if failures:
            raise InvalidImage("; ".join(f"{name}: {reason}" for name, reason in failures[:3]))
        return found
    if images is None:
        raise InvalidInput("images: None, expected images")
    if is_one_image(images):
        return [image_source(images)]
    if isinstance(images, dict) or not isinstance(images, Iterable):
        raise InvalidInput(f"images: {type(images).__name__}, expected an image, a list or generator of images, or a folder")
    named = (image_source(image, f"images[{i}]") for i, image in enumerate(images))
    return list(named) if hasattr(images, "__len__") else named


def text_list(texts: Any, name: str = "texts") -> list[str]:
    """Raises InvalidInput for anything but texts."""
    if isinstance(texts, str):
        return [texts]
    if texts is None or isinstance(texts, (bytes, dict)) or not isinstance(texts, Iterable):
        raise InvalidInput(f"{name}: {type(texts).__name__}, expected a text or a list of texts")
    texts = list(texts)
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise InvalidInput(f"{name}[{i}]: {type(text).__name__}, expected str")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidInput(f"{name}[{i}]: half a surrogate pair, which is no text") from None
    return texts


def rows(vectors: Any, name: str = "vectors", dim: int | None = None) -> np.ndarray:
    """Vectors as float32 [n, D] in C order; one vector is a row. Raises InvalidInput."""
    try:
        array = np.asarray(vectors)
        if array.dtype.kind not in "fiu":
            raise TypeError(f"{array.dtype}")
        array = np.ascontiguousarray(array, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{name}: not an array of numbers: {error}") from None
    if array.ndim == 1:
        array = array[None, :]
    if array.ndim != 2:
        raise InvalidInput(f"{name}: an array of shape {list(array.shape)}, expected [n, D]")
    if dim is not None and array.shape[1] != dim:
        raise InvalidInput(f"{name}: vectors of {array.shape[1]} values, expected {dim}")
    return array


def decode_options(decode: str | _core.DecodeOptions) -> _core.DecodeOptions:
    if isinstance(decode, _core.DecodeOptions):
        return decode
    if isinstance(decode, str):
        return _core.DecodeOptions(decode)
    raise InvalidInput(f"decode: {type(decode).__name__}, expected the name of a profile or DecodeOptions")


def path_text(path: Any, name: str) -> str:
    try:
        return os.fsdecode(os.fspath(path))
    except TypeError:
        raise InvalidInput(f"{name}: {type(path).__name__}, expected a path") from None
