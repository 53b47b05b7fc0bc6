"""Vectors with their items, kept in a folder or in PostgreSQL, and searched exactly and with evidence."""
from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from . import _core
from ._core import DecodeOptions, Identity
from ._inputs import decode_options, path_text, rows, text_list
from .engine import Engine
from .errors import InvalidArgument

__all__ = ["Collection"]

_PAGE = 1000


class Collection:
    """Items with an id, columns of texts and a vector, all made by one model. What add and remove have returned from
    survives the end of the process.

    >>> with Collection.create("cases") as cases:
    ...     cases.add_images(engine, ["images/"])
    ...     cases.search(engine.encode_texts("fundus photography"), k=3)["hits"]
    """

    def __init__(self, name: str | os.PathLike, *, write: bool = False):
        """Opens a folder, or a database named as postgresql://... Raises IoError."""
        self._name = path_text(name, "name")
        self._write = write
        self._collection = _core.Collection.open(self._name, write)

    @classmethod
    def create(cls, name: str | os.PathLike, *, store: str = "f32") -> Collection:
        """Makes an empty one and opens it for writing. store: precision of the vectors, "f32" or "bf16"."""
        _core.Collection.create(path_text(name, "name"), store)
        return cls(name, write=True)

    @property
    def info(self) -> dict[str, Any]:
        """items, removed, version, dim, stored, columns, identity (None while it is empty)."""
        return self._collection.info()

    def add(self, ids: Sequence[str], vectors: Any, identity: Identity, *,
            attributes: Sequence[Mapping[str, Any]] | None = None) -> tuple[int, int]:
        """Adds items, all of them or none; one whose id is there is replaced. vectors: [n, D]. identity: by what they
        were made (Engine.identity). attributes: {column: value} of each. Returns how many were added and replaced.
        Raises InvalidArgument for vectors of another making, saying what differs."""
        ids = text_list(ids, "ids")
        array = rows(vectors)
        given = [[(str(c), str(v)) for c, v in a.items() if v is not None] for a in attributes or [{}] * len(ids)]
        if not len(ids) == len(array) == len(given):
            raise InvalidArgument(f"{len(ids)} ids, {len(array)} vectors and {len(given)} attributes: expected as many")
        return self._collection.add(ids, array, identity, given)

    def add_images(self, engine: Engine, paths: Any, *, decode: str | DecodeOptions = "auto", thumbnails: bool = False,
                   progress: Callable[[int, int], Any] | None = None) -> dict[str, Any]:
        """Adds files and folders of images, as `mii collection add` does: ids are the paths; what is there and has not
        changed is passed over. Returns added, replaced, unchanged and failures [(path, reason)]."""
        listed = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
        return self._collection.add_images(engine._engine, [path_text(p, "paths") for p in listed],
                                           decode_options(decode), thumbnails, progress)

    def add_manifest(self, engine: Engine, manifest: str | os.PathLike, *, where: str | Sequence[str] = (),
                     decode: str | DecodeOptions = "auto", thumbnails: bool = False,
                     progress: Callable[[int, int], Any] | None = None) -> dict[str, Any]:
        """Adds the images of a table (CSV or TSV) with a column "path"; the other columns become the items'. where:
        conditions "column=value,value". Returns as add_images does."""
        return self._collection.add_manifest(engine._engine, path_text(manifest, "manifest"), text_list(where, "where"),
                                             decode_options(decode), thumbnails, progress)

    def search(self, like: Any, *, k: int = 10, unlike: Any = None, filter: str = "", leave_out: Sequence[str] = (),
               one_per: str = "", fold: float | None = None, at_version: int | None = None, stage: str = "auto",
               votes: Sequence[str] = ()) -> dict[str, Any]:
        """The items that are most like vectors [n, D] (of several, like all of them), and not like others.

        filter: "modality = 'CT' and age < 40". one_per: a column of whose values each gives one hit. fold: near-duplicates
        from this similarity on count with the better hit. votes: columns for whose values the hits vote.
        Returns {"hits": [{"id", "similarity", "attributes", ...}], "evidence": ..., "identity": ...}.
        Raises InvalidArgument for a filter that cannot be read, with the place.
        """
        liked = rows(like, "like")
        unliked = rows(unlike, "unlike") if unlike is not None else np.empty((0, liked.shape[1]), np.float32)
        options = _core.search_options(k, filter, text_list(leave_out, "leave_out"), one_per, fold, at_version, stage)
        return json.loads(self._collection.search(liked, unliked, options, text_list(votes, "votes")))

    def search_many(self, queries: Any, *, k: int = 10, filter: str = "", one_per: str = "",
                    stage: str = "auto") -> list[list[tuple[str, float]]]:
        """Of each query [n, D] its hits as (id, similarity), the most similar first. Faster than one after another."""
        return self._collection.search_many(rows(queries, "queries"),
                                            _core.search_options(k, filter, [], one_per, None, None, stage))

    def __getitem__(self, id: str) -> dict[str, str]:
        """The columns of an item. Raises KeyError."""
        found = self._collection.find(text_list(id, "id"))[0]
        if found is None:
            raise KeyError(id)
        return found["attributes"]

    def __contains__(self, id: object) -> bool:
        return isinstance(id, str) and self._collection.find([id])[0] is not None

    def __iter__(self) -> Iterator[str]:
        """Ids, in the order of their bytes."""
        after = ""
        while page := self._collection.page(after, _PAGE):
            yield from (item["id"] for item in page)
            after = page[-1]["id"]

    def __len__(self) -> int:
        return self.info["items"]

    def vectors(self, ids: Sequence[str]) -> np.ndarray:
        """float32 [n, D] as stored. Raises InvalidArgument for an id that is not there."""
        return self._collection.vectors(text_list(ids, "ids"))

    def remove(self, ids: str | Sequence[str]) -> int:
        """Returns how many were there."""
        return self._collection.remove(text_list(ids, "ids"))

    def compact(self) -> None:
        """Writes everything anew without what was removed."""
        self._collection.compact()

    def verify(self) -> list[str]:
        """Reads everything; what is wrong, a sentence each."""
        return self._collection.verify()

    def export(self, file: str | os.PathLike) -> None:
        """Writes FILE.npy, .safetensors or .jsonl as `mii embed` does, and FILE.items.csv."""
        self._collection.export(path_text(file, "file"))

    def close(self) -> None:
        self._collection.close()

    def __enter__(self) -> Collection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._collection.closed():
            return f"Collection({self._name!r}, closed)"
        return f"Collection({self._name!r}, {len(self)} items{', for writing' if self._write else ''})"
