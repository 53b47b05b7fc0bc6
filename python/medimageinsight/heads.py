"""Heads turn vectors into answers: zero-shot ones from labels, fitted ones from files."""
from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

from . import _core
from ._inputs import path_text, rows

__all__ = ["Head", "ZeroShotHead"]


class ZeroShotHead:
    """Scores vectors against labels. Made once by Engine.zero_shot_head; then it needs no text tower."""

    def __init__(self, head: _core.ZeroShotHead, prompts: list[str]):
        self._head = head
        self._prompts = prompts

    @property
    def labels(self) -> list[str]:
        return self._head.labels

    @property
    def prompts(self) -> list[str]:
        """By which English text each label is scored: the label itself, or what the catalogue has for it."""
        return self._prompts or self.labels

    @property
    def label_vectors(self) -> np.ndarray:
        """float32 [K, D], unit vectors."""
        return self._head.label_vectors

    def score(self, vectors: Any) -> np.ndarray:
        """Probabilities float32 [n, K] of vectors [n, D]. Raises InvalidArgument for vectors of another length."""
        return self._head.score(rows(vectors))

    def __repr__(self) -> str:
        return f"ZeroShotHead({len(self.labels)} labels: {', '.join(self.labels[:3])}{', ...' if len(self.labels) > 3 else ''})"


class Head:
    """A head that was fitted to vectors: one file, calibrated, with operating points. Made by medimageinsight.fit,
    `mii fit`, or of scikit-learn's estimators (medimageinsight.sklearn.to_head)."""

    def __init__(self, head: _core.FittedHead):
        self._head = head

    @classmethod
    def read(cls, path: str | os.PathLike) -> Head:
        """Raises IoError, CorruptWeights."""
        return cls(_core.FittedHead.read(path_text(path, "path")))

    def write(self, path: str | os.PathLike) -> None:
        """Raises IoError."""
        self._head.write(path_text(path, "path"))

    @property
    def labels(self) -> list[str]:
        return self._head.labels

    @property
    def field(self) -> str:
        """What it answers."""
        return self._head.field

    @property
    def kind(self) -> str:
        """'logistic', 'ridge', 'knn', 'ss-text', 'lp++' or 'mlp'."""
        return self._head.kind

    @property
    def dim(self) -> int:
        """Values of the vectors that it takes."""
        return self._head.dim

    @property
    def identity(self) -> _core.Identity:
        """By what the vectors were made that it was fitted to."""
        return self._head.identity

    @property
    def card(self) -> str:
        """What it answers and how far to trust it, for people."""
        return self._head.card

    @property
    def info(self) -> dict[str, Any]:
        """The same as a dict."""
        return json.loads(self._head.json)

    def score(self, vectors: Any) -> np.ndarray:
        """Calibrated probabilities float32 [n, K] of vectors [n, D]; of a head for a number: the number [n, 1].
        Raises InvalidArgument for vectors of another length."""
        return self._head.score(rows(vectors))

    def band(self, label: str, probability: float) -> tuple[str, str] | None:
        """('negative' | 'possible' | 'positive', the operating points that decided); None for a label without any.
        Raises ValueError for a label that it does not have."""
        return self._head.band(self.labels.index(label), probability)

    def warnings_for(self, identity: _core.Identity) -> list[str]:
        """Sentences about vectors of slightly another making. Raises InvalidArgument, naming what differs, for vectors
        that it cannot be asked about."""
        return self._head.expect_made_alike(identity)

    def __repr__(self) -> str:
        return f"Head({self.field!r}, {self.kind}, {len(self.labels)} labels, vectors of {self.dim})"
