"""Makes the graphs of tests/data/onnx: what torch.onnx exports of the public Python implementation, without the weights, so that they are
small. Needs PyTorch, which is why the graphs are kept and not made by the tests. Names are numbers: the import must not need them.

usage: make_graphs.py REFERENCE MII_PROCEDURAL [OUT]      REFERENCE: a clone of github.com/visual-layer/MedImageInsight

A tensor of the model has no values: its doc_string is its published name, with "^T" when it is stored transposed.
"""
import pathlib
import string
import subprocess
import sys
import tempfile

import numpy
import onnx
import torch
import yaml
from onnx import numpy_helper

ROOT = pathlib.Path(__file__).parents[2]
DATA = ROOT / "tests/data/onnx"
GOLDEN = ROOT / "tests/data/golden"
sys.path.insert(0, str(ROOT / "python/tests"))
from record_reference import with_all_keys  # noqa: E402


class Both(torch.nn.Module):
    """Pixels, ids and mask to both vectors and the factor on the cosine."""
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, image, input_ids, attention_mask):
        return self.model(image, {"input_ids": input_ids, "attention_mask": attention_mask})


class Images(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, image):
        return self.model.encode_image(image)


def reference_model(reference, procedural, config, tokenizer, work):
    from MedImageInsight.UniCLModel import build_unicl_model
    work.mkdir()
    (work / "config.yaml").write_text(config)
    subprocess.run([procedural, work / "config.yaml", tokenizer, work / "model"], check=True)
    folder = with_all_keys(work / "model", reference, work / "with-keys")
    options = yaml.safe_load((folder / "config.yaml").read_text())
    options["LANG_ENCODER"]["PRETRAINED_TOKENIZER"] = str(folder / "language_model/clip_tokenizer_4.16.2")
    options["UNICL_MODEL"]["PRETRAINED"] = str(folder / "vision_model/medimageinsigt-v1.0.0.pt")
    model = build_unicl_model(options).eval()
    model.image_encoder.enable_checkpoint = False  # checkpoints are not exported
    return model


def inputs_of(model):
    width, height = model.conf_image_encoder["IMAGE_SIZE"]
    tokens = model.conf_lang_encoder["CONTEXT_LENGTH"]
    ids = torch.arange(tokens)[None]
    return torch.zeros(1, 3, height, width, dtype=model.dtype), ids, torch.ones_like(ids)


def named_weights(model):
    """The published name of each tensor's values, also of those transposed."""
    names = {}
    for name, tensor in model.state_dict().items():
        values = tensor.numpy()
        names[values.shape, values.tobytes()] = name
        if values.ndim == 2:
            names.setdefault((values.T.shape, values.T.tobytes()), name + "^T")
    return names


def strip(graph, names):
    """Takes the values of the model's tensors away. Returns how many there were."""
    tensors = list(graph.initializer)
    tensors += [attribute.t for node in graph.node for attribute in node.attribute if attribute.HasField("t")]
    stripped = 0
    for tensor in tensors:
        tensor.ClearField("doc_string")
        values = numpy_helper.to_array(tensor)
        name = names.get((values.shape, values.tobytes()))
        if values.ndim == 0 or name is None:
            assert values.size < 256 or values.dtype == bool or values.shape[-2:] == (77, 77), (tensor.name, values.shape)
            continue
        tensor.ClearField("raw_data")
        tensor.doc_string = name
        stripped += 1
    return stripped


def renumber(graph):
    """Numbers in place of names, and nothing that only people read."""
    digits = string.digits + string.ascii_letters
    numbers = {"": ""}

    def short(n):
        return (short(n // 62) if n >= 62 else "") + digits[n % 62]

    def number(name):
        return numbers.setdefault(name, short(len(numbers)))

    graph.name = "graph"
    for field in ("doc_string", "value_info", "quantization_annotation", "metadata_props"):
        graph.ClearField(field)
    for named in [*graph.input, *graph.output, *graph.initializer]:
        named.name = number(named.name)
        named.ClearField("metadata_props")
    for node in graph.node:
        for field in ("name", "doc_string", "metadata_props"):
            node.ClearField(field)
        node.input[:] = [number(name) for name in node.input]
        node.output[:] = [number(name) for name in node.output]
        for attribute in node.attribute:
            attribute.ClearField("doc_string")
            if attribute.HasField("t"):
                attribute.t.ClearField("name")


def write(file, module, model, inputs, **options):
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        exported = pathlib.Path(folder) / "model.onnx"
        torch.onnx.export(module.eval(), inputs, str(exported), **options)
        graph = onnx.load(exported)
    del graph.metadata_props[:]
    stripped = strip(graph.graph, named_weights(model))
    renumber(graph.graph)
    file.write_bytes(graph.SerializeToString())
    print(f"{file}: {stripped} tensors, {len(graph.graph.node)} operators, {file.stat().st_size} bytes")


def main():
    reference, procedural, *out = sys.argv[1:]
    out = pathlib.Path(out[0]) if out else DATA
    sys.path.insert(0, reference)
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        config = (DATA / "config.yaml").read_text()
        tokenizer = GOLDEN / "tiny-a/language_model/clip_tokenizer_4.16.2"
        make = lambda text, *at: reference_model(pathlib.Path(reference), procedural, text, *at)
        model = make(config, tokenizer, work / "small")
        inputs = inputs_of(model)
        write(out / "folded.onnx", Both(model), model, inputs, dynamo=False, opset_version=17)
        # Norms in parts, weights transposed by operators.
        write(out / "unfolded.onnx", Both(model), model, inputs, dynamo=False, opset_version=16, do_constant_folding=False)
        write(out / "images.onnx", Images(model), model, inputs[:1], dynamo=False, opset_version=17,
              input_names=["image"], dynamic_axes={"image": [0]})
        write(out / "dynamo.onnx", Both(model), model, inputs, dynamo=True, opset_version=18, external_data=False)
        causal = config.replace("AUTOGRESSIVE: false", "AUTOGRESSIVE: true")
        assert causal != config
        model = make(causal, tokenizer, work / "causal").half()
        write(out / "causal-half.onnx", Both(model), model, inputs_of(model), dynamo=False, opset_version=17)
        model = make((GOLDEN / "full/config.yaml").read_text(), GOLDEN / "full/language_model/clip_tokenizer_4.16.2", work / "full")
        model = model.half()
        write(out / "full-half.onnx", Both(model), model, inputs_of(model), dynamo=False, opset_version=17)


main()
