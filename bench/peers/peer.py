"""One peer in a process of its own: loads the image tower, computes each image alone, prints one line of JSON.
usage: peer.py PEER FILE IMAGES.npy RUNS THREADS [VECTORS.npy]

PEER: openvino-f32, openvino-bf16, openvino-int8, ..., onnxruntime-f32, onnxruntime-int8; FILE: what prepare.py wrote for it.
IMAGES: [n, 3, height, width], as the tower takes them. The times are of the first image alone, after one run that is not counted;
the others are computed only where their vectors are asked for.
"""
import json
import os
import sys
import time

import numpy


def openvino_tower(peer, file, shape, threads):
    import openvino
    model = openvino.Core().read_model(file)
    model.reshape({0: list(shape)})
    options = {"INFERENCE_PRECISION_HINT": "bf16" if "bf16" in peer else "f32", "INFERENCE_NUM_THREADS": threads,
               "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    if peer == "openvino-int8":
        options["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = 128
    request = openvino.Core().compile_model(model, "CPU", options).create_infer_request()

    def tower(image):
        request.infer([image])
        return numpy.array(request.get_output_tensor(0).data, numpy.float32)
    return tower


def onnxruntime_tower(file, threads):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda image: session.run(None, {name: image})[0]


def peak_memory_mb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1e3 for line in status if line.startswith("VmHWM"))


def seconds_of(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main():
    peer, file, images, runs, threads, *vectors = sys.argv[1:]
    images = numpy.load(images)
    one = numpy.ascontiguousarray(images[:1])
    start = time.perf_counter()
    if peer.startswith("openvino"):
        tower = openvino_tower(peer, file, one.shape, int(threads))
    else:
        tower = onnxruntime_tower(file, int(threads))
    tower(one)
    first = time.perf_counter() - start
    seconds = [seconds_of(lambda: tower(one)) for _ in range(int(runs))]
    if vectors:
        numpy.save(vectors[0], numpy.concatenate([tower(numpy.ascontiguousarray(images[i:i + 1])) for i in range(len(images))]))
    print(json.dumps({"seconds": seconds, "first": first, "peak_memory_mb": peak_memory_mb()}), flush=True)
    os._exit(0)  # some libraries take seconds to end


main()
