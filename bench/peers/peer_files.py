"""OpenVINO from JPEG files to vectors, in a process of its own.
usage: peer_files.py PRECISION BATCH TOWER.onnx LIST VECTORS.npy THREADS

As its users tune it: an asynchronous queue over THREADS streams, while THREADS threads of Pillow decode and resize. The time is of
the whole process: interpreter, model, files.
"""
import concurrent.futures
import os
import pathlib
import sys

import numpy
import openvino

from common import pixels


def main():
    precision, batch, tower, files, vectors, threads = sys.argv[1:]
    batch, threads = int(batch), int(threads)
    files = pathlib.Path(files).read_text().splitlines()
    model = openvino.Core().read_model(tower)
    height, width = (d.get_length() for d in list(model.input(0).partial_shape)[2:])
    model.reshape({0: [batch, 3, height, width]})
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": precision, "NUM_STREAMS": threads,
                                                            "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "THROUGHPUT"})
    results = {}
    queue = openvino.AsyncInferQueue(compiled, 2 * threads)
    queue.set_callback(lambda request, at: results.__setitem__(at, numpy.array(request.get_output_tensor(0).data)))

    def start(images):
        filled = images + [images[-1]] * (batch - len(images))  # shapes are fixed: the last batch is filled up
        queue.start_async([numpy.stack(filled)], len(results_of))
        results_of.append(len(images))

    results_of, images = [], []
    with concurrent.futures.ThreadPoolExecutor(threads) as readers:
        for image in readers.map(lambda file: pixels(file, width, height), files):
            images.append(image)
            if len(images) == batch:
                start(images)
                images = []
        if images:
            start(images)
        queue.wait_all()
    numpy.save(vectors, numpy.concatenate([results[i][:n] for i, n in enumerate(results_of)]))
    os._exit(0)  # the library takes long to end


main()
