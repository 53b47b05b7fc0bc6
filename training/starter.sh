#!/bin/sh
# Trains models/starter from a manifest of images and writes OUT/starter: from scratch, then two gentler parts, with
# images that look like scanners' screens (screens.py) in addition to the manifest's. After a stop, the same command
# resumes. See docs/models/starter.md.
#   training/starter.sh MANIFEST CLIP OUT [option of `mii train`, such as --where]...
# CLIP is the folder of CLIP's tokenizer. With DEVICE=cuda training is three times as long as on a CPU, where the
# screen images come in the last part only. EPOCHS, GENTLE_EPOCHS and FALLING_EPOCHS may be set, LOADERS too, the
# threads that augment for a CUDA device; MII, the program; and PYTHON, which needs Pillow and NumPy (python3-pil,
# python3-numpy).
# shellcheck disable=SC2086  # device and pace are several words
set -e
if [ $# -lt 3 ]; then sed -n 's/^#   //p' "$0" >&2; exit 2; fi
here=$(dirname "$0")
mii=${MII:-$here/../build/release/mii}
manifest=$1 clip=$2 out=$3
shift 3

case ${DEVICE:-cpu} in
cuda)
  device="--device cuda --loaders ${LOADERS:-$(nproc)} --validate-every 15"
  beginning=$out/manifest.tsv epochs=${EPOCHS:-47} gentle=${GENTLE_EPOCHS:-45} falling=${FALLING_EPOCHS:-3}
  pace="--batch 256 --learning-rate 0.0008" gentle_end=0.2
  ;;
cpu)
  device="--device cpu"
  beginning=$manifest epochs=${EPOCHS:-15} gentle=${GENTLE_EPOCHS:-9} falling=${FALLING_EPOCHS:-5}
  pace="--batch 64 --learning-rate 0.0005" gentle_end=1
  ;;
*)
  echo "DEVICE is cpu or cuda, not $DEVICE" >&2
  exit 2
  ;;
esac

# train PART OPTION...: trains OUT/PART, or resumes it.
train() {
  part=$out/$1
  shift
  if [ -d "$part/checkpoint" ]; then set -- "$@" --resume; fi
  "$mii" train --out "$part" --calibrate $device "$@"
}

if [ ! -f "$out/manifest.tsv" ]; then "${PYTHON:-python3}" "$here/screens.py" "$manifest" "$out"; fi
train first --manifest "$beginning" --config "$here/starter.yaml" --tokenizer "$clip" --trim-vocabulary "$@" \
  --epochs "$epochs" $pace --start 0.5 --balance 0.4
train gentle --pack "$out/first/pack" --model "$out/first/last" \
  --epochs "$gentle" $pace --augmentation 0.5 --end $gentle_end --balance 0.3
train falling --manifest "$out/manifest.tsv" --model "$out/gentle/last" --captions "$here/captions.yaml" "$@" \
  --epochs "$falling" --learning-rate 0.0003 --augmentation 0.4 --end 0.4 --balance 0.3
"$mii" convert "$out/falling/last" "$out/starter" --dtype bf16
