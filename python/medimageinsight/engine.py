"""A loaded model: images and texts to vectors, and what follows from them."""
from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import numpy as np

from . import _core
from ._core import DecodeOptions, Identity, Series
from ._inputs import ImageLike, decode_options, image_source, image_sources, path_text, rows, text_list
from .errors import InvalidArgument
from .heads import Head, ZeroShotHead

__all__ = ["Engine", "starter_path"]

# Of a generator, whose images are not to be in memory at once.
_IMAGES_AT_ONCE = 32

Progress = Callable[[int, int], Any]


def starter_path() -> str:
    """The folder of the small model that comes with the package: for demonstration, not for work. Its weights are for
    non-commercial research only."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "share", "mii", "models", "starter")


def _after(progress: Progress, done: int) -> Progress:
    """Of a part of the work, of which nobody knows how much there is."""
    return lambda n, _: progress(done + n, 0)


class Engine:
    """A loaded model. Methods may be called by several threads; the GIL is released while they compute, and Ctrl-C
    ends them between two batches. It is used by the process that opened it: a forked one gets Unsupported.

    >>> engine = Engine.open(starter_path())
    >>> vectors = engine.encode_images(["chest.jpg", "scan.dcm"])      # float32 [2, D], rows of length 1
    >>> engine.classify("chest.jpg", ["X-Ray", "Ultrasound"])
    [{'X-Ray': 0.98..., 'Ultrasound': 0.01...}]
    """

    def __init__(self, engine: _core.Engine, folder: str):
        self._engine = engine
        self._folder = folder
        self._info = engine.info()

    @classmethod
    def open(cls, folder: str | os.PathLike, *, precision: str = "auto", backend: str = "auto", threads: int = 0,
             text_cache: int = 4096) -> Engine:
        """Loads a folder in the published layout (config.yaml, vision_model/, language_model/).

        precision: "auto" (the fastest that is exact enough), "f32" (the reference's numbers to 3e-6), "f16", "bf16" or
        "int8". backend: "auto", "cuda" (an NVIDIA device), "cpu" or "reference" (plain loops, for comparisons).
        threads: of one computation; 0: every core. text_cache: texts whose vectors are remembered.
        Raises InvalidModel, CorruptWeights, Unsupported, IoError, InvalidArgument. Warns of what is odd in the folder.
        """
        path = path_text(folder, "folder")
        opened, told = _core.Engine.open(path, precision, backend, threads, text_cache)
        for text in told:
            warnings.warn(text, stacklevel=2)
        return cls(opened, path)

    @classmethod
    def from_pretrained(cls, name_or_path: str | os.PathLike, *, revision: str | None = None,
                        cache_dir: str | os.PathLike | None = None, token: str | bool | None = None,
                        local_files_only: bool = False, **options: Any) -> Engine:
        """Opens a folder, or a repository of the Hugging Face hub ("lion-ai/MedImageInsights"), which is downloaded once
        into the hub's own cache (HF_HOME; HF_HUB_OFFLINE, HF_ENDPOINT and tokens count as everywhere).

        options: as of open(). Needs the package huggingface_hub for names. Raises as open() does, and NetworkError.
        """
        from .hub import find_model

        folder = find_model(name_or_path, revision=revision, cache_dir=cache_dir, token=token,
                            local_files_only=local_files_only)
        return cls.open(folder, **options)

    def encode_images(self, images: ImageLike | Sequence[ImageLike], *, decode: str | DecodeOptions = "auto",
                      on_error: str = "raise", progress: Progress | None = None) -> np.ndarray:
        """Vectors of images, float32 [n, D], one row of L2 norm 1 for each.

        images: one image, a list or generator of them, or a folder (its images in order of name: see
        find_images). An image is a path, the bytes of a file (JPEG, PNG, TIFF, WebP, BMP, PNM, DICOM, NIfTI), base64 (as
        a data: URI, or longer than a path can be; see from_base64), a numpy array, a PIL image, a pydicom
        dataset, a torch tensor or anything else with DLPack, or an Image. Arrays are [H, W] or [H, W, 3] uint8, or
        [H, W] int16, uint16, int32, float32, ...: measured values, which `decode` turns into grey.
        decode: a profile for measured values ("auto", "ct-lung", "window:40,400", ...), or DecodeOptions.
        on_error: "raise" the error of the first image that cannot be read, or "nan": its row is NaN, with a warning.
        progress: called now and then with how many are done, and of how many (0: not known).
        Raises InvalidImage, ImageTooLarge, Unsupported, IoError, InvalidInput, each naming the image; whatever a
        generator raises.
        """
        if on_error not in ("raise", "nan"):
            raise InvalidArgument(f"on_error {on_error!r}, expected 'raise' or 'nan'")
        options = decode_options(decode)
        sources = image_sources(images)
        if isinstance(sources, list):
            return self._encode(sources, options, on_error == "nan", progress)
        parts = [np.empty((0, self.dim), np.float32)]
        while some := list(islice(sources, _IMAGES_AT_ONCE)):
            parts.append(self._encode(some, options, on_error == "nan", progress and _after(progress, sum(map(len, parts)))))
        return np.concatenate(parts)

    def _encode(self, sources: list, options: DecodeOptions, nan: bool, progress: Progress | None) -> np.ndarray:
        vectors, failures = self._engine.encode_images(sources, options, nan, progress)
        for name, reason in failures:
            warnings.warn(f"{name}: {reason}", stacklevel=3)
        return vectors

    def encode_texts(self, texts: str | Sequence[str], *, progress: Progress | None = None) -> np.ndarray:
        """Vectors of texts, float32 [n, D], one row of L2 norm 1 for each; texts are cut to the context length.
        Raises InvalidText, InvalidInput."""
        return self._engine.encode_texts(text_list(texts), progress)

    def zero_shot_head(self, labels: Sequence[str], *, multilabel: bool = False,
                       templates: str | Sequence[str] = (), as_written: bool = False,
                       allow_duplicate_labels: bool = False) -> ZeroShotHead:
        """A head that scores vectors against labels.

        multilabel: each label alone (sigmoid), not against the others (softmax). templates: prompts with one "{}" where
        the label goes; of several, the mean is taken. as_written: a label in another language that the catalogue knows
        is not scored by its English prompt (ZeroShotHead.prompts), but as it stands. Raises InvalidArgument for no labels,
        an empty or repeated one.
        """
        head, prompts, told = self._engine.zero_shot_head(text_list(labels, "labels"), multilabel,
                                                          text_list(templates, "templates"), allow_duplicate_labels,
                                                          as_written)
        for text in told:
            warnings.warn(text, stacklevel=2)
        return ZeroShotHead(head, prompts)

    def classify(self, images: ImageLike | Sequence[ImageLike], labels: Sequence[str] | None = None, *,
                 head: Head | ZeroShotHead | None = None, multilabel: bool = False,
                 templates: str | Sequence[str] = (), decode: str | DecodeOptions = "auto",
                 progress: Progress | None = None) -> list[dict[str, float]]:
        """Scores of each image, {label: probability}, the most probable first: against labels, or by a head.

        Raises as encode_images and zero_shot_head do; InvalidArgument for a head of another model's vectors.
        """
        if (labels is None) == (head is None):
            raise InvalidArgument("classify takes labels or a head")
        if isinstance(head, Head):
            for text in head.warnings_for(self.identity(decode)):
                warnings.warn(text, stacklevel=2)
        asked = head or self.zero_shot_head(() if labels is None else labels, multilabel=multilabel, templates=templates)
        scores = asked.score(self.encode_images(images, decode=decode, progress=progress))
        names = asked.labels
        return [{names[k]: float(row[k]) for k in np.argsort(-row, kind="stable")} for row in scores]

    def encode_image_tokens(self, image: ImageLike, *, decode: str | DecodeOptions = "auto") -> np.ndarray:
        """Features of one image before pooling, float32 [rows, cols, C]: the output of the last stage, from the top left.
        Raises as encode_images does."""
        return self._engine.image_tokens([image_source(image)], decode_options(decode))

    def explain(self, image: ImageLike, directions: Any, *, method: str = "exact",
                decode: str | DecodeOptions = "auto") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where in an image its scores come from. directions: float32 [K, D], texts' vectors or their differences.

        Returns maps float32 [K, rows, cols], constants float64 [K] and scores float64 [K]. method "exact": each score is
        its constant and the sum of its map. "gradient": through the last stage, on the finer grid before it; such maps
        point and do not add up. Raises InvalidArgument, and Unsupported for a model without a grid and in int8.
        """
        if method not in ("exact", "gradient"):
            raise InvalidArgument(f"method: {method!r}, expected 'exact' or 'gradient'")
        maps, constants, scores = self._engine.explain([image_source(image)], rows(directions, "directions", self.dim),
                                                       decode_options(decode), method == "gradient")
        return maps, np.array(constants), np.array(scores)

    def encode_series(self, series: Series, *, decode: str | DecodeOptions = "auto", pooling: str | None = None,
                      progress: Progress | None = None) -> np.ndarray:
        """Vectors of a series' slices, float32 [n, D], measured values shown by the range of the whole series; with
        pooling ("mean", "median", "max", "std") one vector [D]. Slices that cannot be read are left out, with a warning.
        """
        vectors, _, failures, _ = _core.encode_series(self._engine, series, decode_options(decode), progress)
        for name, reason in failures:
            warnings.warn(f"{name}: {reason}", stacklevel=2)
        return vectors if pooling is None else _core.pool_slices(vectors, pooling)[0]

    def identity(self, decode: str | DecodeOptions | None = "auto") -> Identity:
        """By what vectors are made. decode: of images; None: of texts. The first call reads the weights' file, unless its
        digest is remembered."""
        return self._engine.identity("" if decode is None else decode_options(decode).preprocessing)

    def count_tokens(self, text: str) -> int:
        """Tokens of a text as the text tower sees it: start and end count, what is cut off does not."""
        return self._engine.count_tokens(text_list(text)[0])

    @property
    def info(self) -> dict[str, Any]:
        """What was loaded: image_size (width, height), embedding_dim, precision, backend, threads, parameters, ..."""
        return dict(self._info)

    @property
    def dim(self) -> int:
        """D: values of a vector."""
        return self._info["embedding_dim"]

    @property
    def logit_scale(self) -> float:
        """The factor on the cosine of an image and a text."""
        return self._info["logit_scale"]

    @property
    def folder(self) -> str:
        """The model's folder, as it was given."""
        return self._folder

    @property
    def closed(self) -> bool:
        return self._engine.closed()

    def close(self) -> None:
        """Gives the memory back when calls that run have ended. Later calls raise InvalidArgument."""
        self._engine.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple:
        raise TypeError("an Engine is not pickled: open it in each process (MedImageInsightEmbedder pickles by path)")

    def __repr__(self) -> str:
        if self.closed:
            return f"Engine({self._folder!r}, closed)"
        i = self._info
        return (f"Engine({self._folder!r}, {i['parameters'] / 1e6:.1f} M parameters, images of "
                f"{i['image_size'][0]} x {i['image_size'][1]}, vectors of {i['embedding_dim']}, {i['precision']}, "
                f"{i['threads']} threads)")
