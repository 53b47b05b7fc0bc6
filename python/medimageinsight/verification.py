"""Whether a folder is the published model, and says what the published model says."""
from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from . import _core
from ._inputs import ImageLike, image_source
from .engine import Engine
from .errors import ImageTooLarge, NetworkError
from .hub import find_model

__all__ = ["Verification", "verify"]

_LARGEST_IMAGE = 64 << 20
_SECONDS = 60
_LABELS = {"ultrasound": "Ultrasound", "ct": "Computed Tomography", "x-ray": "X-Ray"}


@dataclass(frozen=True)
class Verification:
    """What verify() found. It is true where all is right."""

    files: dict[str, str]  #: path below the folder: "right", "differs" or "missing"
    examples: dict[str, dict[str, Any]] = field(default_factory=dict)  #: published, here, agrees, probabilities

    def __bool__(self) -> bool:
        return (all(state == "right" for state in self.files.values())
                and all(example["agrees"] for example in self.examples.values()))

    def __str__(self) -> str:
        lines = [f"{state}  {path}" for path, state in self.files.items()]
        for name, e in self.examples.items():
            lines.append(f"{name}: published {e['published']:.4f}, here {e['here']:.4f}: "
                         f"{'right' if e['agrees'] else 'differs'}")
        return "\n".join(lines)


def _fetch(url: str) -> bytes:
    from urllib.request import urlopen  # takes as long to import as all the rest

    try:
        with urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310 (the caller names the address)
            data = answer.read(_LARGEST_IMAGE + 1)
    except OSError as error:
        raise NetworkError(f"{url}: {error}") from error
    if len(data) > _LARGEST_IMAGE:
        raise ImageTooLarge(f"{url}: more than {_LARGEST_IMAGE} bytes")
    return data


def verify(model: str | os.PathLike, *, ultrasound: ImageLike | None = None, ct: ImageLike | None = None,
           x_ray: ImageLike | None = None, **options: Any) -> Verification:
    """Compares a folder (or a name, as from_pretrained takes it) with the published model: every file by SHA-256, and what
    it says of the three images of the post that introduced the open model, where they are given (http(s) URLs are
    fetched): the published probabilities are 0.9822, 0.9239 and 0.9992, and count as reached within 1e-3.

    options: as of Engine.open. Raises IoError, NetworkError, InvalidModel.
    """
    folder = find_model(model)
    files = {path: state for path, state, _, _ in _core.verify_files(folder)}
    given = {name: image for name, image in (("ultrasound", ultrasound), ("ct", ct), ("x-ray", x_ray)) if image is not None}
    examples = {}
    if given:
        with Engine.open(folder, **options) as engine:
            for name, image in given.items():
                if isinstance(image, str) and image.startswith(("http://", "https://")):
                    image = _fetch(image)
                labels, probabilities, published, agrees = _core.verify_example(engine._engine, name, [image_source(image, name)])
                scores = dict(zip(labels, probabilities))
                examples[name] = {"published": published, "here": scores[_LABELS[name]], "agrees": agrees,
                                  "probabilities": scores}
    return Verification(files, examples)
