#!/bin/sh
# Trains models/starter from a manifest of images: from nothing, then thrice more gently, in the end with pictures as
# scanners' screens show them (screens.py), and writes OUT/starter. After a stop the same command goes on. See
# docs/models/starter.md.
#   training/starter.sh MANIFEST CLIP OUT [option of `mii train`, such as --where]...
# CLIP is the folder of CLIP's tokenizer. EPOCHS, GENTLE_EPOCHS, FALLING_EPOCHS and END_EPOCHS, 15, 9, 3 and 5, may be
# set; so may MII, the program, and PYTHON, which needs Pillow and NumPy (python3-pil, python3-numpy).
# shellcheck disable=SC2046  # resume says one word or none
set -e
if [ $# -lt 3 ]; then sed -n 's/^#   //p' "$0" >&2; exit 2; fi
here=$(dirname "$0")
mii=${MII:-$here/../build/release/mii}
manifest=$1 clip=$2 out=$3
shift 3

resume() { if [ -d "$1/checkpoint" ]; then echo --resume; fi; }

if [ ! -f "$out/manifest.tsv" ]; then "${PYTHON:-python3}" "$here/screens.py" "$manifest" "$out"; fi
"$mii" train --manifest "$manifest" --config "$here/starter.yaml" --tokenizer "$clip" --trim-vocabulary "$@" \
  --out "$out/first" --epochs "${EPOCHS:-15}" --start 0.5 --balance 0.4 --calibrate $(resume "$out/first")
"$mii" train --pack "$out/first/pack" --model "$out/first/last" \
  --out "$out/gentle" --epochs "${GENTLE_EPOCHS:-9}" --learning-rate 0.0005 --augmentation 0.5 --balance 0.3 \
  --calibrate $(resume "$out/gentle")
"$mii" train --pack "$out/first/pack" --model "$out/gentle/last" \
  --out "$out/falling" --epochs "${FALLING_EPOCHS:-3}" --learning-rate 0.0003 --augmentation 0.4 --end 0.4 \
  --balance 0.3 --calibrate $(resume "$out/falling")
"$mii" train --manifest "$out/manifest.tsv" --model "$out/falling/last" --captions "$here/captions.yaml" "$@" \
  --out "$out/end" --epochs "${END_EPOCHS:-5}" --learning-rate 0.0003 --augmentation 0.2 --end 0.3 --balance 0.3 \
  --calibrate $(resume "$out/end")
"$mii" convert "$out/end/last" "$out/starter" --dtype bf16
