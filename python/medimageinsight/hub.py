"""Models from the Hugging Face hub, by its own client: its cache, revisions, mirrors, tokens and offline mode."""
from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ._inputs import path_text
from .errors import InvalidModel, IoError, NetworkError, Unsupported

__all__ = ["find_model"]

#: What a model folder consists of, wherever in a repository it is.
_PATTERNS = ["*config.yaml", "*vision_model/*", "*language_model/clip_tokenizer*/*"]


def _model_folder(root: str, name: str) -> str:
    """The folder with a config.yaml: the root, or else the latest of those below it (published ones are named by date)."""
    if os.path.isfile(os.path.join(root, "config.yaml")):
        return root
    found = sorted(str(path.parent) for path in Path(root).glob("*/config.yaml"))
    if not found:
        raise InvalidModel(f"{name}: no config.yaml in {root} or in a folder of it")
    return found[-1]


def _download(name: str, options: dict[str, Any]) -> str:
    try:
        import huggingface_hub
        from huggingface_hub import errors
    except ImportError:
        raise Unsupported(f"{name} is no folder, and for a name of the Hugging Face hub the package huggingface_hub is needed: "
                          "pip install huggingface_hub") from None
    try:
        return huggingface_hub.snapshot_download(name, allow_patterns=_PATTERNS, **options)
    except errors.LocalEntryNotFoundError as error:
        raise IoError(f"{name}: not in the cache, and the hub cannot be asked: {error}") from error
    except errors.HFValidationError as error:
        raise IoError(f"{name}: neither a folder nor a name of the hub: {error}") from error
    except (errors.HfHubHTTPError, OSError) as error:
        raise NetworkError(f"{name}: {error}") from error


def find_model(name_or_path: str | os.PathLike, *, revision: str | None = None,
               cache_dir: str | os.PathLike | None = None, token: str | bool | None = None,
               local_files_only: bool = False) -> str:
    """The folder of a model: of a folder, itself or the latest model in it; of a repository's name, a snapshot in the
    hub's cache, downloaded where it is missing. Raises InvalidModel, IoError, NetworkError, Unsupported."""
    name = path_text(name_or_path, "name_or_path")
    if os.path.isdir(name):
        return _model_folder(name, name)
    return _model_folder(_download(name, {"revision": revision, "cache_dir": cache_dir, "token": token,
                                          "local_files_only": local_files_only}), name)
