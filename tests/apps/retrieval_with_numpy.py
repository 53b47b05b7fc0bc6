"""Every figure of `mii eval --retrieval` equals plain loops over numpy's similarities. usage: retrieval_with_numpy.py MII"""
import json
import math
import pathlib
import subprocess
import sys
import tempfile

import numpy

from retrieval_figures import KS, check, figures_of

mii = pathlib.Path(sys.argv[1]).resolve()
random = numpy.random.default_rng(2)


def run(*arguments):
    return subprocess.run([mii, *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True).stdout


def image_of(kind):
    """Stripes, a disc or a ramp, with noise: kinds that a model often tells apart."""
    y, x = numpy.mgrid[0:48, 0:48]
    shape = (numpy.sin(x / random.uniform(2, 4)), (x - 24) ** 2 + (y - 24) ** 2 < random.uniform(60, 300), (x + y) / 48)[kind]
    grey = 90 + 60 * shape + random.normal(0, 25, (48, 48))
    return numpy.repeat(grey.clip(0, 255).astype(numpy.uint8)[:, :, None], 3, axis=2)


checked = 0
with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    rows = []
    for i in range(70):
        kind = int(random.integers(3))
        (folder / f"{i}.ppm").write_bytes(b"P6 48 48 255\n" + image_of(kind).tobytes())
        rows.append({"path": f"{i}.ppm", "split": "eval" if i % 3 == 0 else "train", "patient": f"p{random.integers(25)}",
                     "kind": "" if i % 11 == 5 else "stripes disc ramp".split()[kind], "source": "s"})
    rows[0]["kind"] = "alone"  # nothing is like it
    columns = list(rows[0])

    def write(rows):
        (folder / "t.csv").write_text("\n".join(",".join(row[c] for c in columns) for row in [dict(zip(columns, columns)), *rows]) + "\n")

    write(rows)
    run("embed", "--manifest", folder / "t.csv", "--output", folder / "v.npy", "--precision", "f32", "--quiet")
    vectors = numpy.load(folder / "v.npy").astype("f8")
    similar = vectors @ vectors.T
    # Images whose order by similarity could hang on the rounding of float32 are left out: sums of 192 products.
    kept = []
    for i in range(len(rows)):
        if all(abs(similar[q, i] - similar[q, r]) > 2 * 192 * 2.0**-24 for q in [*kept, i] for r in kept if q not in (i, r)):
            kept.append(i)
    rows, similar = [rows[i] for i in kept], similar[numpy.ix_(kept, kept)]
    assert len(rows) > 40
    write(rows)
    for split in (True, False):
        queries = [i for i, row in enumerate(rows) if row["kind"] and (not split or row["split"] == "eval")]
        index = [i for i, row in enumerate(rows) if not split or row["split"] == "train"]
        expected = []
        for q in queries:
            others = [i for i in index if rows[i]["patient"] != rows[q]["patient"]]
            others.sort(key=lambda i: -similar[q, i])
            ranking, truth = [rows[i]["kind"] for i in others], rows[q]["kind"]
            expected.append(figures_of(truth, ranking, ranking.count(truth)))
        where = ["--where", "split=eval", "--neighbours-from", "split=train"] if split else []
        run("eval", "--retrieval", "--field", "kind", "-k", ",".join(map(str, KS)), folder / "t.csv", *where,
            "--precision", "f32", "--resamples", "0", "--json", folder / "r.json", "--quiet")
        task = json.loads((folder / "r.json").read_text())["tasks"][0]
        assert (task["images"], task["indexed"]) == (len(queries), len(index))
        assert task["notes"] == [f"{expected.count(None)} images are left out: no other patient's image in the index has their label"]
        search = task["searches"][0]
        assert search["name"] == "embeddings"
        truths = [rows[q]["kind"] for q in queries]
        checked += check(search, expected, truths)
        for label in search["labels"]:
            own = [figures for figures, truth in zip(expected, truths) if truth == label["label"] and figures]
            for at in label["at"]:
                value = at["precision"]["value"]
                assert value is None if not own else math.isclose(value, sum(f["precision", at["k"]] for f in own) / len(own), rel_tol=1e-12, abs_tol=1e-12)
                checked += 1
print(f"{checked} figures equal numpy's")
