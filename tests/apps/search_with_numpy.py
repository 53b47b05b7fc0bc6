"""Every answer of `mii search` equals brute force in numpy. usage: search_with_numpy.py MII"""
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy

mii = pathlib.Path(sys.argv[1]).resolve()
IDENTITY = {"weights": "w", "config": "c", "tokenizer": "t", "precision": "f32", "preprocessing": "p", "version": "1"}
ROWS, DIM, K = 30_000, 96, 25
# Two sums of DIM products of unit vectors, each within DIM * 2^-24 of the true one.
TOLERANCE = 2 * DIM * 2.0**-24


def write_vectors(path, vectors, names):
    numpy.save(path, vectors)
    lines = ["row\tinput\tbytes\tmodified"] + [f"{row}\t{name}\t\t" for row, name in enumerate(names)]
    pathlib.Path(f"{path}.index.tsv").write_text("\n".join(lines) + "\n")
    pathlib.Path(f"{path}.identity.json").write_text(json.dumps(IDENTITY))


def run(*arguments):
    return subprocess.run([mii, *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def unit(vectors):
    return (vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)).astype("<f4")


random = numpy.random.default_rng(1)
centres = random.normal(size=(30, DIM))
vectors = unit(centres[random.integers(30, size=ROWS)] + 0.6 * random.normal(size=(ROWS, DIM)))
queries = unit(centres[:6] + 0.6 * random.normal(size=(6, DIM)))
names = [f"item {row}" for row in range(ROWS)]
ages = random.integers(100, size=ROWS)
sites = random.integers(5, size=ROWS)

checked = 0
with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    write_vectors(folder / "v.npy", vectors, names)
    write_vectors(folder / "q.npy", queries, [f"query {row}" for row in range(len(queries))])
    rows = [f"{name},{age},S{site}" for name, age, site in zip(names, ages, sites)]
    (folder / "t.csv").write_text("\n".join(["id,age,site", *rows]) + "\n")
    for store in ("f32", "bf16"):
        collection = folder / store
        run("collection", "create", collection, "--store", store)
        run("collection", "add", collection, "--vectors", folder / "v.npy", "--manifest", folder / "t.csv", "--quiet")
        stored = vectors
        if store == "bf16":  # to nearest, ties to even
            bits = vectors.view("<u4").astype(numpy.uint64)
            stored = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16).astype("<u4").view("<f4")
        for filter_text, allowed in (("", numpy.ones(ROWS, bool)),
                                     ("age < 30 and site in ('S1', 'S4')", (ages < 30) & numpy.isin(sites, (1, 4))),
                                     ("not (age >= 1 or site != 'S0')", (ages < 1) & (sites == 0))):
            for row, query in enumerate(queries):
                exact = stored.astype("f8") @ query.astype("f8")
                for stage in ("auto", "exact", "int8"):
                    answer = json.loads(run("search", collection, "--vector", f"{folder}/q.npy#{row}", "-k", K,
                                            "--filter", filter_text, "--stage", stage, "--json"))
                    assert answer["evidence"]["searched"] == allowed.sum()
                    order = numpy.argsort(-numpy.where(allowed, exact, -9), kind="stable")[:min(K, allowed.sum())]
                    hits = answer["hits"]
                    assert len(hits) == len(order), (len(hits), len(order))
                    for hit, expected in zip(hits, order):
                        found = int(hit["id"].split()[1])
                        # Another row only where the two are equal as far as float32 can tell.
                        assert found == expected or abs(exact[found] - exact[expected]) <= TOLERANCE, hit
                        assert abs(hit["similarity"] - exact[found]) <= TOLERANCE, hit
                        assert allowed[found] and hit["attributes"]["age"] == str(ages[found]), hit
                        checked += 1
print(f"{checked} hits equal to brute force in numpy")
assert checked > 2000
