#!/bin/bash
# demo.sh                the main jobs with the built-in model, on real images
# demo.sh --model-only   only makes build/demo-model, a model of the published size with weights by formula
set -euo pipefail
cd "$(dirname "$0")/.."
golden=tests/data/golden
published=build/demo-model
images=build/demo-images
dicom=build/demo-dicom
nifti=build/demo-nifti

if [[ "${1:-}" == --model-only ]]; then
  [[ -f $published/vision_model/medimageinsigt-v1.0.0.pt ]] ||
    build/release/mii-procedural $golden/full/config.yaml $golden/full/language_model/clip_tokenizer_4.16.2 $published
  exit 0
fi

# Real files that anyone may use come with Debian packages; these are unpacked, not installed.
unpack() {
  mkdir -p build/demo-package
  (cd build/demo-package && apt-get download -qq "$1" 2>/dev/null && dpkg -x "$1"_*.deb .)
}
packages=build/demo-package/usr/lib/python3/dist-packages
if [[ ! -d $images ]]; then
  echo "getting images (20 MB) ..."
  if unpack python3-skimage; then
    mkdir -p $images
    data=$packages/skimage/data
    cp $data/retina.jpg $data/ihc.png $images
  else
    echo "no images: the Debian package python3-skimage is not available here; using drawn ones, whose answers mean nothing" >&2
    images=$golden/synthetic
  fi
fi
if [[ ! -d $dicom ]]; then
  echo "getting DICOM files (1 MB) ..."
  if unpack python3-pydicom; then
    mkdir -p $dicom
    files=$packages/pydicom/data/test_files
    cp $files/CT_small.dcm $files/MR_small.dcm $files/693_J2KI.dcm $dicom
  else
    echo "no DICOM files: the Debian package python3-pydicom is not available here" >&2
  fi
fi
if [[ ! -d $nifti ]]; then
  echo "getting a NIfTI volume (16 MB) ..."
  if unpack mricron-data; then
    mkdir -p $nifti
    cp build/demo-package/usr/share/mricron/templates/ch2.nii.gz $nifti
  else
    echo "no NIfTI volume: the Debian package mricron-data is not available here" >&2
  fi
fi

run() { printf '$'; printf ' %q' "$@"; echo; "$@"; }
run build/release/mii info
run build/release/mii classify $images --labels X-Ray Ultrasound "Computed Tomography" "Magnetic Resonance Imaging" \
  "Fundus Photography" Histopathology Microscopy Dermoscopy
medical=()
if [[ -d $dicom ]]; then medical+=("$dicom"/{CT_small,693_J2KI,MR_small}.dcm); fi
if [[ -d $nifti ]]; then medical+=("$nifti/ch2.nii.gz"); fi
if [[ ${#medical[@]} -gt 0 ]]; then
  run build/release/mii inspect "${medical[@]}"
  run build/release/mii classify "${medical[@]}" --labels X-Ray Ultrasound "Computed Tomography" "Magnetic Resonance Imaging" \
    --provenance
fi
run build/release/mii embed --images $images --output build/demo.npy
rm -rf build/demo-collection
run build/release/mii collection create build/demo-collection
run build/release/mii collection add build/demo-collection --images $images "${medical[@]}"
run build/release/mii search build/demo-collection --text "fundus photography of the eye" -k 2
if [[ -d $dicom && $images == build/* ]]; then
  echo "The built-in model gets one wrong: ihc.png is histopathology."
fi
echo "The built-in model is small and for demonstration; what it can and cannot do: docs/models/starter.md"
echo "To look around in a browser: build/release/mii serve, then open http://127.0.0.1:8000/ (docs/workbench.md)"
