"""Writes what each peer computes: the image tower in float32 and in 8 bits, in the forms that the peers recommend.
usage: prepare.py TOWER.onnx IMAGES.npy FOLDER        IMAGES: [n, 3, height, width], to calibrate with

f32.xml             OpenVINO's own form
int8.xml            its weights in 8 bits, the other operands rounded while it computes: near lossless
ptq.xml             all operands in 8 bits by NNCF's calibration, preset for transformers
onnxruntime.onnx    ONNX Runtime's dynamic quantisation, a scale for each output
"""
import pathlib
import sys

import numpy


def for_openvino(tower, images, folder):
    import nncf
    import openvino

    def save(model, name):
        openvino.save_model(model, folder / name, compress_to_fp16=False)

    core = openvino.Core()
    save(core.read_model(tower), "f32.xml")
    save(nncf.compress_weights(core.read_model(tower), mode=nncf.CompressWeightsMode.INT8_SYM), "int8.xml")
    model = core.read_model(tower)
    model.reshape({0: [1, *images.shape[1:]]})
    data = nncf.Dataset([images[i:i + 1] for i in range(len(images))])
    save(nncf.quantize(model, data, subset_size=len(images), model_type=nncf.ModelType.TRANSFORMER,
                       preset=nncf.QuantizationPreset.MIXED), "ptq.xml")


def for_onnxruntime(tower, folder):
    import onnxruntime.quantization as quantization
    quantization.quantize_dynamic(tower, folder / "onnxruntime.onnx", weight_type=quantization.QuantType.QInt8,
                                  per_channel=True, use_external_data_format=True,
                                  op_types_to_quantize=["MatMul", "Gemm"])


def main():
    tower, images, folder = sys.argv[1], numpy.load(sys.argv[2]), pathlib.Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    for_openvino(tower, images, folder)
    for_onnxruntime(tower, folder)


main()
