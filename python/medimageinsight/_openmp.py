"""One OpenMP runtime with PyTorch, whichever of both is imported first, whose threads spin only briefly while they wait."""
import contextlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

_BRIEFLY = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "2000"}


@contextlib.contextmanager
def briefly_spinning_threads() -> Iterator[None]:
    """An OpenMP runtime that is loaded meanwhile lets its threads spin for some 20 microseconds and sleep then, unless
    OMP_WAIT_POLICY or GOMP_SPINCOUNT is set: beside other work on the same cores, spinning takes many times as long."""
    if any(name in os.environ for name in _BRIEFLY):
        yield
        return
    os.environ.update(_BRIEFLY)
    try:
        yield
    finally:
        for name in _BRIEFLY:
            del os.environ[name]


def share_with_torch() -> None:
    """Loads PyTorch's libgomp where PyTorch is installed, so that the library computes by it, as it does when PyTorch is
    imported first. Two runtimes give the same numbers, but each lets its threads spin without knowing of the other's."""
    if "torch" in sys.modules:
        return
    try:
        spec = importlib.util.find_spec("torch")
        package = Path(spec.origin).parent if spec and spec.origin else None
        libraries = [*package.glob("lib/libgomp*.so*"), *package.parent.glob("torch.libs/libgomp*.so*")] if package else []
        if libraries:
            import ctypes

            ctypes.CDLL(str(libraries[0]), mode=ctypes.RTLD_GLOBAL)
    except (ImportError, OSError, ValueError):
        pass  # then there are two
