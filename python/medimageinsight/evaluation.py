"""How far to trust a model's answers, and heads that are fitted to labelled images."""
from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from . import _core
from ._core import DecodeOptions
from ._inputs import decode_options, path_text, text_list
from .engine import Engine
from .heads import Head

__all__ = ["Evaluation", "evaluate", "fit"]


@dataclass(frozen=True)
class Evaluation:
    """Figures of a model on labelled images; str() is a table for people."""

    figures: dict[str, Any]  #: as `mii eval --json` writes them
    table: str
    failures: list[tuple[str, str]]  #: (path, reason) of images that could not be read

    def __str__(self) -> str:
        return self.table


def evaluate(engine: Engine, manifest: str | os.PathLike, *, field: str | Sequence[str] = (),
             number: str | Sequence[str] = (), tasks: str | os.PathLike = "", where: str | Sequence[str] = (),
             neighbours_from: str | Sequence[str] = (), subgroups: str | Sequence[str] = (),
             heads: Sequence[str | os.PathLike] = (), k: int = 5, resamples: int = 1000, html: str | os.PathLike = "",
             progress: Callable[[int, int], Any] | None = None) -> Evaluation:
    """Asks a model about the labelled images of a table, as `mii eval` does: zero-shot, nearest neighbours, heads.

    manifest: CSV or TSV with "path", "patient" and columns with the truth. field: columns with labels. number: columns
    with numbers. tasks: a YAML file of tasks. where, neighbours_from: "column=value,value". resamples: draws for the
    intervals. html: also writes a page. Warns of heads that were fitted to vectors of slightly another making, and of tasks
    that no image has a label of. Raises InvalidArgument, IoError.
    """
    figures, table, failures, told = _core.evaluate(
        engine._engine, path_text(manifest, "manifest"), text_list(field, "field"), text_list(number, "number"),
        path_text(tasks, "tasks"), text_list(where, "where"), text_list(neighbours_from, "neighbours_from"),
        text_list(subgroups, "subgroups"), [path_text(h, "heads") for h in heads], k, resamples,
        path_text(html, "html"), progress)
    for text in told:
        warnings.warn(text, stacklevel=2)
    return Evaluation(json.loads(figures), table, failures)


def fit(engine: Engine, manifest: str | os.PathLike, field: str, *, kind: str = "logistic",
        where: str | Sequence[str] = (), calibrate_where: str | Sequence[str] = (), several: bool = False,
        with_texts: bool = False, balanced: bool = False, c: float | None = None, k: int = 5,
        points: str | Sequence[str] = (), calibration: str = "temperature", seed: int = 1,
        decode: str | DecodeOptions = "auto", progress: Callable[[int, int], Any] | None = None) -> Head:
    """Fits a head to the labelled images of a table, as `mii fit` does; patients are kept together.

    kind: "logistic", "ridge" (numbers), "knn", "ss-text" or "lp++". several: cells hold several labels, separated by ";"
    or "|". c: else chosen by cross-validation. points: "youden", "f1", "sensitivity=0.95", "specificity=0.95", "cost=5".
    Warns of images that cannot be read, and of what the fit found odd. Raises InvalidArgument for data that no head can
    be fitted to, Unsupported for kind "mlp", which `mii fit` fits.
    """
    head, failures = _core.fit(
        engine._engine, path_text(manifest, "manifest"), field, kind, text_list(where, "where"),
        text_list(calibrate_where, "calibrate_where"), several, with_texts, balanced, c, k, text_list(points, "points"),
        calibration, seed, decode_options(decode), progress)
    for name, reason in failures:
        warnings.warn(f"{name}: {reason}", stacklevel=2)
    return Head(head)
