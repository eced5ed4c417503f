"""Which function a `--mode` runs. Each is imported when it is asked for: TensorFlow comes with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nasnet.modes.flags import RunConfig

Runner = Callable[[RunConfig, Path], None]
"""From a resolved config and a workdir to files and lines on the screen."""


def runner(mode: str) -> Runner:
    """The function of a mode, one of `flags.MODES`."""
    match mode:
        case "search":
            from nasnet.modes.search import run_search as run
        case "compare":
            from nasnet.modes.compared.compare import run_compare as run
        case "train":
            from nasnet.modes.train import run_train as run
        case "finetune":
            from nasnet.modes.train import run_finetune as run
        case "evaluate":
            from nasnet.modes.trained.evaluate import run_evaluate as run
        case "predict":
            from nasnet.modes.trained.predict import run_predict as run
        case "export":
            from nasnet.modes.trained.export import run_export as run
        case "tune":
            from nasnet.modes.trained.tune import run_tune as run
        case "count":
            from nasnet.modes.count import run_count as run
        case "table":
            from nasnet.modes.table import run_table as run
        case _:
            raise ValueError(f"no mode {mode!r}")
    return run
