"""What comes with the package: the program, the built-in model, DICOM's dictionary, types; and verify."""
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import medimageinsight as mii
from medimageinsight import errors

PROGRAM = pathlib.Path(sys.executable).parent / "mii"
PACKAGE = pathlib.Path(mii.__file__).parent


def run(*arguments, **options):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=120, **options)


def test_the_program_is_of_the_same_version_and_gives_the_same_vectors(engine, images, tmp_path):
    assert mii.__version__ in run("--version").stdout
    done = run("embed", "--images", images / "rgb.png", "--output", tmp_path / "v.npy", "--precision", "f32")
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), engine.encode_images(images / "rgb.png"))
    assert run("classify", "/nowhere.png", "--labels", "a").returncode != 0


def test_importing_takes_little_time():
    program = "import time; t = time.process_time(); import medimageinsight; print(time.process_time() - t)"
    seconds = min(float(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout)
                  for _ in range(3))
    assert seconds < 0.3


def test_everything_can_be_imported_without_pytorch_and_scikit_learn():
    program = "import sys; sys.modules['torch'] = sys.modules['sklearn'] = None; from medimageinsight import *; print(Engine)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "Engine" in done.stdout, done.stderr
    assert {"as_torch_dataset", "MedImageInsightEmbedder", *mii.__all__} <= set(dir(mii))


def test_dicoms_dictionary_comes_with_the_package():
    assert (PACKAGE / "share" / "dcmtk" / "dicom.dic").exists()
    assert str(PACKAGE) in os.environ["DCMDICTPATH"]


def test_types_come_with_the_package():
    assert (PACKAGE / "py.typed").exists()
    assert "class Engine" in (PACKAGE / "_core.pyi").read_text()
    for name in mii.__all__:
        if name != "ImageLike":  # a type
            assert getattr(mii, name).__doc__, name


def test_shared_libraries_come_with_the_wheel():
    brought = [path.name for path in PACKAGE.parent.glob("medimageinsight.libs/*")]
    for library in ("libdnnl", "libgomp", "libdcmdata", "libjpeg", "libopenjp2"):
        assert any(name.startswith(library + "-") for name in brought), library


def test_verify_tells_what_is_not_the_published_model(images):
    told = mii.verify(mii.starter_path(), x_ray=images / "rgb.png", ultrasound=images / "grey.png")
    assert not told and told.files["vision_model/medimageinsigt-v1.0.0.pt"] == "differs"
    assert set(told.examples) == {"x-ray", "ultrasound"} and told.examples["x-ray"]["published"] == 0.9992
    assert sum(told.examples["x-ray"]["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert "differs" in str(told)
    done = run("verify", mii.starter_path(), "--x-ray", images / "rgb.png")
    assert done.returncode == 1 and "x-ray: published 0.9992" in done.stdout
    assert "differs  vision_model/medimageinsigt-v1.0.0.pt" in done.stdout
    with pytest.raises(errors.IoError):
        mii.verify("/nowhere")


def test_verify_fetches_images(images):
    import threading
    from functools import partial
    from http.server import HTTPServer, SimpleHTTPRequestHandler

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), partial(Quiet, directory=images))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/rgb.png"
    assert mii.verify(mii.starter_path(), ct=url).examples["ct"]["probabilities"] == \
        mii.verify(mii.starter_path(), ct=images / "rgb.png").examples["ct"]["probabilities"]
    done = run("verify", mii.starter_path(), "--ct", url, "--json")
    assert '"ct": {"published": 0.9239' in done.stdout, done.stderr
    with pytest.raises(errors.NetworkError):
        mii.verify(mii.starter_path(), ct=url + "nothing")
    server.shutdown()
