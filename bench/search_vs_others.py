"""Times of exact search in numpy, faiss-cpu and usearch (PyPI) on the files that search-bench writes.
usage: search_vs_others.py QUERIES.npy DATA.npy"""
import statistics
import sys
import time

import numpy

queries, data = numpy.load(sys.argv[1]), numpy.load(sys.argv[2])
K = 10


def median_ms(call, runs=5):
    call()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def show(name, call):
    print(f"{name:22} one query {median_ms(lambda: call(queries[:1])):9.2f} ms, "
          f"{len(queries)} queries {median_ms(lambda: call(queries), 3):9.2f} ms", flush=True)


def in_numpy(some):
    scores = some @ data.T
    best = numpy.argpartition(-scores, K, axis=1)[:, :K]
    return numpy.take_along_axis(best, numpy.argsort(-numpy.take_along_axis(scores, best, 1), axis=1), 1)


show("numpy " + numpy.__version__, in_numpy)
try:
    import faiss
    index = faiss.IndexFlatIP(data.shape[1])
    index.add(data)
    show("faiss-cpu " + faiss.__version__, lambda some: index.search(some, K))
    print("  equal to numpy:", bool((index.search(queries, K)[1] == in_numpy(queries)).all()))
    del index
except ImportError:
    print("faiss-cpu is not there")
try:
    import usearch
    from usearch.index import search
    show("usearch " + usearch.__version__, lambda some: search(data, some, K, "ip", exact=True))
except ImportError:
    print("usearch is not there")
