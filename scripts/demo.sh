#!/bin/bash
# The main job on a model of the published size. Its weights are made by a formula, not trained.
set -euo pipefail
cd "$(dirname "$0")/.."
golden=tests/data/golden
model=build/demo-model

if [[ ! -f $model/vision_model/medimageinsigt-v1.0.0.pt ]]; then
  echo "making a model of the published size in $model (2.5 GB) ..."
  build/release/mii-procedural $golden/full/config.yaml $golden/full/language_model/clip_tokenizer_4.16.2 $model
fi
[[ "${1:-}" == --model-only ]] && exit 0

run() { echo "\$ $*"; "$@"; }
run build/release/mii info $model
run build/release/mii classify --model $model $golden/synthetic/baseline.jpg $golden/synthetic/rgba.png \
  --labels X-Ray Ultrasound "Computed Tomography" "Magnetic Resonance Imaging"
run build/release/mii embed --model $model --images $golden/synthetic/{cmyk.jpg,grey16.png,lzw.tiff} --output build/demo.npy
echo "random weights: the scores mean nothing"
