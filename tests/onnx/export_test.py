"""Exported graphs in other programs' hands: the official checker, ONNX Runtime and OpenVINO, against the reference's numbers
and the program's own; and back again, as others' graphs, by mii convert. usage: export_test.py MII MII_PROCEDURAL [MODEL NAME]...
MODEL NAME: a model folder and the golden numbers that it is compared with (full, say); without, small models made by formula."""
import json
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

import numpy
import onnx
import onnx.reference
import onnxruntime
import openvino
from PIL import Image

ROOT = pathlib.Path(__file__).parents[2]
GOLDEN = ROOT / "tests/data/golden"
# The largest cosine distance from the reference: what rounding costs in products of f32, and of f16.
LIMITS = {"f32": 1e-6, "fp16": 1e-4}
DTYPES = {"F32": numpy.float32, "I64": numpy.int64}


def safetensors(file):
    data = file.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for key, entry in json.loads(data[8 : 8 + length]).items():
        if key != "__metadata__":
            begin, end = entry["data_offsets"]
            values = numpy.frombuffer(data[8 + length + begin : 8 + length + end], DTYPES[entry["dtype"]])
            tensors[key] = values.reshape(entry["shape"])
    return tensors


def golden(name):
    """The tensors of a model's expected numbers."""
    return safetensors(GOLDEN / name / "expected.safetensors")


def run(*command):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout


def refused(*command):
    """The message of a command that must fail."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode in (1, 2), (command, done)
    return done.stderr


def in_onnx_runtime(file):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, inputs)[0]


def in_openvino(file):
    # Without the hint, processors with AMX compute in bf16.
    model = openvino.Core().compile_model(file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda inputs: model(inputs)[0]


def distance(vectors, expected):
    """The largest cosine distance; the vectors are of length 1."""
    a, b = numpy.asarray(vectors, numpy.float64), numpy.asarray(expected, numpy.float64)
    assert a.shape == b.shape, (a.shape, b.shape)
    assert numpy.abs(numpy.linalg.norm(a, axis=1) - 1).max() < 1e-5
    return (1 - (a * b).sum(axis=1) / numpy.linalg.norm(a, axis=1) / numpy.linalg.norm(b, axis=1)).max()


def bytes_of_images(names, height, width):
    """As docs/onnx.md says: u8 [B, height, width, 3]."""
    images = (Image.open(GOLDEN / name).convert("RGB").resize((width, height), Image.BICUBIC) for name in names)
    return numpy.stack([numpy.asarray(image) for image in images])


def normalised(pixels):
    mean, std = numpy.float32([0.485, 0.456, 0.406]), numpy.float32([0.229, 0.224, 0.225])
    values = (pixels.astype(numpy.float32) / numpy.float32(255) - mean) / std
    return numpy.ascontiguousarray(values.transpose(0, 3, 1, 2))


def checked(file):
    onnx.checker.check_model(str(file), full_check=True)
    return onnx.load(file, load_external_data=False)


def dims(value):
    return [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]


def compare(what, precision, vectors, expected):
    worst = distance(vectors, expected)
    print(f"  {what:46} {worst:.1e}")
    assert worst <= LIMITS[precision], (what, worst)


def check_images(file, precision, expected, names, own):
    model = checked(file)
    takes_bytes = model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    shape = dims(model.graph.input[0])
    assert shape[0] == "batch", shape
    height, width = shape[1:3] if takes_bytes else shape[2:4]
    pixels = bytes_of_images(names, height, width)
    if not takes_bytes:
        pixels = normalised(pixels)
    reference = numpy.stack([expected["embedding/" + name] for name in names])
    for make in (in_onnx_runtime, in_openvino):
        program = make(file)
        together = program({"pixels": pixels})
        compare(f"images, {make.__name__}, the reference", precision, together, reference)
        compare(f"images, {make.__name__}, mii", precision, together, own)
        alone = numpy.concatenate([program({"pixels": pixels[i : i + 1]}) for i in range(len(names))])
        compare(f"images, {make.__name__}, one by one", precision, alone, reference)


def check_texts(file, precision, expected):
    assert dims(checked(file).graph.input[0]) == ["batch", "tokens"]
    ids, mask = expected["text/input_ids"], expected["text/attention_mask"]
    reference = expected["text/embedding"]
    longest = int(mask[:9].sum(axis=1).max())
    elsewhere = numpy.where(mask == 1, ids, 7)
    for make in (in_onnx_runtime, in_openvino):
        program = make(file)
        name = make.__name__
        compare(f"texts, {name}, padded to the context", precision,
                program({"input_ids": ids, "attention_mask": mask}), reference)
        compare(f"texts, {name}, padded to the longest", precision,
                program({"input_ids": ids[:9, :longest], "attention_mask": mask[:9, :longest]}), reference[:9])
        compare(f"texts, {name}, other ids in the padding", precision,
                program({"input_ids": elsewhere, "attention_mask": mask}), reference)


def check_rounding(out, expected, name):
    """Every operator in the type that the graph says, as a GPU computes them: on CPUs the others compute in float32."""
    def program(file):
        evaluator = onnx.reference.ReferenceEvaluator(onnx.load(out / file))
        return lambda inputs: evaluator.run(None, inputs)[0]
    height, width = dims(checked(out / "image.onnx").graph.input[0])[2:]
    pixels = normalised(bytes_of_images([name], height, width))
    compare("one image, onnx.reference, the reference", "fp16", program("image.onnx")({"pixels": pixels}),
            expected["embedding/" + name][None])
    texts = {key: expected["text/" + key][:5] for key in ("input_ids", "attention_mask")}
    compare("texts, onnx.reference, the reference", "fp16", program("text.onnx")(texts), expected["text/embedding"][:5])


def check_model(mii, model, name, folder):
    expected = golden(name)
    names = [key[len("embedding/"):] for key in expected if key.startswith("embedding/synthetic")]
    run(mii, "embed", "--model", model, "--precision", "f32", "--quiet", "--output", folder / "own.npy",
        "--images", *[GOLDEN / image for image in names])
    own = numpy.load(folder / "own.npy")
    for precision in LIMITS:
        for flags in ([], ["--preprocessing", "--external-data"]):
            out = folder / "out"
            answer = json.loads(run(mii, "export", model, out, "--precision", precision, "--json", *flags))
            print(name, precision, *flags)
            files = sorted(path.name for path in out.iterdir())
            plain = ["image.onnx", "text.onnx"]
            assert files == (sorted(plain + [f"{file}.data" for file in plain]) if flags else plain), files
            assert sum(path.stat().st_size for path in out.iterdir()) == sum(f["bytes"] for f in answer["files"])
            check_metadata(mii, model, checked(out / "image.onnx"), answer, precision)
            check_images(out / "image.onnx", precision, expected, names, own)
            check_texts(out / "text.onnx", precision, expected)
            if precision == "fp16" and not flags and name.startswith("tiny"):  # in numpy, and slow
                check_rounding(out, expected, names[0])
            shutil.rmtree(out)


def check_metadata(mii, model, graph, answer, precision):
    metadata = {entry.key: entry.value for entry in graph.metadata_props}
    info = json.loads(run(mii, "info", model, "--precision", "f32", "--json"))
    identity = json.loads(metadata["mii.identity"])
    assert identity == answer["identity"]
    assert identity == info["identity"] | {"precision": {"f32": "f32", "fp16": "f16"}[precision]}, (identity, info)
    assert float(metadata["mii.logit_scale"]) == info["logit_scale"]
    assert [opset.version for opset in graph.opset_import] == [answer["opset"]]


def check_other_configuration(mii, procedural, folder):
    """What the golden models do not have: causal texts, no second convolution, another scale, norms the other way round."""
    source = GOLDEN / "tiny-b"
    config = (source / "config.yaml").read_text()
    for before, after in (("AUTOGRESSIVE: false", "AUTOGRESSIVE: true"),
                          ("    WINDOW_SIZE: 12", "    WINDOW_SIZE: 5\n    CONV_AT_FFN: false\n    DYNAMIC_SCALE: false"),
                          ("    - false\n    - true\n    - true\n    - true", "    - true\n    - false\n    - true\n    - false")):
        assert before in config, before
        config = config.replace(before, after)
    (folder / "other.yaml").write_text(config)
    model, out = folder / "other", folder / "other-onnx"
    run(procedural, folder / "other.yaml", source / "language_model/clip_tokenizer_4.16.2", model)
    run(mii, "export", model, out, "--quiet")
    embed = [mii, "embed", "--model", model, "--precision", "f32", "--quiet", "--output", folder / "own.npy"]
    expected = golden("tiny-b")
    names = ["synthetic/rgb.png", "synthetic/grey.png"]
    run(*embed, "--images", *[GOLDEN / name for name in names])
    height, width = dims(checked(out / "image.onnx").graph.input[0])[2:]
    pixels = normalised(bytes_of_images(names, height, width))
    labels = json.loads((source / "expected.json").read_text())["texts"][:7]
    inputs = {key: expected["text/" + key][:7] for key in ("input_ids", "attention_mask")}
    longest = inputs["attention_mask"].sum(axis=1).max()
    shorter = {key: values[:, :longest] for key, values in inputs.items()}
    images = numpy.load(folder / "own.npy")
    run(*embed, "--texts", *labels)
    texts = numpy.load(folder / "own.npy")
    print("another configuration")
    for make in (in_onnx_runtime, in_openvino):
        compare(f"images, {make.__name__}, mii", "f32", make(out / "image.onnx")({"pixels": pixels}), images)
        for padded in (inputs, shorter):
            compare(f"texts, {make.__name__}, mii", "f32", make(out / "text.onnx")(padded), texts)


def check_towers(mii, model, folder):
    for tower in ("image", "text"):
        run(mii, "export", model, folder / tower, "--tower", tower, "--quiet")
        assert [path.name for path in (folder / tower).iterdir()] == [f"{tower}.onnx"]


def check_refusals(mii, model, folder):
    assert "no such model folder" in refused(mii, "export", folder / "nothing", folder / "out")
    assert "--precision" in refused(mii, "export", model, folder / "out", "--precision", "bf16")
    assert "--format" in refused(mii, "export", model, folder / "out", "--format", "tflite")
    assert "--preprocessing" in refused(mii, "export", model, folder / "out", "--tower", "text", "--preprocessing")
    (folder / "file").touch()
    assert "cannot be made" in refused(mii, "export", model, folder / "file")


def check_weights_beyond_half_precision(mii, model, folder):
    large = folder / "large"
    shutil.copytree(model, large)
    weights = large / "vision_model/medimageinsigt-v1.0.0.pt"
    data = bytearray(weights.read_bytes())
    length = struct.unpack("<Q", data[:8])[0]
    at = 8 + length + json.loads(data[8 : 8 + length])["image_projection"]["data_offsets"][0]
    data[at : at + 4] = struct.pack("<f", 70000)
    weights.write_bytes(data)
    out = folder / "large-onnx"
    assert "'image_projection'" in refused(mii, "export", large, out, "--precision", "fp16", "--external-data")
    assert list(out.iterdir()) == []
    run(mii, "export", large, out, "--precision", "f32", "--quiet")


def embedded(mii, model, folder, *what):
    run(mii, "embed", "--model", model, "--precision", "f32", "--quiet", "--output", folder / "vectors.npy", *what)
    return numpy.load(folder / "vectors.npy")


def check_round_trip(mii, model, folder):
    """Export and convert: the same vectors, bit for bit, and after half precision nearly."""
    images = ["--images", GOLDEN / "synthetic/rgb.png", GOLDEN / "synthetic/grey.png"]
    texts = ["--texts", "chest x-ray", "no finding"]
    own = [embedded(mii, model, folder, *what) for what in (images, texts)]
    for precision in LIMITS:
        graphs, back = folder / f"graphs-{precision}", folder / f"back-{precision}"
        run(mii, "export", model, graphs, "--precision", precision, "--quiet")
        printed = run(mii, "convert", graphs / "image.onnx", back, "--text", graphs / "text.onnx", "--config", model, "--dtype", "f32")
        assert "from the graph's metadata" in printed, printed
        for what, vectors in zip((images, texts), own):
            again = embedded(mii, back, folder, *what)
            compare(f"export and convert, {what[0]}", precision, again, vectors)
            assert precision != "f32" or (again == vectors).all()


def filled(file, weights):
    """A graph of tests/data/onnx with the weights that make_graphs.py took away."""
    graph = onnx.load(file)
    constants = [a.t for node in graph.graph.node for a in node.attribute if a.HasField("t")]
    for tensor in [*graph.graph.initializer, *constants]:
        if tensor.doc_string:
            values = weights[tensor.doc_string.removesuffix("^T")]
            tensor.raw_data = (values.T if tensor.doc_string.endswith("^T") else values).tobytes()
    return graph


def check_foreign_graphs(mii, procedural, folder):
    """What torch.onnx exports of the reference, in ONNX Runtime, and its weights in this program: the same vectors."""
    source = ROOT / "tests/data/onnx"
    model = folder / "foreign-model"
    run(procedural, source / "config.yaml", GOLDEN / "tiny-a/language_model/clip_tokenizer_4.16.2", model)
    weights = safetensors(model / "vision_model/medimageinsigt-v1.0.0.pt")
    for name in ("folded", "unfolded", "dynamo"):
        graph = filled(source / f"{name}.onnx", weights)
        onnx.save(graph, folder / f"{name}.onnx")
        back = folder / f"{name}-model"
        run(mii, "convert", folder / f"{name}.onnx", back, "--config", model, "--dtype", "f32")
        image, ids, mask = [value.name for value in graph.graph.input]
        pixels = normalised(bytes_of_images(["synthetic/rgb.png"], *dims(graph.graph.input[0])[2:]))
        tokens = {ids: golden("tiny-a")["text/input_ids"][:1], mask: golden("tiny-a")["text/attention_mask"][:1]}
        text = json.loads((GOLDEN / "tiny-a/expected.json").read_text())["texts"][0]
        session = onnxruntime.InferenceSession(folder / f"{name}.onnx", providers=["CPUExecutionProvider"])
        vectors = session.run(None, {image: pixels, **tokens})
        compare(f"{name}, images", "f32", embedded(mii, back, folder, "--images", GOLDEN / "synthetic/rgb.png"), vectors[0])
        compare(f"{name}, texts", "f32", embedded(mii, back, folder, "--texts", text), vectors[1])
    file = folder / "folded.onnx"
    assert "--config" in refused(mii, "convert", file, folder / "out")
    assert "--text" in refused(mii, "convert", model, folder / "out", "--text", file)
    assert "has it too" in refused(mii, "convert", file, folder / "out", "--config", model, "--text", file)
    other = GOLDEN / "tiny-a"
    message = refused(mii, "convert", file, folder / "out", "--config", other)
    assert "another shape than expected for 'image_encoder.convs.0.proj.weight' [16, 3, 7, 7]" in message, message
    assert not (folder / "out").exists()


def main():
    mii, procedural, *models = sys.argv[1:]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        if not models:
            for tiny in ("tiny-a", "tiny-b"):
                source = GOLDEN / tiny
                run(procedural, source / "config.yaml", source / "language_model/clip_tokenizer_4.16.2", folder / tiny)
                models += [str(folder / tiny), tiny]
            check_towers(mii, models[0], folder)
            check_round_trip(mii, models[0], folder)
            check_foreign_graphs(mii, procedural, folder)
            check_refusals(mii, models[0], folder)
            check_weights_beyond_half_precision(mii, models[0], folder)
            check_other_configuration(mii, procedural, folder)
        for model, golden_name in zip(models[::2], models[1::2]):
            check_model(mii, model, golden_name, folder)


main()
