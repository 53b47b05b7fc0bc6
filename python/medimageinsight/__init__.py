"""MedImageInsight, the open embedding model for medical images, without PyTorch. For research; not a medical device.

>>> import medimageinsight as mii
>>> engine = mii.Engine.open(mii.starter_path())
>>> engine.classify("retina.jpg", ["X-Ray", "Fundus Photography"])
"""
import os as _os

from ._openmp import share_with_torch as _share_with_torch
from ._openmp import briefly_spinning_threads as _briefly_spinning_threads
from ._program import dictionary as _dictionary

# Both before the library is loaded.
_dictionary(_os.path.dirname(_os.path.abspath(__file__)))
with _briefly_spinning_threads():
    _share_with_torch()
    from . import _core

from . import errors
from ._core import Identity
from ._core import version as __version__
from ._inputs import ImageLike, from_base64
from .collection import Collection
from .engine import Engine, starter_path
from .errors import Error
from .evaluation import Evaluation, evaluate, fit
from .heads import Head, ZeroShotHead
from .images import (DecodeOptions, Image, ImageFile, ImageInput, Series, Slice, find_images, find_series, pool_slices,
                     read_image)
from .verification import Verification, verify

__all__ = [
    "Collection", "DecodeOptions", "Engine", "Error", "Evaluation", "Head", "Identity", "Image", "ImageFile", "ImageInput",
    "ImageLike", "Series", "Slice", "Verification", "ZeroShotHead", "__version__", "errors", "evaluate", "find_images",
    "find_series", "fit", "from_base64", "from_pretrained", "pool_slices", "read_image", "starter_path", "verify",
]

from_pretrained = Engine.from_pretrained


# PyTorch and scikit-learn are imported by those who use them: these are not in __all__.
def __dir__():
    return sorted([*globals(), "MedImageInsightEmbedder", "as_torch_dataset"])


def __getattr__(name):
    if name == "as_torch_dataset":
        from .torch import as_torch_dataset

        return as_torch_dataset
    if name == "MedImageInsightEmbedder":
        from .sklearn import MedImageInsightEmbedder

        return MedImageInsightEmbedder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
