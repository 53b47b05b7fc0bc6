"""Collections, heads and evaluations, as the program has them."""
import csv
import subprocess
import sys
import pathlib
import threading

import numpy as np
import pytest

import medimageinsight as mii
from medimageinsight import _core, errors

PROGRAM = pathlib.Path(sys.executable).parent / "mii"


@pytest.fixture
def filled(engine, images, tmp_path):
    collection = mii.Collection.create(tmp_path / "cases")
    collection.add_images(engine, [images / "rgb.png", images / "grey.png", images / "cmyk.jpg"])
    return collection


def test_images_are_added_once_and_found(filled, engine, images):
    again = filled.add_images(engine, images / "rgb.png")
    assert again == {"added": 0, "replaced": 0, "unchanged": 1, "failures": []}
    assert len(filled) == 3 and list(filled) == sorted(filled)
    name = str(images / "grey.png")
    found = filled.search(engine.encode_images(name), k=2, votes=["path"])
    assert found["hits"][0]["id"] == name and found["hits"][0]["similarity"] == pytest.approx(1, abs=1e-3)
    assert name in filled and "nothing" not in filled and 5 not in filled
    np.testing.assert_allclose(filled.vectors([name]), engine.encode_images(name), atol=1e-6)


def test_vectors_with_attributes_are_added_filtered_and_removed(engine, images, tmp_path):
    vectors = engine.encode_images([images / "rgb.png", images / "grey.png"])
    with mii.Collection.create(tmp_path / "cases", store="bf16") as cases:
        assert cases.add(["a", "b"], vectors, engine.identity(), attributes=[{"age": 30}, {"age": 70, "sex": None}]) == (2, 0)
        assert cases["a"] == {"age": "30"} and cases.info["columns"] == ["age"] and cases.info["stored"] == "bf16"
        assert [hit["id"] for hit in cases.search(vectors[:1], filter="age > 40")["hits"]] == ["b"]
        assert [[id for id, _ in hits] for hits in cases.search_many(vectors, k=1)] == [["a"], ["b"]]
        assert cases.remove("a") == 1 and cases.remove("a") == 0
        cases.compact()
        assert cases.verify() == [] and len(cases) == 1
        with pytest.raises(KeyError):
            cases["a"]
    with pytest.raises(errors.InvalidArgument, match="closed"):
        cases.search(vectors)
    assert "closed" in repr(cases)


def test_what_does_not_fit_a_collection_is_refused(filled, engine):
    vectors = engine.encode_texts(["a", "b"])
    for arguments in ((["x"], vectors, engine.identity()), (["x", "x"], vectors, engine.identity()),
                      (["x", "y"], vectors[:, :5], engine.identity()), (["x", "y"], vectors * np.nan, engine.identity()),
                      (["x", "y"], vectors, engine.identity(mii.DecodeOptions("ct-lung")))):
        with pytest.raises(errors.InvalidArgument):
            filled.add(*arguments)
    for search in ({"k": 0}, {"filter": "age <"}, {"stage": "fast"}, {"one_per": "nothing"}):
        with pytest.raises(errors.InvalidArgument):
            filled.search(vectors[:1], **search)
    with pytest.raises(errors.IoError):
        mii.Collection("/nowhere")
    with pytest.raises(errors.InvalidInput):
        mii.Collection(None)


# Locks what every reader of SQLite's write-ahead log takes a share of, until it is told to end.
LOCKER = """
import fcntl, os, sys
file = os.open(sys.argv[1], os.O_RDWR)
fcntl.lockf(file, fcntl.LOCK_EX, 5, 123)
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("ask", [lambda c: c.info, lambda c: c["a"], list, lambda c: c.vectors(["a"])],
                         ids=["info", "find", "page", "vectors"])
def test_other_threads_run_while_a_collection_waits_for_its_file(engine, tmp_path, ask):
    with mii.Collection.create(tmp_path / "cases") as cases:
        cases.add(["a"], engine.encode_texts("a"), engine.identity())
        table = next((tmp_path / "cases").rglob("items.sqlite-shm"))
        locker = subprocess.Popen([sys.executable, "-c", LOCKER, table], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert locker.stdout.readline() == b"locked\n"
        ended = []

        def end():
            ended.append(True)
            locker.communicate()

        timer = threading.Timer(0.3, end)
        timer.start()
        try:
            ask(cases)
            assert ended == [True]
        finally:
            timer.join()


def test_the_program_finds_what_python_added(filled, engine, tmp_path):
    filled.close()
    done = subprocess.run([PROGRAM, "collection", "info", tmp_path / "cases"], capture_output=True, text=True, timeout=60)
    assert "items     3" in done.stdout, done.stderr


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Forty small images of two kinds, of twenty patients."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("manifest")
    random = np.random.default_rng(3)
    y, x = np.mgrid[0:48, 0:48]
    with open(folder / "table.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "patient", "kind", "age"])
        for i in range(40):
            pattern = np.sin((x if i % 2 else y) / random.uniform(2, 4))
            Image.fromarray(np.clip(100 + 60 * pattern + random.normal(0, 20, x.shape), 0, 255).astype(np.uint8)).save(
                folder / f"{i}.png")
            table.writerow([f"{i}.png", f"p{i // 2}", "along" if i % 2 else "across", 20 + i])
    return folder / "table.csv"


def test_a_head_is_fitted_written_and_asked(engine, manifest, tmp_path):
    head = mii.fit(engine, manifest, "kind", points=["youden"])
    head.write(tmp_path / "kind.head")
    again = mii.Head.read(tmp_path / "kind.head")
    assert again.labels == ["across", "along"] and again.field == "kind" and again.kind == "logistic"
    assert "across" in again.card and again.info["field"] == "kind" and "2 labels" in repr(again)
    answers = engine.classify([manifest.parent / "0.png", manifest.parent / "1.png"], head=again)
    assert [max(a, key=a.get) for a in answers] == ["across", "along"]
    assert again.band("along", 1.0)[0] == "positive" and again.band("along", 0.0)[0] == "negative"
    with pytest.raises(ValueError):
        again.band("nothing", 0.5)


def test_a_head_of_other_vectors_is_refused(engine, manifest, procedural, rgb):
    head = mii.fit(engine, manifest, "kind", c=1)
    with mii.Engine.open(procedural("tiny-a")) as other, pytest.raises(errors.InvalidArgument, match="weights"):
        other.classify(rgb, head=head)
    with pytest.raises(errors.InvalidArgument, match="labels or a head"):
        engine.classify(rgb)


def test_a_head_with_layers_is_left_to_the_program(engine, manifest):
    told = []
    with pytest.raises(errors.Unsupported, match="mii fit"):
        mii.fit(engine, manifest, "kind", kind="mlp", progress=lambda *done: told.append(done))
    assert told == []


def test_damaged_heads_are_refused(tmp_path):
    (tmp_path / "x.head").write_bytes(b"\x10\0\0\0\0\0\0\0{\"a\": 1}        ")
    with pytest.raises(errors.CorruptWeights):
        mii.Head.read(tmp_path / "x.head")
    with pytest.raises(errors.IoError):
        mii.Head.read(tmp_path / "nothing.head")


def test_an_evaluation_tells_figures(engine, manifest, tmp_path):
    told = mii.evaluate(engine, manifest, field="kind", number="age", resamples=50, html=tmp_path / "page.html")
    assert told.failures == [] and "kind" in str(told) and (tmp_path / "page.html").exists()
    tasks = {task["name"]: task for task in told.figures["tasks"]}
    assert set(tasks) == {"kind", "age"}
    with pytest.raises(errors.InvalidArgument, match="nothing"):
        mii.evaluate(engine, manifest)
    with pytest.raises(errors.InvalidArgument, match="'size'"):
        mii.evaluate(engine, manifest, field="size")
    with pytest.raises(errors.IoError):
        mii.evaluate(engine, "/nowhere.csv", field="kind")


def test_an_evaluation_says_of_which_rows_it_is(engine, manifest):
    told = mii.evaluate(engine, manifest, field="kind", where=["kind=along,across", "patient=p1,p2,p3"], resamples=0)
    assert told.figures["data"] == f"{manifest}, kind=along,across, patient=p1,p2,p3"
    with pytest.raises(errors.InvalidArgument, match="age=20: no image has a label of any task"):
        mii.evaluate(engine, manifest, number="kind", where="age=20", resamples=0)


def test_an_evaluation_warns_of_heads_of_slightly_other_vectors_and_of_tasks_that_are_left_out(engine, manifest, tmp_path):
    of_bf16 = mii.Identity.parse(engine.identity().json().replace('"f32"', '"bf16"'))
    _core.FittedHead.of_layers("kind", ["across", "along"], False, [(np.eye(2, engine.dim + 1), "none")], [], of_bf16,
                               "the test").write(str(tmp_path / "kind.head"))
    (tmp_path / "tasks.yaml").write_text("tasks:\n  - {name: organ, field: kind, labels: {liver: [liver], spleen: [spleen]}}\n")
    with pytest.warns(UserWarning) as caught:
        told = mii.evaluate(engine, manifest, field="kind", number="patient", tasks=tmp_path / "tasks.yaml",
                            heads=[tmp_path / "kind.head"], resamples=0)
    said = [str(warning.message) for warning in caught]
    assert [task["name"] for task in told.figures["tasks"]] == ["kind"]
    assert len(said) == 3 and said[0].startswith(f"{tmp_path / 'kind.head'}: ") and "bf16" in said[0]
    assert said[1] == "task 'organ' left out: no image has one of its labels"
    assert said[2] == "task 'patient' left out: no image has a number there"


def test_a_manifest_becomes_items(engine, manifest, tmp_path):
    with mii.Collection.create(tmp_path / "cases") as cases:
        assert cases.add_manifest(engine, manifest, where="kind=along")["added"] == 20
        found = cases.search(engine.encode_images(manifest.parent / "1.png"), k=5, one_per="patient", votes=["kind"])
        assert len({hit["attributes"]["patient"] for hit in found["hits"]}) == 5
