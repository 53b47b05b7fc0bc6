"""PyTorch's manners: vectors as a Dataset. Vectors of the engine are read by torch.from_dlpack or from_numpy without a copy."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from .engine import Engine

__all__ = ["VectorDataset", "as_torch_dataset"]


class VectorDataset(Dataset):
    """Vectors of images as float32 tensors [D], with their targets. Made by as_torch_dataset."""

    def __init__(self, vectors: np.ndarray, targets: Sequence[Any] | None):
        self.vectors = torch.from_numpy(vectors)  #: [n, D], not copied
        self.targets = targets

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, i: int) -> Any:
        return self.vectors[i] if self.targets is None else (self.vectors[i], self.targets[i])


def as_torch_dataset(engine: Engine, images: Any, targets: Sequence[Any] | None = None, **options: Any) -> VectorDataset:
    """Encodes images once and keeps their vectors: a torch Dataset of tensors [D], or of (tensor, target).

    images, options: as Engine.encode_images takes them. Loading it in worker processes opens no engine there.
    Raises ValueError for another number of targets than images.
    """
    vectors = engine.encode_images(images, **options)
    if targets is not None and len(vectors) != len(targets):
        raise ValueError(f"{len(vectors)} images and {len(targets)} targets")
    return VectorDataset(vectors, targets)
