"""The class of the public Python implementation gives what the public Python implementation gave (record_reference.py)."""
import base64
import os
import pathlib
import runpy
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
from medimageinsightmodel import MedImageInsight
from record_reference import GOLDEN, base64_images, numbers_of

import medimageinsight as mii

RECORDED = np.load(pathlib.Path(__file__).parent / "reference.npz")
# float32 noise of both: that of the reference against float64 is 1e-7.
TOLERANCE = 3e-6
# A logit is exp(4.6) times a cosine: its error is a hundred times that of the vectors. A probability's is at most a quarter of it.
SCORE_TOLERANCE = 100 * TOLERANCE / 4


def loaded(folder: str, **options) -> MedImageInsight:
    classifier = MedImageInsight(model_dir=folder, vision_model_name="medimageinsigt-v1.0.0.pt",
                                 language_model_name="language_model.pth", **options)
    classifier.load_model()
    return classifier


@pytest.fixture(scope="module")
def classifier() -> MedImageInsight:
    return loaded(mii.starter_path())


@pytest.mark.parametrize("model, n", [("starter", 7), ("full", 2)])
def test_numbers_are_those_of_the_reference(model, n, procedural):
    given = numbers_of(loaded(mii.starter_path() if model == "starter" else procedural(model)), n)
    for key in ("images", "texts"):
        assert given[key].dtype == np.float32
        worst = np.abs(given[key] - RECORDED[f"{model}/{key}"][:len(given[key])]).max()
        assert worst <= TOLERANCE, f"{key}: {worst}"
    for key in ("softmax", "sigmoid"):
        worst = np.abs(given[key] - RECORDED[f"{model}/{key}"][:n]).max()
        assert worst <= SCORE_TOLERANCE, f"{key}: {worst}"


class Images(BaseHTTPRequestHandler):
    def do_GET(self):
        body = (GOLDEN / "rgb.png").read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_the_readme_of_the_reference_runs(classifier, capsys):
    """The calls of its README and example script, in their order and by their names."""
    image = base64.encodebytes((GOLDEN / "rgb.png").read_bytes()).decode("utf-8")
    labels = ["normal", "Pneumonia", "unclear"]
    results = classifier.predict([image], labels)
    assert list(results[0].values()) == sorted(results[0].values(), reverse=True)
    assert sum(results[0].values()) == pytest.approx(1, abs=1e-6) and set(results[0]) == set(labels)
    several = classifier.predict([image], [*labels, "Tumor"], multilabel=True)
    assert all(0 < value < 1 for value in several[0].values())
    results = classifier.encode(images=[image])
    assert results["image_embeddings"].shape == (1, 192) and results["text_embeddings"] is None
    results = classifier.encode(texts=labels)
    assert results["text_embeddings"].shape == (3, 192) and results["image_embeddings"] is None


def test_a_script_written_for_the_reference_runs_unchanged(tmp_path, monkeypatch, capsys):
    """MII_REFERENCE names a clone of the public implementation: its example.py, but for the address that it downloads from."""
    reference = os.environ.get("MII_REFERENCE")
    if not reference:
        pytest.skip("MII_REFERENCE is not set: a clone of github.com/visual-layer/MedImageInsight")
    server = HTTPServer(("127.0.0.1", 0), Images)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    fetch = urllib.request.urlretrieve
    monkeypatch.setattr(urllib.request, "urlretrieve",
                        lambda url, file: fetch(f"http://127.0.0.1:{server.server_port}/image.png", file))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "2024.09.27").symlink_to(mii.starter_path())
    runpy.run_path(str(pathlib.Path(reference, "example.py")))
    server.shutdown()
    assert "Pneumonia" in capsys.readouterr().out


def test_it_refuses_what_the_reference_refuses(classifier):
    image = base64_images()[0]
    unloaded = MedImageInsight("x", "y", "z")
    for call in (lambda: unloaded.predict([image], ["a"]), lambda: unloaded.encode(texts=["a"])):
        with pytest.raises(RuntimeError, match="load_model"):
            call()
    with pytest.raises(ValueError, match="No labels provided"):
        classifier.predict([image], [])
    with pytest.raises(ValueError, match="either images or texts"):
        classifier.encode()
    with pytest.raises(ValueError, match="Failed to process image"):
        classifier.predict([base64.b64encode(b"no image").decode()], ["a"])
    with pytest.raises(ValueError, match="Failed to decode"):
        classifier.decode_base64_image("####")


def test_pil_images_are_decoded_and_scored(classifier, images):
    image = classifier.decode_base64_image(base64.b64encode((images / "grey.png").read_bytes()).decode())
    assert image.mode == "RGB"
    scores = classifier.run_inference_batch([image], ["a", "b"])
    assert scores.shape == (1, 2) and scores.sum() == pytest.approx(1, abs=1e-6)


def test_a_model_that_cannot_be_loaded_says_so(capsys):
    with pytest.raises(mii.errors.InvalidModel):
        loaded("/nowhere")
    assert "Failed to load the model:" in capsys.readouterr().out


def test_it_needs_no_pytorch(classifier):
    assert "torch" not in sys.modules
