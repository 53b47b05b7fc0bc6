#!/bin/bash
# demo.sh                the main jobs with the built-in model, on real pictures
# demo.sh --model-only   only makes build/demo-model, a model of the published size with weights by formula
set -euo pipefail
cd "$(dirname "$0")/.."
golden=tests/data/golden
published=build/demo-model
pictures=build/demo-pictures

if [[ "${1:-}" == --model-only ]]; then
  [[ -f $published/vision_model/medimageinsigt-v1.0.0.pt ]] ||
    build/release/mii-procedural $golden/full/config.yaml $golden/full/language_model/clip_tokenizer_4.16.2 $published
  exit 0
fi

# Real pictures that anyone may use come with a Debian package; it is unpacked, not installed.
if [[ ! -d $pictures ]]; then
  echo "getting pictures (20 MB) ..."
  mkdir -p build/demo-package
  if (cd build/demo-package && apt-get download -qq python3-skimage 2>/dev/null && dpkg -x python3-skimage_*.deb .); then
    mkdir -p $pictures
    data=build/demo-package/usr/lib/python3/dist-packages/skimage/data
    cp $data/retina.jpg $data/microaneurysms.png $data/ihc.png $data/cell.png $pictures
  else
    echo "no pictures: the Debian package python3-skimage cannot be had here; taking drawn ones, whose answers mean nothing" >&2
    pictures=$golden/synthetic
  fi
fi

run() { printf '$'; printf ' %q' "$@"; echo; "$@"; }
run build/release/mii info
run build/release/mii classify $pictures --labels X-Ray Ultrasound "Computed Tomography" "Magnetic Resonance Imaging" \
  "Fundus Photography" Histopathology Microscopy Dermoscopy
run build/release/mii embed --images $pictures --output build/demo.npy
echo "The built-in model is small and for demonstration; what it can and cannot do: docs/models/starter.md"
