"""Files with images, opened once: DICOM objects, NIfTI volumes, and every kind of image; and series of them."""
from __future__ import annotations

import os
from typing import Any

import numpy as np

from . import _core
from ._core import DecodeOptions, Image, ImageInput, Series, Slice
from ._inputs import ImageLike, decode_options, image_source, path_text, rows

__all__ = ["DecodeOptions", "Image", "ImageFile", "ImageInput", "Series", "Slice", "find_images", "find_series",
           "pool_slices", "read_image"]


def read_image(image: ImageLike, *, decode: str | DecodeOptions = "auto") -> Image:
    """Reads one image of any kind that Engine.encode_images takes.

    Returns an Image: `.pixels` uint8 [height, width, 3], `.provenance` how it was made.
    Raises InvalidImage, ImageTooLarge, Unsupported, IoError, InvalidInput.
    """
    return Image.read([image_source(image)], decode_options(decode))


class ImageFile:
    """A file with one or several frames: a DICOM object, a NIfTI volume, or an image. Read once, asked often."""

    def __init__(self, file: str | os.PathLike | bytes, *, decode: str | DecodeOptions = "auto"):
        """Raises InvalidImage, ImageTooLarge, IoError."""
        self._options = decode_options(decode)
        if isinstance(file, (bytes, bytearray, memoryview)):
            self._name = f"{len(file)} bytes"
            self._file = _core.ImageFile.decode(bytes(file), self._options)
        else:
            self._name = path_text(file, "file")
            self._file = _core.ImageFile.read(self._name, self._options)

    def __len__(self) -> int:
        """The number of frames; of a volume, slices along the plane times points in time."""
        return self._file.frames(self._options)

    def _of_frame(self, frame: int) -> DecodeOptions:
        n = len(self)
        if not -n <= frame < n:
            raise IndexError(f"frame {frame} of {n}")
        return self._options.with_frame(frame % n)

    def __getitem__(self, frame: int) -> Image:
        """The frame as the model sees it, by the profile."""
        return self._file.image(self._of_frame(frame))

    @property
    def measured(self) -> bool:
        """Whether it holds measured values, which a profile turns into grey."""
        return self._file.measured

    def values(self, frame: int = 0) -> np.ndarray | None:
        """Measured values of a frame, float32 [H, W] (Hounsfield units in a CT); None for colour and ordinary images."""
        return self._file.values(self._of_frame(frame))

    def __repr__(self) -> str:
        return f"ImageFile({self._name!r}, {len(self)} frame{'s' if len(self) != 1 else ''})"


def _paths(paths: Any) -> list[str]:
    listed = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    return [path_text(path, f"paths[{i}]") for i, path in enumerate(listed)]


def find_images(paths: Any, *, all_frames: bool = False, decode: str | DecodeOptions = "auto",
                ) -> tuple[list[ImageInput], list[tuple[str, str]]]:
    """The images that paths name: files as given, folders walked, in order of name.

    all_frames: each frame of a file with several is an image of its own.
    Returns the images, for Engine.encode_images, and (path, reason) of what could not be read. Raises IoError for a
    path that does not exist.
    """
    return _core.find_images(_paths(paths), all_frames, decode_options(decode))


def find_series(paths: Any, *, decode: str | DecodeOptions = "auto") -> tuple[list[Series], list[tuple[str, str]]]:
    """Groups DICOM files and NIfTI volumes by study and series, slices in their order in space.

    Returns the series, for Engine.encode_series, and (path, reason) of what is none. Raises IoError.
    """
    return _core.find_series(_paths(paths), decode_options(decode))


def pool_slices(slices: Any, pooling: str = "mean") -> np.ndarray:
    """One vector [D] of the vectors of slices [n, D]: 'mean', 'median' or 'max', of length 1 again, or 'std'."""
    return _core.pool_slices(rows(slices, "slices"), pooling)[0]
