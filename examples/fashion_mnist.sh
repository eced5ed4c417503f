#!/usr/bin/env bash
# From the cell found on digits (make search) to Fashion-MNIST: other pictures, other classes, other size.
# Needs Debian's pictures: apt-get install dataset-fashion-mnist (70,000 of them, no other download).
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-.venv/bin/python}
FROM=${FROM:-runs/search/best}
DATA=${DATA:-/usr/share/datasets/fashion-mnist}

mkdir -p runs
[ -e runs/fashion.npz ] || "$PYTHON" examples/idx_to_npz.py "$DATA" runs/fashion.npz
"$PYTHON" train.py --mode=finetune --from="$FROM" --dataset=npz:runs/fashion.npz --workdir=runs/fashion \
    --steps="${STEPS:-300}" --batch_size=64 --learning_rate=0.003
