"""scikit-learn's manners: a transformer from images to vectors, and estimators as heads."""
from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from . import _core
from .engine import Engine, starter_path
from .errors import InvalidArgument, Unsupported
from .heads import Head

__all__ = ["MedImageInsightEmbedder", "to_head"]


class MedImageInsightEmbedder(TransformerMixin, BaseEstimator):
    """Images to vectors, as a step of a Pipeline.

    >>> pipeline = make_pipeline(MedImageInsightEmbedder("model"), LogisticRegression())
    >>> cross_val_score(pipeline, paths, labels)

    It is pickled and cloned by the name of its model and its options, and opens the model when it is first asked, in each
    process: an engine is shared by all embedders of a process that ask for the same.
    """

    def __init__(self, model: str | os.PathLike | None = None, *, decode: str = "auto", precision: str = "auto",
                 threads: int = 0):
        """model: a folder or a name, as Engine.from_pretrained takes it; None: the built-in model. decode: a profile."""
        self.model = model
        self.decode = decode
        self.precision = precision
        self.threads = threads

    def engine(self) -> Engine:
        """The engine that computes; of this process."""
        return _shared_engine(os.fspath(self.model or starter_path()), self.precision, self.threads)

    def fit(self, X: Any, y: Any = None) -> MedImageInsightEmbedder:  # noqa: N803 (scikit-learn's name)
        """Looks up how long vectors are; there is nothing to learn."""
        self.n_features_out_ = self.engine().dim
        return self

    def transform(self, X: Any) -> np.ndarray:  # noqa: N803
        """Vectors float32 [n, D] of images, of any kind that Engine.encode_images takes."""
        check_is_fitted(self, "n_features_out_")
        return self.engine().encode_images(X, decode=self.decode)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        check_is_fitted(self, "n_features_out_")
        return np.array([f"mii{i}" for i in range(self.n_features_out_)], dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.requires_fit = False
        return tags


_engines: dict[tuple, Engine] = {}


def _shared_engine(model: str, precision: str, threads: int) -> Engine:
    key = (os.getpid(), model, precision, threads)
    if key not in _engines:
        _engines[key] = Engine.from_pretrained(model, precision=precision, threads=threads)
    return _engines[key]


def _parts(estimator: Any) -> tuple[list[Any], Any]:
    """The scalers before an estimator, and itself."""
    steps = [step for _, step in getattr(estimator, "steps", [("", estimator)]) if step not in (None, "passthrough")]
    steps = [step for step in steps if not isinstance(step, MedImageInsightEmbedder)]
    return steps[:-1], steps[-1]


def _unscaled(coefficients: np.ndarray, scalers: Sequence[Any]) -> np.ndarray:
    """[K, D + 1] coefficients and intercept of scaled values, as those of the values themselves."""
    for scaler in reversed(scalers):
        if type(scaler).__name__ != "StandardScaler":
            raise Unsupported(f"{type(scaler).__name__} before the estimator: only StandardScaler is converted")
        mean = scaler.mean_ if scaler.with_mean else 0.0
        scale = scaler.scale_ if scaler.with_std else 1.0
        weights = coefficients[:, :-1] / scale
        coefficients = np.hstack([weights, coefficients[:, -1:] - (weights * mean).sum(1, keepdims=True)])
    return coefficients


def _linear(estimator: Any) -> np.ndarray:
    """[K, D + 1]; of two classes one row."""
    if getattr(estimator, "kernel", "linear") != "linear":
        raise Unsupported(f"{type(estimator).__name__} with kernel {estimator.kernel!r}: only 'linear' is converted")
    weights = np.asarray(estimator.coef_, np.float64)
    return np.hstack([weights, np.broadcast_to(np.reshape(estimator.intercept_, (-1, 1)), (len(weights), 1))])


# A layer of weights [out, in + 1], the bias last, and what is done with its products.
Layers = list[tuple[np.ndarray, str]]


def _perceptron(estimator: Any) -> Layers:
    then = {"identity": "none"}.get(estimator.activation, estimator.activation)
    layers = [np.vstack([weights, bias]).T for weights, bias in zip(estimator.coefs_, estimator.intercepts_)]
    return [(rows, then) for rows in layers[:-1]] + [(layers[-1], "none")]


def _layers(estimator: Any) -> tuple[Layers, bool]:
    """And whether several labels may hold."""
    name = type(estimator).__name__
    if name == "LogisticRegression" or (name == "SVC" and len(getattr(estimator, "probA_", ())) == 1):
        return [(_linear(estimator), "none")], False
    if name == "MLPClassifier":
        return _perceptron(estimator), estimator._label_binarizer.y_type_.startswith("multilabel")
    if name == "OneVsRestClassifier" and estimator.multilabel_:
        return [(np.vstack([_linear(one) for one in estimator.estimators_]), "none")], True
    raise Unsupported(f"{name}: converted are LogisticRegression, MLPClassifier, a linear SVC of two classes with "
                      "probability=True, and OneVsRestClassifier of LogisticRegression for several labels an image")


def _platt(estimator: Any) -> list[tuple[float, float]]:
    """Slope and offset of each label. libsvm's P(first) = 1 / (1 + exp(A f + B)), where f is the first's decision, which
    are the head's log odds of it."""
    if type(estimator).__name__ != "SVC":
        return []
    slope, offset = float(estimator.probA_[0]), float(estimator.probB_[0])
    return [(slope, offset), (slope, -offset)]


def to_head(estimator: Any, engine: Engine, *, field: str = "label", decode: str | _core.DecodeOptions = "auto") -> Head:
    """A fitted estimator as a head, which the program and the service take: probabilities are the estimator's
    predict_proba (of an SVC to 0.0025: libsvm stops its own iteration there).

    estimator: LogisticRegression, MLPClassifier, a linear SVC of two classes with probability=True, or a Pipeline of
    StandardScaler and one of these, fitted to vectors of `engine` (an embedder before them is passed over). A
    OneVsRestClassifier of LogisticRegression, or an MLPClassifier, fitted to several labels an image, becomes a head for
    several. field: what it answers.
    Raises Unsupported for other estimators, InvalidArgument for one that is not fitted or of other vectors.
    """
    scalers, last = _parts(estimator)
    name = type(last).__name__
    if not hasattr(last, "classes_"):
        raise InvalidArgument(f"{name}: not fitted, or no classifier")
    layers, several = _layers(last)
    layers[0] = (_unscaled(layers[0][0], scalers), layers[0][1])
    if layers[0][0].shape[1] != engine.dim + 1:
        raise InvalidArgument(f"{name}: fitted to {layers[0][0].shape[1] - 1} values, expected the engine's {engine.dim}")
    rows, then = layers[-1]
    if not several and len(rows) == 1:
        layers[-1] = (np.vstack([np.zeros_like(rows), rows]), then)  # the softmax of 0 and a score is its sigmoid
    given = [(np.ascontiguousarray(rows, np.float64), then) for rows, then in layers]
    return Head(_core.FittedHead.of_layers(field, [str(label) for label in last.classes_], several, given, _platt(last),
                                           engine.identity(decode), f"scikit-learn's {name}"))
