"""Vectors, scores and tokens, and what an engine does when it is closed, forked, interrupted or asked by several threads."""
import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import medimageinsight as mii


def test_vectors_are_rows_of_length_one_without_a_copy(engine, images):
    vectors = engine.encode_images([images / "rgb.png", str(images / "grey.jpg")])
    assert vectors.shape == (2, engine.dim) and vectors.dtype == np.float32
    assert vectors.flags.c_contiguous and vectors.flags.writeable and not vectors.flags.owndata
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_a_vector_does_not_depend_on_its_neighbours(engine, images):
    names = ["rgb.png", "grey.png", "cmyk.jpg", "lzw.tiff", "lossless.webp"]
    together = engine.encode_images([images / name for name in names])
    alone = np.concatenate([engine.encode_images(images / name) for name in names])
    np.testing.assert_allclose(together, alone, atol=2e-6)


def test_texts_have_vectors_and_scores_are_their_softmax(engine, images):
    labels = ["X-Ray", "Ultrasound", "Fundus Photography"]
    vectors, texts = engine.encode_images(images / "rgb.png"), engine.encode_texts(labels)
    logits = engine.logit_scale * (vectors @ texts.T)[0].astype(np.float64)
    expected = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    scores = engine.classify(images / "rgb.png", labels)[0]
    assert list(scores) == [labels[k] for k in np.argsort(-expected)]
    np.testing.assert_allclose([scores[label] for label in labels], expected, atol=1e-5)
    multilabel = engine.classify(images / "rgb.png", labels, multilabel=True)[0]
    np.testing.assert_allclose([multilabel[label] for label in labels], 1 / (1 + np.exp(-logits)), atol=1e-5)


def test_a_label_in_another_language_is_scored_by_its_prompt(engine):
    head = engine.zero_shot_head(["胸部X光", "Ultrasound"])
    assert head.prompts[0] != "胸部X光" and head.prompts[1] == "Ultrasound"
    assert engine.zero_shot_head(["胸部X光", "Ultrasound"], as_written=True).prompts[0] == "胸部X光"


def test_templates_stand_around_labels(engine):
    head = engine.zero_shot_head(["lung"], templates=["an X-ray of the {}"])
    np.testing.assert_allclose(head.label_vectors, engine.encode_texts("an X-ray of the lung"), atol=1e-6)


def test_tokens_lead_to_the_score_that_their_map_explains(engine, images):
    tokens = engine.encode_image_tokens(images / "rgb.png")
    assert tokens.shape == (4, 4, 384) and tokens.dtype == np.float32
    directions = engine.encode_texts(["lung", "liver"])
    maps, constants, scores = engine.explain(images / "rgb.png", directions)
    assert maps.shape == (2, 4, 4)
    np.testing.assert_allclose(constants + maps.sum((1, 2)), scores, atol=1e-5)
    np.testing.assert_allclose(scores, engine.encode_images(images / "rgb.png")[0] @ directions.T, atol=1e-5)


def test_maps_by_gradients_are_finer_and_score_the_same(engine, images):
    directions = engine.encode_texts(["lung", "liver"])
    _, _, scores = engine.explain(images / "rgb.png", directions)
    maps, constants, found = engine.explain(images / "rgb.png", directions, method="gradient")
    assert maps.shape == (2, 8, 8) and np.isfinite(maps).all() and maps.any() and not constants.any()
    np.testing.assert_allclose(found, scores, atol=1e-5)
    with pytest.raises(mii.errors.InvalidArgument, match="method: 'rise', expected"):
        engine.explain(images / "rgb.png", directions, method="rise")


def test_no_images_and_no_texts_are_no_rows(engine):
    assert engine.encode_images([]).shape == (0, engine.dim)
    assert engine.encode_images(iter([])).shape == (0, engine.dim)
    assert engine.encode_texts([]).shape == (0, engine.dim)


def test_representations_tell(engine):
    assert "starter" in repr(engine) and "128 x 128" in repr(engine) and "f32" in repr(engine)
    assert repr(engine.identity()).startswith("Identity(")
    assert "2 labels" in repr(engine.zero_shot_head(["a", "b"]))


def test_identity_is_that_of_the_files(engine):
    identity = engine.identity(mii.DecodeOptions("ct-lung"))
    assert len(identity.weights) == 64 and identity.preprocessing == "profile ct-lung"
    assert mii.Identity.parse(identity.json()) == identity
    assert identity.differences_from(engine.identity()) != []


def test_a_closed_engine_says_so():
    engine = mii.Engine.open(mii.starter_path())
    with engine:
        engine.encode_texts("a")
    assert engine.closed and "closed" in repr(engine)
    for call in (lambda: engine.encode_texts("a"), lambda: engine.encode_images(np.zeros((4, 4), np.uint8)),
                 lambda: engine.identity(), lambda: engine.zero_shot_head(["a"])):
        with pytest.raises(mii.errors.InvalidArgument, match="closed"):
            call()


def test_an_engine_is_not_pickled(engine):
    with pytest.raises(TypeError, match="Engine"):
        pickle.dumps(engine)


@pytest.mark.parametrize("arguments, error", [
    ({"folder": "/nowhere"}, mii.errors.InvalidModel),
    ({"folder": mii.starter_path(), "precision": "f99"}, mii.errors.InvalidArgument),
    ({"folder": mii.starter_path(), "backend": "abacus"}, mii.errors.Error),
    ({"folder": mii.starter_path(), "threads": -1}, mii.errors.InvalidArgument),
    ({"folder": None}, mii.errors.InvalidInput),
])
def test_what_cannot_be_opened_is_refused(arguments, error):
    with pytest.raises(error):
        mii.Engine.open(**arguments)


def test_a_forked_process_gets_an_error_and_does_not_hang(engine):
    engine.encode_texts("before the fork")
    process = os.fork()
    if process == 0:
        status = 1
        try:
            engine.encode_texts("after the fork")
        except mii.errors.Unsupported as error:
            status = 0 if "forked" in str(error) else 2
        engine.close()  # ends nothing that the parent has
        os._exit(status)
    deadline = time.monotonic() + 20
    while (ended := os.waitpid(process, os.WNOHANG))[0] == 0:
        if time.monotonic() > deadline:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            pytest.fail("the forked process hangs")
        time.sleep(0.01)
    assert os.waitstatus_to_exitcode(ended[1]) == 0
    engine.encode_texts("still there")


def test_a_subinterpreter_is_refused():
    program = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
import medimageinsight
other = interpreters.create()
code = '''
try:
    import medimageinsight
    print("imported")
except ImportError as error:
    print("refused:", error)
'''
interpreters.run_string(other, code)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "refused" in done.stdout


def test_ctrl_c_ends_a_long_call(engine, rgb):
    many = [rgb] * 20_000
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    timer.start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        engine.encode_images(many)
    assert time.monotonic() - start < 5
    assert engine.encode_images(rgb).shape == (1, engine.dim)


def test_progress_is_told_and_what_it_raises_comes_back(engine, rgb):
    told = []
    engine.encode_images([rgb] * 40, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (40, 40) and [done for done, _ in told] == sorted(done for done, _ in told)

    class Enough(Exception):
        pass

    def stop(done, total):
        raise Enough

    with pytest.raises(Enough):
        engine.encode_images([rgb] * 40, progress=stop)


def test_other_threads_run_while_one_computes(engine, rgb):
    counted, done = [0], threading.Event()

    def count():
        while not done.is_set():
            counted[0] += 1
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    start = time.monotonic()
    engine.encode_images([rgb] * 300)
    seconds = time.monotonic() - start
    done.set()
    thread.join()
    # A GIL that is held lets nobody count. One that is released does not promise a share of the cores.
    assert counted[0] > min(20, 50 * seconds)


def test_several_threads_get_the_same_vectors(engine, images):
    names = ["rgb.png", "grey.png", "cmyk.jpg", "palette.png"]
    expected = {name: engine.encode_images(images / name) for name in names}
    wrong = []

    def ask(name):
        for _ in range(20):
            if not np.array_equal(engine.encode_images(images / name), expected[name]):
                wrong.append(name)

    threads = [threading.Thread(target=ask, args=[name]) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_memory_stays_what_it_was(procedural):
    engine = mii.Engine.open(procedural("tiny-a"), precision="f32", threads=1)
    image = np.zeros((96, 96, 3), np.uint8)

    def resident_kb() -> int:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024

    def calls(n):
        for _ in range(n):
            engine.encode_images(image)
            engine.encode_texts("lung")
            with pytest.raises(mii.errors.InvalidImage):
                engine.encode_images(b"no image")

    calls(300)
    before = resident_kb()
    calls(3400)  # 10 200 calls: 200 bytes lost in each would be 2 MB
    assert resident_kb() - before < 2000
