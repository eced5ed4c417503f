"""What each `--mode` of `train.py` does, from a resolved config to files and lines on the screen."""

from __future__ import annotations

from nasnet.modes.export import run_evaluate, run_export
from nasnet.modes.search import run_search
from nasnet.modes.train import run_finetune, run_train
from nasnet.modes.tune import run_tune

RUNNERS = {
    "search": run_search,
    "train": run_train,
    "evaluate": run_evaluate,
    "export": run_export,
    "finetune": run_finetune,
    "tune": run_tune,
}
