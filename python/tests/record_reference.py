"""Records what the public Python implementation gives, for test_reference.py. Needs PyTorch, which is why the numbers are
kept and not computed by the tests.

usage: record_reference.py REFERENCE OUT.npz NAME=MODEL...      REFERENCE: a clone of github.com/visual-layer/MedImageInsight
"""
import base64
import pathlib
import sys
import tempfile

import numpy as np

IMAGES = ["rgb.png", "grey.png", "rgb-480.png", "baseline.jpg", "progressive.jpg", "subsampled.jpg", "rgb.bmp"]
LABELS = ["X-Ray", "Magnetic Resonance Imaging", "Computed Tomography", "Ultrasound", "normal", "Pneumonia", "unclear"]
GOLDEN = pathlib.Path(__file__).parents[2] / "tests" / "data" / "golden" / "synthetic"


def base64_images(n: int = len(IMAGES)) -> list[str]:
    return [base64.encodebytes((GOLDEN / name).read_bytes()).decode("utf-8") for name in IMAGES[:n]]


def numbers_of(classifier, n: int = len(IMAGES)) -> dict[str, np.ndarray]:
    """What the class says of the first n images and all labels. Probabilities [images, labels], in the order of LABELS."""
    images = base64_images(n)
    encoded = classifier.encode(images=images, texts=LABELS)

    def probabilities(multilabel: bool) -> np.ndarray:
        rows = classifier.predict(images, LABELS, multilabel=multilabel)
        return np.array([[row[label] for label in LABELS] for row in rows], np.float64)

    return {"images": encoded["image_embeddings"], "texts": encoded["text_embeddings"],
            "softmax": probabilities(False), "sigmoid": probabilities(True)}


def with_all_keys(folder: pathlib.Path, reference: pathlib.Path, to: pathlib.Path) -> pathlib.Path:
    """The model with the keys in its config.yaml that the reference wants and this project does not: the published ones."""
    import yaml

    def merged(values, defaults):
        if not isinstance(values, dict) or not isinstance(defaults, dict):
            return values
        return {**defaults, **{key: merged(value, defaults.get(key)) for key, value in values.items()}}

    published = yaml.safe_load((reference / "2024.09.27" / "config.yaml").read_text())
    config = yaml.safe_load((folder / "config.yaml").read_text())
    to.mkdir()
    (to / "config.yaml").write_text(yaml.safe_dump(merged(config, published)))
    for part in ("vision_model", "language_model"):
        (to / part).symlink_to((folder / part).resolve())
    return to


def main() -> None:
    reference, out, *models = sys.argv[1:]
    sys.path.insert(0, reference)
    import torch
    from medimageinsightmodel import MedImageInsight

    recorded = {}
    work = tempfile.mkdtemp()
    for name, folder in (model.split("=", 1) for model in models):
        with_keys = with_all_keys(pathlib.Path(folder), pathlib.Path(reference), pathlib.Path(work, name))
        classifier = MedImageInsight(str(with_keys), "medimageinsigt-v1.0.0.pt", "language_model.pth")
        classifier.load_model()
        classifier.model.eval()  # the class itself leaves the model in training mode: its dropout would show
        with torch.no_grad():
            recorded |= {f"{name}/{key}": value for key, value in numbers_of(classifier).items()}
    np.savez_compressed(out, **recorded)


if __name__ == "__main__":
    main()
