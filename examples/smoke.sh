#!/usr/bin/env bash
# Walks search -> train -> evaluate -> export -> finetune through the shell, each as small as it can be: two minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-.venv/bin/python}
RUNS=${RUNS:-$(mktemp -d)}

step() { echo "== $*"; "$PYTHON" train.py "$@"; }

step --mode=search --workdir="$RUNS/search" --blocks=2 --filters=4 --steps=10 --trials=6 --finalists=2 \
    --finalist_steps=20 --final_filters=4 --final_epochs=3 --baseline_seeds=2
step --mode=train --workdir="$RUNS/train" --model="$RUNS/search/best/genotype.json" --repeats=1 --filters=8 --epochs=3
step --mode=evaluate --from="$RUNS/train" --workdir="$RUNS/evaluate"
step --mode=export --workdir="$RUNS/export" --from="$RUNS/train"
step --mode=finetune --workdir="$RUNS/finetune" --from="$RUNS/export/best" --dataset=digits --image_size=12 --epochs=2
test -s "$RUNS/finetune/best/model.keras"
echo "smoke: every mode ended well, in $RUNS"
