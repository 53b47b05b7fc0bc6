"""What the tests share: images of tests/data, the built-in model, models with weights by formula."""
import os
import pathlib
import subprocess

import numpy as np
import pytest

import medimageinsight as mii

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "data" / "golden"


@pytest.fixture(scope="session")
def images() -> pathlib.Path:
    return GOLDEN / "synthetic"


@pytest.fixture(scope="session")
def engine() -> mii.Engine:
    return mii.Engine.open(mii.starter_path(), precision="f32")


@pytest.fixture(scope="session")
def procedural(tmp_path_factory):
    """Makes the folder of a model with weights by formula: "tiny-a", "full"."""
    made = {}

    def make(name: str) -> str:
        if name not in made:
            folder = tmp_path_factory.mktemp(name) / "model"
            golden = GOLDEN / name
            subprocess.run([os.environ["MII_PROCEDURAL"], golden / "config.yaml",
                            golden / "language_model" / "clip_tokenizer_4.16.2", folder], check=True)
            made[name] = str(folder)
        return made[name]

    return make


@pytest.fixture
def rgb() -> np.ndarray:
    """uint8 [60, 80, 3] that is no plane of one colour."""
    y, x, c = np.mgrid[0:60, 0:80, 0:3]
    return ((3 * x + 5 * y + 40 * c) % 256).astype(np.uint8)
