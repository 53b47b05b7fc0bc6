#!/bin/sh
# Trains models/starter from a manifest of images: from nothing, then more gently, and writes OUT/starter.
# After a stop the same command goes on. See docs/models/starter.md.
#   training/starter.sh MANIFEST CLIP OUT [option of `mii train`, such as --where]...
# CLIP is the folder of CLIP's tokenizer. EPOCHS and GENTLE_EPOCHS, 18 and 14, may be set; so may MII, the program.
# shellcheck disable=SC2046  # resume says one word or none
set -e
if [ $# -lt 3 ]; then sed -n 's/^#   //p' "$0" >&2; exit 2; fi
here=$(dirname "$0")
mii=${MII:-$here/../build/release/mii}
manifest=$1 clip=$2 out=$3
shift 3

resume() { if [ -d "$1/checkpoint" ]; then echo --resume; fi; }

"$mii" train --manifest "$manifest" --config "$here/starter.yaml" --tokenizer "$clip" --trim-vocabulary "$@" \
  --out "$out/first" --epochs "${EPOCHS:-18}" --start 0.5 --balance 0.4 --calibrate $(resume "$out/first")
"$mii" train --pack "$out/first/pack" --model "$out/first/last" \
  --out "$out/gentle" --epochs "${GENTLE_EPOCHS:-14}" --learning-rate 0.0005 --augmentation 0.5 --balance 0.3 \
  --calibrate $(resume "$out/gentle")
"$mii" convert "$out/gentle/last" "$out/starter" --dtype bf16
