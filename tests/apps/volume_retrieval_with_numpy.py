"""Every figure of `mii eval --retrieval --volumes` equals plain loops over numpy's similarities.
usage: volume_retrieval_with_numpy.py MII"""
import collections
import json
import math
import pathlib
import subprocess
import sys
import tempfile

import numpy

from retrieval_figures import KS, check, figures_of

mii = pathlib.Path(sys.argv[1]).resolve()
VOTES = 50
VOLUMES, SLICES = 20, (3, 8)
RANKINGS = ("frequency", "maximum", "sum", "late", "mean", "median", "max", "std")
# Scores that could change places by the rounding of float32 would make the test a matter of luck. A similarity is 192
# products in 32 sums of 6, which are added in halves: 11 roundings, of two scores each.
GAP = 2 * 11 * 2.0**-24
random = numpy.random.default_rng(int(sys.argv[2]) if len(sys.argv) > 2 else 4)


def run(*arguments):
    return subprocess.run([mii, *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True).stdout


def image_of(kind, phase):
    """Stripes, a disc or a ramp, with noise; slices of one volume are like each other."""
    y, x = numpy.mgrid[0:48, 0:48]
    shape = (numpy.sin(x / (2 + phase)), (x - 24) ** 2 + (y - 24) ** 2 < 60 + 200 * phase, (x + phase * y) / 48)[kind]
    grey = 90 + 60 * shape + random.normal(0, 35, (48, 48))
    return numpy.repeat(grey.clip(0, 255).astype(numpy.uint8)[:, :, None], 3, axis=2)


def unit(vector):
    return vector / numpy.linalg.norm(vector)


def pooled(vectors, how):
    if how == "mean":
        return unit(vectors.mean(0))
    if how == "median":
        return unit(numpy.median(vectors, 0))
    if how == "max":
        return unit(vectors.max(0))
    return unit(vectors.std(0))  # of any length in mii: its cosine is asked for


def order_of(scores):
    """Volumes by rising tuples of scores, which must be apart where the labels are others."""
    global nearest
    order = sorted(scores, key=lambda volume: scores[volume])
    for a, b in zip(order, order[1:]):
        if kinds[a] == kinds[b]:
            continue
        differences = [abs(x - y) for x, y in zip(scores[a], scores[b]) if x != y]
        nearest = min(nearest, differences[0] if differences else 0)
    return order


def ranking_of(how, query, others):
    """The volumes that a query finds, from the slices' vectors of each."""
    if how in ("mean", "median", "max", "std"):
        return order_of({v: (-float(pooled(query, how) @ pooled(vectors, how)),) for v, vectors in others.items()})
    votes = collections.defaultdict(list)
    for vector in query:
        similar = sorted(((float(vector @ s), v) for v, slices in others.items() for s in slices), reverse=True)
        global nearest
        if len(similar) > VOTES and similar[VOTES - 1][1] != similar[VOTES][1]:
            nearest = min(nearest, similar[VOTES - 1][0] - similar[VOTES][0])
        for similarity, volume in similar[:VOTES]:
            votes[volume].append(similarity)
    if how == "frequency":
        return order_of({v: (-len(s), -max(s)) for v, s in votes.items()})
    if how == "maximum":
        return order_of({v: (-max(s),) for v, s in votes.items()})
    if how == "sum":
        return order_of({v: (-sum(s) / len(query),) for v, s in votes.items()})
    return order_of({v: (-float((query @ others[v].T).max(1).sum()) / len(query),) for v in votes})


checked, nearest = 0, math.inf
with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    rows, kinds, patients = [], [], []
    for volume in range(VOLUMES):
        kind, phase = int(random.integers(3)), random.uniform()
        # Slices without a label count by the others' label; volumes 4 and 9 have none, 7 has two, 0 is alone.
        kinds.append("alone" if volume == 0 else "" if volume in (4, 9) else "stripes disc ramp".split()[kind])
        patients.append("" if volume == 11 else f"p{random.integers(18)}")
        for slice_ in range(random.integers(*SLICES)):
            name = f"{volume}-{slice_}.ppm"
            (folder / name).write_bytes(b"P6 48 48 255\n" + image_of(kind, phase).tobytes())
            label = "" if slice_ == 1 else "other" if (volume, slice_) == (7, 2) else kinds[volume]
            rows.append({"path": name, "split": "eval" if volume % 3 == 0 else "train", "patient": patients[volume],
                         "series": f"s{volume}", "kind": label, "source": "x"})
    kinds[7] = ""
    (folder / "loose.ppm").write_bytes(b"P6 48 48 255\n" + image_of(0, 0.5).tobytes())
    rows.append({**rows[-1], "path": "loose.ppm", "series": "", "patient": "nobody"})  # of no volume
    columns = list(rows[0])
    (folder / "t.csv").write_text("\n".join(",".join(row[c] for c in columns) for row in [dict(zip(columns, columns)), *rows]) + "\n")
    run("embed", "--manifest", folder / "t.csv", "--output", folder / "v.npy", "--precision", "f32", "--quiet")
    vectors = numpy.load(folder / "v.npy").astype("f8")
    slices = {v: vectors[[i for i, row in enumerate(rows) if row["series"] == f"s{v}"]] for v in range(VOLUMES)}

    for split in (False, True):
        index = [v for v in slices if not split or v % 3]
        queries = [v for v in slices if kinds[v] and (not split or v % 3 == 0)]
        where = ["--where", "split=eval", "--neighbours-from", "split=train"] if split else []
        run("eval", "--retrieval", "--volumes", "series", "--field", "kind", "-k", ",".join(map(str, KS)), folder / "t.csv", *where,
            "--precision", "f32", "--resamples", "0", "--json", folder / "r.json", "--quiet")
        task = json.loads((folder / "r.json").read_text())["tasks"][0]
        assert (task["volumes"], task["indexed"]) == (len(queries), len(index)), task
        assert task["slices"] == sum(len(slices[v]) for v in queries)
        assert task["indexed_slices"] == sum(len(slices[v]) for v in index) > VOTES
        searches = {search["name"]: search for search in task["searches"]}
        assert list(searches) == [*RANKINGS, "mean, 32x32 pixels"]
        for how in RANKINGS:
            expected = []
            for q in queries:
                others = {v: slices[v] for v in index if v != q and (patients[v] != patients[q] or not patients[q])}
                relevant = sum(kinds[v] == kinds[q] for v in others)
                expected.append(figures_of(kinds[q], [kinds[v] for v in ranking_of(how, slices[q], others)], relevant))
            checked += check(searches[how], expected, [kinds[q] for q in queries])
        several = [] if split else ["1 volumes are left out: their slices have several labels"]
        assert task["notes"] == several + [f"{expected.count(None)} volumes are left out: no other patient's volume in the "
                                           "index has their label"], task["notes"]
        one = json.loads((folder / "r.json").read_text())["tasks"][0]["searches"][3]
        run("eval", "--retrieval", "--volumes", "series", "--rank", "late", "--field", "kind", "-k", ",".join(map(str, KS)), folder / "t.csv",
            *where, "--precision", "f32", "--resamples", "0", "--json", folder / "r.json", "--quiet")
        assert json.loads((folder / "r.json").read_text())["tasks"][0]["searches"][0] == one
    assert nearest > GAP, f"two scores are {nearest} apart: take other images"
print(f"{checked} figures equal numpy's; no two scores are nearer than {nearest:.1e}")
