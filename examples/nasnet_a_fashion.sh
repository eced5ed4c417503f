#!/usr/bin/env bash
# NASNet-A, small (71,938 parameters), on Fashion-MNIST; then fine-tuned from it to digits. Under half an hour on two cores.
# Needs Debian's pictures: apt-get install dataset-fashion-mnist (70,000 of them, no other download).
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-.venv/bin/python}
DATA=${DATA:-/usr/share/datasets/fashion-mnist}
SEED=${SEED:-0}
RUN=${RUN:-runs/nasnet_a_fashion_$SEED}

mkdir -p runs
[ -e runs/fashion.npz ] || "$PYTHON" examples/idx_to_npz.py "$DATA" runs/fashion.npz
"$PYTHON" train.py --mode=train --model=nasnet_a --dataset=npz:runs/fashion.npz --workdir="$RUN" --seed="$SEED" \
    --repeats=1 --filters=8 --epochs="${EPOCHS:-9}" --batch_size=64 --pad=1 \
    --learning_rate=0.15 --warmup_epochs=0.3 --weight_decay=0.0001
"$PYTHON" train.py --mode=evaluate --from="$RUN" --dataset=npz:runs/fashion.npz
"$PYTHON" train.py --mode=finetune --from="$RUN" --dataset=digits --workdir="${RUN}_digits" --seed="$SEED" \
    --image_size=28 --epochs=20 --learning_rate=0.003
