"""The class of the public Python implementation of MedImageInsight, computed by this package: scripts that import it run
as they are.

What differs: load_model() prints the processor and not a PyTorch device, the text tower's dropout is off (the public class leaves
the model in training mode), images of every kind are read as Pillow's convert("RGB") reads them, DICOM and NIfTI too, and
a model folder may keep its weights under any name. device, opt, preprocess and tokenize are not there.
"""
from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np

from medimageinsight import Engine, from_base64

__all__ = ["MedImageInsight"]


class MedImageInsight:
    """Zero-shot classification and embeddings of base64 images and of texts."""

    def __init__(self, model_dir: str, vision_model_name: str, language_model_name: str, **options: Any) -> None:
        """model_dir: a folder in the published layout. The names of the models are kept, and the first must be there where
        the folder has several. options: as of medimageinsight.Engine.open; without any, float32, as there."""
        self.model_dir = model_dir
        self.vision_model_name = vision_model_name
        self.language_model_name = language_model_name
        self.model: Engine | None = None
        self._options = {"precision": "f32", **options}

    def load_model(self) -> None:
        """Raises medimageinsight.Error, after a line on the standard output, as there."""
        try:
            self.model = Engine.open(self.model_dir, **self._options)
            print(f"Model loaded successfully on device: cpu ({self.model.info['backend']})")
        except Exception:
            print("Failed to load the model:")
            raise

    def _loaded(self) -> Engine:
        if self.model is None:
            raise RuntimeError("Model not loaded. Call load_model() first.")
        return self.model

    @staticmethod
    def decode_base64_image(base64_str: str) -> Any:
        """A PIL image, which needs the package Pillow. Raises ValueError."""
        from PIL import Image

        try:
            image = Image.open(BytesIO(from_base64(base64_str)))
            return image.convert("RGB") if image.mode in ("L", "LA") else image
        except Exception as error:
            raise ValueError(f"Failed to decode base64 image: {error}") from error

    def _vectors(self, images: list[str]) -> np.ndarray:
        engine = self._loaded()
        try:
            return engine.encode_images([from_base64(image) for image in images])
        except ValueError as error:
            raise ValueError(f"Failed to process image: {error}") from error

    def predict(self, images: list[str], labels: list[str], multilabel: bool = False) -> list[dict[str, float]]:
        """Scores of each image, {label: probability}, the most probable first. Raises RuntimeError before load_model(),
        ValueError for no labels and for what is no image."""
        engine = self._loaded()
        if not labels:
            raise ValueError("No labels provided")
        scores = self._scores(engine, self._vectors(images), labels, multilabel)
        return [{labels[k]: float(row[k]) for k in np.argsort(-row, kind="stable")} for row in scores]

    @staticmethod
    def _scores(engine: Engine, vectors: np.ndarray, labels: list[str], multilabel: bool) -> np.ndarray:
        head = engine.zero_shot_head(labels, multilabel=multilabel, as_written=True, allow_duplicate_labels=True)
        return head.score(vectors)

    def encode(self, images: list[str] | None = None, texts: list[str] | None = None) -> dict[str, np.ndarray | None]:
        """{"image_embeddings": float32 [n, D] or None, "text_embeddings": the same}. Raises RuntimeError before
        load_model(), ValueError for neither images nor texts and for what is no image."""
        engine = self._loaded()
        if not images and not texts:
            raise ValueError("You must provide either images or texts")
        return {"image_embeddings": None if images is None else self._vectors(images),
                "text_embeddings": None if texts is None else engine.encode_texts(texts)}

    def run_inference_batch(self, images: list[Any], texts: list[str], multilabel: bool = False) -> np.ndarray:
        """Probabilities float32 [n, K] of PIL images against labels; an array and not a tensor."""
        engine = self._loaded()
        return self._scores(engine, engine.encode_images(images), texts, multilabel)

    def __repr__(self) -> str:
        return f"MedImageInsight({self.model_dir!r}, {'loaded' if self.model is not None else 'not loaded'})"
